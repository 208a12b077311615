//! A test's own folder, and the end of everything that still names it.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::leftovers::{self, mounts_in, processes_of};

/// Where a test's cluster keeps all that it keeps.
///
/// To be dropped after the processes that use it.
pub(crate) struct Home {
    dir: TempDir,
}

impl Home {
    pub(crate) fn new() -> Self {
        let dir = tempfile::Builder::new().prefix("meros-e2e-").tempdir().expect("a folder");
        std::fs::create_dir(dir.path().join("tmp")).expect("it is new");
        Self { dir }
    }

    pub(crate) fn path(&self) -> &Path {
        self.dir.path()
    }

    /// A path in the folder, as an argument.
    pub(crate) fn join(&self, name: &str) -> String {
        self.path().join(name).display().to_string()
    }

    /// What the processes take for the host's folder of temporary files.
    pub(crate) fn temporary(&self) -> PathBuf {
        self.path().join("tmp")
    }

    /// Writes a file; returns its path, as an argument.
    pub(crate) fn write(&self, name: &str, text: impl ToString) -> String {
        std::fs::write(self.path().join(name), text.to_string()).expect("the folder is ours");
        self.join(name)
    }

    /// Checks that a cluster whose agents had these cgroups has left nothing behind.
    ///
    /// # Panics
    /// When it has, with what.
    pub(crate) fn assert_nothing_left(&self, mut groups: Vec<PathBuf>) {
        let processes = processes_of(self.path());
        let processes: Vec<String> = processes.iter().map(ToString::to_string).collect();
        assert!(processes.is_empty(), "processes were left: {processes:#?}");
        groups.retain(|group| group.exists());
        assert!(groups.is_empty(), "cgroups were left: {groups:#?}");
        let mounts = mounts_in(self.path());
        assert!(mounts.is_empty(), "mounts were left: {mounts:#?}");
        let temporary = std::fs::read_dir(self.temporary()).expect("it was made by us");
        let temporary: Vec<_> = temporary.filter_map(Result::ok).collect();
        assert!(temporary.is_empty(), "temporary files were left: {temporary:#?}");
    }
}

impl Drop for Home {
    /// Only a failed test has anything left to end here.
    fn drop(&mut self) {
        let began = Instant::now();
        loop {
            let left = leftovers::processes_of(self.path());
            if left.is_empty() || began.elapsed() > Duration::from_secs(5) {
                return;
            }
            for pid in left.iter().filter_map(|found| Pid::from_raw(found.pid)) {
                // It may have ended of itself.
                let _ = kill_process(pid, Signal::KILL);
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}
