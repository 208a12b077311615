//! The launcher's table of tasks, from the order to start one to the report of its end.
//!
//! ```text
//! Starting ──started──▶ Running ──main process ended──▶ Ending ──tree and cgroups gone──▶ reported
//!    └──failed──▶ reported
//! ```
//!
//! Nothing here blocks: what may is left to [`Workers`], what has to wait to a timer. Signals are
//! sent from here, since only who collects children knows that a number still means the same.

use std::{
    collections::BTreeMap,
    os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd},
    rc::Rc,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal};

use super::{
    cgroups,
    start::{Failure, Started},
    tree,
    wire::{End, Notice, Start},
    workers::{Clean, Done, Workers},
};

/// The first wait for what was killed to be gone; doubled each time.
const SETTLE_FIRST: Duration = Duration::from_millis(1);
/// It grows so often.
const SETTLE_DOUBLINGS: u32 = 9;

/// All tasks, by name.
#[derive(Debug)]
pub(super) struct Tasks {
    workers: Workers,
    tasks: BTreeMap<Rc<str>, Task>,
    /// The main processes that are not collected.
    mains: BTreeMap<i32, Rc<str>>,
    /// Children that ended before we were told which task they are.
    early: BTreeMap<i32, End>,
    /// Memory watches, by descriptor.
    watches: BTreeMap<i32, Rc<str>>,
    timers: BTreeMap<(Instant, u64), Rc<str>>,
    timers_set: u64,
    notices: Vec<Notice>,
    /// No task is started any more.
    ending: bool,
}

#[derive(Debug)]
struct Task {
    stage: Stage,
    /// When SIGKILL follows; set once the task is to end.
    kill_at: Option<Instant>,
    /// Its cgroups in the order in which they were made.
    groups: Vec<Vec<u8>>,
    reports: Vec<Vec<u8>>,
    marker: Vec<u8>,
    oom_events: Option<OwnedFd>,
    /// They told of it.
    oom: bool,
    /// Its start was reported as failed: nothing further is to be said.
    given_up: bool,
}

#[derive(Debug, Clone, Copy)]
enum Stage {
    Starting,
    Running { pid: i32 },
    Ending { pid: i32, end: End, round: u32 },
}

impl Tasks {
    pub(super) fn new(workers: Workers) -> Self {
        Self {
            workers,
            tasks: BTreeMap::new(),
            mains: BTreeMap::new(),
            early: BTreeMap::new(),
            watches: BTreeMap::new(),
            timers: BTreeMap::new(),
            timers_set: 0,
            notices: Vec::new(),
            ending: false,
        }
    }

