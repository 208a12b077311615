//! One task whose launcher died: signals, and what is to be done after its end. Blocks.
//!
//! What the launcher does for its tasks, by other means: it is not our child, so a number may have
//! become another's. The main process is known by a descriptor; the others by cgroup, or by session
//! and mark, as they are found.

use std::{
    fs,
    os::fd::AsFd,
    thread,
    time::{Duration, Instant},
};

use meros_proto::ids::ContainerId;
use rustix::process::{Pid, Signal};

use super::{
    event::WaitStatus,
    held::Held,
    isolators::{Isolators, Remains},
    plain,
};
use crate::launcher::{
    cgroups::{self, Removal},
    pidfd::{self, Fate},
    tree,
    wire::End,
};

/// How long whoever collects the main process may take.
const COLLECT_PATIENCE: Duration = Duration::from_secs(2);
/// How long what was killed may take to be gone.
const SETTLE_PATIENCE: Duration = Duration::from_secs(10);
/// Between two looks.
const PAUSE: Duration = Duration::from_millis(5);

/// A task without a launcher.
#[derive(Debug)]
pub(super) struct Orphan {
    pub(super) container: ContainerId,
    pid: i32,
    /// `None`: it ended before anybody held it.
    pub(super) process: Option<Held>,
    remains: Remains,
    marker: Vec<u8>,
}

impl Orphan {
    /// `mark` is how the marks of this agent's tasks begin.
    pub(super) fn new(
        container: ContainerId,
        pid: i32,
        process: Option<Held>,
        isolators: &Isolators,
        mark: &str,
    ) -> Self {
        let remains = isolators.remains(container.as_str());
        let marker = plain::marker(mark, &container);
        Self { container, pid, process, remains, marker }
    }

    /// Sends a signal to the main process and to all that descends from it.
    pub(super) fn signal(&self, signal: Signal) {
        match self.remains.groups.first() {
            Some(group) if signal == Signal::KILL => cgroups::kill(group),
            Some(group) => {
                if cgroups::signal(group, signal) {
                    return;
                }
            }
            None => {
                let mut all = self.strays();
                if self.is_alive() {
                    all.extend(tree::descendants(self.pid));
                }
                all.sort_unstable();
                all.dedup();
                send(&all, signal);
            }
        }
        // Should it have left its cgroup, as root may; or have hidden its mark.
        if let Some(process) = &self.process {
            pidfd::signal(process.as_fd(), signal);
        }
    }

    /// How the main process, which has ended, did so.
    pub(super) fn status(&self) -> WaitStatus {
        let Some(process) = &self.process else { return WaitStatus::Unknown };
        let until = Instant::now() + COLLECT_PATIENCE;
        loop {
            match pidfd::fate(process.as_fd(), self.pid) {
                Fate::Ended(end) => return end.into(),
                Fate::Unknown => return WaitStatus::Unknown,
                Fate::Open if Instant::now() > until => return WaitStatus::Unknown,
                Fate::Open => thread::sleep(PAUSE),
            }
        }
    }

    /// Ends all that is left of the task and removes its cgroups. Returns what the files said that
    /// the isolators want to know.
    pub(super) fn clear(&self) -> Vec<Vec<u8>> {
        let until = Instant::now() + SETTLE_PATIENCE;
        let read = |file| fs::read(file).unwrap_or_default();
        loop {
            let reports = self.remains.reports.iter().map(read).collect();
            if self.is_cleared() || Instant::now() > until {
                return reports;
            }
            thread::sleep(PAUSE);
        }
    }

    /// One step of that. True once nothing is left.
    fn is_cleared(&self) -> bool {
        let mut is_cleared = true;
        for group in &self.remains.groups {
            match cgroups::remove(group) {
                Ok(Removal::Gone) => {}
                Ok(Removal::Busy) => {
                    cgroups::kill(group);
                    is_cleared = false;
                }
                Err(error) => {
                    let error = &error as &dyn std::error::Error;
                    tracing::warn!(error, group = %group.display(), "could not remove a cgroup");
                }
            }
        }
        if self.remains.groups.is_empty() {
            let left = self.strays();
            send(&left, Signal::KILL);
            is_cleared = left.is_empty();
        }
        is_cleared
    }

    fn strays(&self) -> Vec<i32> {
        // While the main process lives, or somebody is in its session, its number is no other's.
        let is_taken = !self.is_alive() && tree::leads_session(self.pid);
        let main = (!is_taken && self.process.is_some()).then_some(self.pid);
        let mut strays = tree::strays(main, &self.marker, &tree::everyone());
        strays.retain(|pid| *pid != self.pid || self.is_alive());
        strays
    }

    fn is_alive(&self) -> bool {
        let ended = |process: &Held| pidfd::wait(process.as_fd(), Duration::ZERO);
        self.process.as_ref().is_some_and(|process| !ended(process))
    }
}

impl From<End> for WaitStatus {
    fn from(end: End) -> Self {
        match end {
            End::Exit(status) => Self::Exited(status.into()),
            End::Signal(signal) => Self::Signaled(signal.into()),
        }
    }
}

fn send(pids: &[i32], signal: Signal) {
    for pid in pids.iter().filter_map(|pid| Pid::from_raw(*pid)) {
        // Gone meanwhile is as good.
        let _ = rustix::process::kill_process(pid, signal);
    }
}
