//! Finds the tasks that run without a launcher: theirs died, and perhaps the agent too. Blocks.
//!
//! Every process of a task carries its mark, and is in its cgroup where it has one. The main process
//! leads a session; should others of the task do so too, it is the one that was started first.

use std::{collections::BTreeMap, os::fd::AsFd, time::Duration};

use meros_proto::ids::ContainerId;

use super::{held::Held, isolators::Isolators};
use crate::launcher::{pidfd, tree};

/// The main process of a task that was found.
#[derive(Debug)]
pub(super) struct Survivor {
    pub(super) container: ContainerId,
    pub(super) pid: i32,
    pub(super) process: Held,
}

/// Looks for the tasks that `is_wanted` names. `mark` is how the mark of each begins.
pub(super) fn find(
    isolators: &Isolators,
    mark: &[u8],
    is_wanted: impl Fn(&str) -> bool,
) -> Vec<Survivor> {
    let mut processes: BTreeMap<String, Vec<i32>> = BTreeMap::new();
    for (pid, task) in tree::marked(mark) {
        if let Ok(task) = String::from_utf8(task) {
            processes.entry(task).or_default().push(pid);
        }
    }
    // A program may have written over its environment; its cgroup it keeps.
    for (task, pids) in isolators.tracked() {
        processes.entry(task).or_default().extend(pids);
    }
    let wanted = processes.into_iter().filter(|(task, _)| is_wanted(task));
    wanted.filter_map(|(task, pids)| main_process(&task, &pids)).collect()
}

fn main_process(task: &str, pids: &[i32]) -> Option<Survivor> {
    let container = ContainerId::parse(task).ok()?;
    let leaders = pids.iter().copied().filter(|pid| tree::leads_session(*pid));
    let (started, pid) = leaders.filter_map(|pid| Some((tree::started_at(pid)?, pid))).min()?;
    let process = pidfd::open(pid).ok()?;
    // Still the same after it was opened: so it is the one that was looked at.
    let is_same = tree::started_at(pid) == Some(started);
    let lives = is_same && !pidfd::wait(process.as_fd(), Duration::ZERO);
    lives.then(|| Survivor { container, pid, process: Held::new(process) })
}
