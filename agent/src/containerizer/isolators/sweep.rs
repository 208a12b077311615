//! Ends what is left of an instance when the launcher that should have done it is gone.

use std::{
    fs,
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

use rustix::process::{Pid, Signal};

use crate::launcher::{
    cgroups::{self, Removal},
    tree,
};

/// How often, [`PAUSE`] apart, it is looked whether what was killed is gone.
const ROUNDS: u32 = 200;
const PAUSE: Duration = Duration::from_millis(10);

/// Kills all in the instance's groups and all that carry its mark, and removes the groups.
pub(super) fn sweep(mounts: &[PathBuf], instance: &str, mark: &[u8]) {
    for _ in 0..ROUNDS {
        let marked = tree::marked(mark);
        for pid in marked.iter().filter_map(|pid| Pid::from_raw(*pid)) {
            let _ = rustix::process::kill_process(pid, Signal::KILL);
        }
        let emptied = mounts.iter().all(|mount| empty(&cgroups::instance_dir(mount, instance)));
        if marked.is_empty() && emptied {
            break;
        }
        thread::sleep(PAUSE);
    }
    for mount in mounts {
        cgroups::remove_instance(mount, instance);
    }
}

/// Kills and removes the groups below one. True once there are none.
fn empty(dir: &Path) -> bool {
    let Ok(entries) = fs::read_dir(dir) else { return true };
    let groups = entries.filter_map(Result::ok).map(|entry| entry.path());
    let mut all_gone = true;
    for group in groups.filter(|path| path.is_dir()) {
        if let Ok(Removal::Busy) = cgroups::remove(&group) {
            cgroups::kill(&group);
            all_gone = false;
        }
    }
    all_gone
}
