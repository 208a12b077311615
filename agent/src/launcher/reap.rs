//! Collects children that ended: main processes, starts that failed, and orphans of all tasks.

use std::time::Instant;

use rustix::process::{Pid, Signal};

use super::{sys, tasks::Tasks};

/// Collects every child that has ended by now.
pub(super) fn reap(tasks: &mut Tasks, now: Instant) {
    while let Some((pid, end)) = sys::ended_child() {
        // While it isn't collected its number is its own, and so is that of its process group: what
        // is left in the group can be killed without hitting a stranger.
        if tasks.is_main(pid)
            && let Some(group) = Pid::from_raw(pid)
        {
            let _ = rustix::process::kill_process_group(group, Signal::KILL);
        }
        sys::collect(pid);
        tasks.child_ended(pid, end, now);
    }
}
