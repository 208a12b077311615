//! Ends what is left of an instance and that nobody looks after any more.

use std::{
    fs,
    os::unix::ffi::OsStrExt,
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

/// Kills all in the instance's groups and all that carry its mark, and removes the groups; but for
/// those whose name is to be kept. `mark` is how the mark of each process begins; its task follows.
pub(super) fn sweep(
    mounts: &[PathBuf],
    instance: &str,
    mark: &[u8],
    is_kept: &dyn Fn(&[u8]) -> bool,
) {
    for _ in 0..ROUNDS {
        let mut marked = tree::marked(mark);
        marked.retain(|(_, task)| !is_kept(task));
        for pid in marked.iter().filter_map(|(pid, _)| Pid::from_raw(*pid)) {
            let _ = rustix::process::kill_process(pid, Signal::KILL);
        }
        let emptied =
            mounts.iter().all(|mount| empty(&cgroups::instance_dir(mount, instance), is_kept));
        if marked.is_empty() && emptied {
            break;
        }
        thread::sleep(PAUSE);
    }
}

/// Removes what held the groups of an instance, as far as it is empty.
pub(super) fn remove_instance(mounts: &[PathBuf], instance: &str) {
    for mount in mounts {
        cgroups::remove_instance(mount, instance);
    }
}

/// Kills and removes the groups below one. True once there are none but those to be kept.
fn empty(dir: &Path, is_kept: &dyn Fn(&[u8]) -> bool) -> bool {
    let Ok(entries) = fs::read_dir(dir) else { return true };
    let groups = entries
        .filter_map(Result::ok)
        .filter(|entry| !is_kept(entry.file_name().as_bytes()))
        .map(|entry| entry.path());
    let mut all_gone = true;
    for group in groups.filter(|path| path.is_dir()) {
        if let Ok(Removal::Busy) = cgroups::remove(&group) {
            cgroups::kill(&group);
            all_gone = false;
        }
    }
    all_gone
}