    /// What is readable when [`take_done`](Self::take_done) has something to take.
    pub(super) fn wake(&self) -> BorrowedFd<'_> {
        self.workers.wake()
    }

    pub(super) fn take_notices(&mut self) -> Vec<Notice> {
        std::mem::take(&mut self.notices)
    }

    /// Nothing runs, and nothing is on its way.
    pub(super) fn is_empty(&self) -> bool {
        self.tasks.is_empty()
    }

    /// Whether a start may pass its deadline.
    pub(super) fn is_starting(&self) -> bool {
        self.workers.is_busy()
    }

    /// Takes in the order to start a task.
    pub(super) fn start(&mut self, order: Start) {
        if self.ending || self.tasks.contains_key(order.container.as_str()) {
            let step = if self.ending { "the launcher is ending" } else { "already started" };
            self.fail(order.container, step.to_owned(), 0);
            return;
        }
        let task = Task {
            stage: Stage::Starting,
            kill_at: None,
            groups: order.groups.iter().map(|group| group.dir.clone()).collect(),
            reports: order.reports.clone(),
            marker: order.marker.clone(),
            oom_events: None,
            oom: false,
            given_up: false,
        };
        self.tasks.insert(order.container.as_str().into(), task);
        self.workers.start(order);
    }

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
            Stage::Running { pid } => {
                let first = self.set_kill_time(&name, grace, now);
                if grace.is_zero() {
                    self.signal(&name, pid, Signal::KILL);
                } else if first {
                    self.signal(&name, pid, Signal::TERM);
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
        self.ending = true;
        let names: Vec<_> = self.tasks.keys().cloned().collect();
        for name in names {
            self.kill(&name, grace, now);
        }
    }

    /// Takes in what the workers have done.
    pub(super) fn take_done(&mut self, now: Instant) {
        for done in self.workers.take_done() {
            match done {
                Done::Started { container, started } => self.started(&container, started, now),
                Done::Failed { container, failure, pid } => {
                    self.early.remove(&pid);
                    self.start_failed(container, failure);
                }
                Done::Cleaned { container, reports } => self.gone(&container, reports),
                Done::Busy { container } => self.busy(&container, now),
            }
        }
    }

    fn started(&mut self, container: &str, started: Started, now: Instant) {
        let Started { pid, oom_events } = started;
        let Some((name, _)) = self.tasks.get_key_value(container) else { return };
        let name = Rc::clone(name);
        let Some(task) = self.tasks.get_mut(&name) else { return };
        if let Some(events) = &oom_events {
            self.watches.insert(events.as_raw_fd(), Rc::clone(&name));
        }
        task.oom_events = oom_events;
        task.stage = Stage::Running { pid };
        let kill_at = task.kill_at;
        if !task.given_up {
            self.notices.push(Notice::Started { container: container.to_owned(), pid });
        }
        if let Some(end) = self.early.remove(&pid) {
            self.main_ended(&name, pid, end, now);
            return;
        }
        self.mains.insert(pid, Rc::clone(&name));
        if let Some(at) = kill_at {
            // The kill overtook the start.
            self.signal(&name, pid, if at <= now { Signal::KILL } else { Signal::TERM });
        }
    }

    fn start_failed(&mut self, container: String, failure: Failure) {
        let given_up = self.tasks.remove(container.as_str()).is_none_or(|task| task.given_up);
        if !given_up {
            self.fail(container, failure.step, failure.errno);
        }
    }

    fn fail(&mut self, container: String, step: String, errno: i32) {
        self.notices.push(Notice::StartFailed { container, step, errno });
    }

    /// Gives up the starts that take too long.
    ///
    /// A task given up stays in the table, so that whatever becomes of its start is ended.
    pub(super) fn give_up_overdue(&mut self, now: Instant) {
        for overdue in self.workers.take_overdue(now) {
            if let Some(pid) = overdue.pid.and_then(Pid::from_raw) {
                let _ = rustix::process::kill_process(pid, Signal::KILL);
            }
            if let Some(task) = self.tasks.get_mut(overdue.container.as_str()) {
                task.given_up = true;
                task.kill_at = Some(now);
            }
            self.fail(overdue.container, "start in time".to_owned(), libc::ETIMEDOUT);
        }
    }

    /// Whether a child that ended is a task's main process, or one whose start isn't told yet.
    pub(super) fn is_main(&self, pid: i32) -> bool {
        self.mains.contains_key(&pid) || self.workers.is_starting(pid)
    }

    /// Takes in the end of a child that was collected.
    pub(super) fn child_ended(&mut self, pid: i32, end: End, now: Instant) {
        if let Some(name) = self.mains.remove(&pid) {
            self.main_ended(&name, pid, end, now);
            return;
        }
        self.early.insert(pid, end);
        if !self.workers.is_starting(pid) {
            // Told meanwhile, or an orphan, which nobody asks for.
            self.take_done(now);
            self.early.remove(&pid);
        }
    }

    fn main_ended(&mut self, name: &Rc<str>, pid: i32, end: End, now: Instant) {
        let Some(task) = self.tasks.get_mut(name) else { return };
        task.stage = Stage::Ending { pid, end, round: 0 };
        if let Some(events) = task.oom_events.take() {
            self.watches.remove(&events.as_raw_fd());
            task.oom |= rustix::io::read(&events, &mut [0; 8]).is_ok();
        }
        self.settle(name, now);
    }

    /// Ends what is left of a task whose main process ended, step by step.
    fn settle(&mut self, name: &Rc<str>, now: Instant) {
        let Some(task) = self.tasks.get(name) else { return };
        let Stage::Ending { pid, .. } = task.stage else { return };
        if !task.groups.is_empty() {
            self.workers.clean(Clean {
                container: name.as_ref().to_owned(),
                groups: task.groups.clone(),
                reports: task.reports.clone(),
            });
            return;
        }
        let left = self.strays(pid, &task.marker);
        if left.is_empty() {
            self.gone(name, Vec::new());
            return;
        }
        send(&left, Signal::KILL);
        self.settle_later(name, now);
    }

    /// Processes are in the cgroups still: end them, and come back.
    fn busy(&mut self, container: &str, now: Instant) {
        let Some((name, task)) = self.tasks.get_key_value(container) else { return };
        let name = Rc::clone(name);
        for dir in task.groups.iter().take(1) {
            cgroups::kill(cgroups::path(dir));
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

    fn gone(&mut self, container: &str, reports: Vec<Vec<u8>>) {
        let Some(task) = self.tasks.remove(container) else { return };
        if let Stage::Ending { end, .. } = task.stage
            && !task.given_up
        {
            let (container, oom) = (container.to_owned(), task.oom);
            self.notices.push(Notice::Exited { container, end, oom, reports });
        }
    }

    /// Sends a signal to the main process of a task and to all that descends from it.
    fn signal(&self, name: &Rc<str>, pid: i32, signal: Signal) {
        let Some(task) = self.tasks.get(name) else { return };
        match task.groups.first().map(|dir| cgroups::path(dir)) {
            Some(dir) if signal == Signal::KILL => cgroups::kill(dir),
            Some(dir) => {
                if cgroups::signal(dir, signal) {
                    return;
                }
            }
            None => {
                let mut all = tree::descendants(pid);
                all.extend(self.strays(pid, &task.marker));
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
        if orphans.is_empty() { orphans } else { tree::strays(main, marker, &orphans) }
    }

    /// The descriptors that tell of memory, to be waited for.
    pub(super) fn watch(&self, container: &str) -> Option<BorrowedFd<'_>> {
        self.tasks.get(container)?.oom_events.as_ref().map(AsFd::as_fd)
    }

    /// A descriptor of [`watch`](Self::watch) is readable: the task is out of memory, and the kernel
    /// is about to kill a part of it. All of it goes.
    pub(super) fn out_of_memory(&mut self, fd: i32, now: Instant) {
        let Some(name) = self.watches.remove(&fd) else { return };
        let Some(task) = self.tasks.get_mut(&name) else { return };
        (task.oom_events, task.oom) = (None, true);
        self.kill(&name, Duration::ZERO, now);
    }

    fn set_timer(&mut self, at: Instant, name: Rc<str>) {
        self.timers_set += 1;
        self.timers.insert((at, self.timers_set), name);
    }

    /// When [`due`](Self::due) has something to do.
    pub(super) fn next_timer(&self) -> Option<Instant> {
        self.timers.first_key_value().map(|((at, _), _)| *at)
    }

    /// Does what it is time for.
    pub(super) fn due(&mut self, now: Instant) {
        while let Some(entry) = self.timers.first_entry()
            && entry.key().0 <= now
        {
            let name = entry.remove();
            let Some(task) = self.tasks.get(&name) else { continue };
            match task.stage {
                Stage::Running { pid } if task.kill_at.is_some_and(|at| at <= now) => {
                    self.signal(&name, pid, Signal::KILL);
                }
                Stage::Ending { .. } => self.settle(&name, now),
                // A timer of an earlier, longer grace; or the start's end decides.
                Stage::Running { .. } | Stage::Starting => {}
            }
        }
    }
}

fn send(pids: &[i32], signal: Signal) {
    for pid in pids.iter().filter_map(|pid| Pid::from_raw(*pid)) {
        // Gone meanwhile is as good.
        let _ = rustix::process::kill_process(pid, signal);
    }
}
