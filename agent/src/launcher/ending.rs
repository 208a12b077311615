//! How tasks are ended: signals to all that descends from one, again until nothing is left.

use std::{
    rc::Rc,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal};

use super::{
    cgroups,
    tasks::{Stage, Task, Tasks},
    tree,
    workers::Clean,
};

/// The first wait for what was killed to be gone; doubled each time.
const SETTLE_FIRST: Duration = Duration::from_millis(1);
/// It grows so often.
const SETTLE_DOUBLINGS: u32 = 9;

impl Tasks {
    /// Ends a task: SIGTERM now, SIGKILL after `grace`. A later call only brings SIGKILL forward.
    pub(super) fn kill(&mut self, container: &str, grace: Duration, now: Instant) {
        let Some((name, task)) = self.tasks.get_key_value(container) else { return };
        let (name, stage) = (Rc::clone(name), task.stage);
        match stage {
            Stage::Starting => {
                if self.workers.cancel(container) {
                    self.tasks.remove(container);
                    self.fail(container.to_owned(), "killed before it was started".to_owned(), 0);
                } else {
                    self.set_kill_time(&name, grace, now);
                }
            }
            Stage::Running { main } => {
                let first = self.set_kill_time(&name, grace, now);
                if grace.is_zero() {
                    self.signal(&name, main.pid, Signal::KILL);
                } else if first {
                    self.signal(&name, main.pid, Signal::TERM);
                }
            }
            // Killed already, by what ends every task.
            Stage::Ending { .. } => {}
        }
    }

    /// True the first time.
    fn set_kill_time(&mut self, name: &Rc<str>, grace: Duration, now: Instant) -> bool {
        let Some(task) = self.tasks.get_mut(name) else { return false };
        let at = now + grace;
        let first = task.kill_at.is_none();
        if task.kill_at.is_none_or(|before| at < before) {
            task.kill_at = Some(at);
            self.set_timer(at, Rc::clone(name));
        }
        first
    }

    /// Ends all tasks, and starts no more.
    pub(super) fn end(&mut self, grace: Duration, now: Instant) {
        self.refuse_starts();
        let names: Vec<_> = self.tasks.keys().cloned().collect();
        for name in names {
            self.kill(&name, grace, now);
        }
    }

    /// Ends what is left of a task whose main process ended, step by step.
    pub(super) fn settle(&mut self, name: &Rc<str>, now: Instant) {
        let Some(task) = self.tasks.get(name) else { return };
        let Stage::Ending { main, .. } = task.stage else { return };
        if task.traces.has_groups() {
            self.workers.clean(Clean {
                container: name.as_ref().to_owned(),
                groups: task.traces.groups(name),
                reports: task.traces.reports(name),
            });
            return;
        }
        let left = self.strays(main.pid, &task.traces.marker(name));
        if left.is_empty() {
            self.gone(name, Vec::new());
            return;
        }
        send(&left, Signal::KILL);
        self.settle_later(name, now);
    }

    /// Processes are in the cgroups still: end them, and come back.
    pub(super) fn busy(&mut self, container: &str, now: Instant) {
        let Some((name, task)) = self.tasks.get_key_value(container) else { return };
        let name = Rc::clone(name);
        if let Some(dir) = task.traces.first_group(&name) {
            cgroups::kill(cgroups::path(&dir));
        }
        self.settle_later(&name, now);
    }

    fn settle_later(&mut self, name: &Rc<str>, now: Instant) {
        if let Some(Task { stage: Stage::Ending { round, .. }, .. }) = self.tasks.get_mut(name) {
            let wait = SETTLE_FIRST * 2_u32.pow((*round).min(SETTLE_DOUBLINGS));
            *round += 1;
            self.set_timer(now + wait, Rc::clone(name));
        }
    }

    /// Sends a signal to the main process of a task and to all that descends from it.
    pub(super) fn signal(&self, name: &Rc<str>, pid: i32, signal: Signal) {
        let Some(task) = self.tasks.get(name) else { return };
        match task.traces.first_group(name) {
            Some(dir) if signal == Signal::KILL => cgroups::kill(cgroups::path(&dir)),
            Some(dir) => {
                if cgroups::signal(cgroups::path(&dir), signal) {
                    return;
                }
            }
            None => {
                let mut all = tree::descendants(pid);
                all.extend(self.strays(pid, &task.traces.marker(name)));
                all.sort_unstable();
                all.dedup();
                send(&all, signal);
                return;
            }
        }
        // Should it have left its cgroup, as root may.
        send(&[pid], signal);
    }

    fn strays(&self, main: i32, marker: &[u8]) -> Vec<i32> {
        let mut orphans = tree::orphans();
        // A thread that was replaced leaves its children to the first one.
        orphans.retain(|pid| !self.mains.contains_key(pid) && !self.workers.is_starting(*pid));
        if orphans.is_empty() { orphans } else { tree::strays(Some(main), marker, &orphans) }
    }
}

fn send(pids: &[i32], signal: Signal) {
    for pid in pids.iter().filter_map(|pid| Pid::from_raw(*pid)) {
        // Gone meanwhile is as good.
        let _ = rustix::process::kill_process(pid, signal);
    }
}
