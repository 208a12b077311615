//! The launcher's table of tasks, from the order to start one to the report of its end.
//!
//! ```text
//! Starting ──started──▶ Running ──main process ended──▶ Ending ──tree and cgroups gone──▶ an end
//!    └──failed──▶ an end                                            an end ──forgotten──▶ nothing
//! ```
//!
//! What is told is a state of this table, so that it can be told again: to an agent that comes back
//! by [`inventory`](Tasks::inventory), as it changes by [`take_notices`](Tasks::take_notices).
//!
//! Nothing here blocks: what may is left to [`Workers`], what has to wait to a timer. Signals are
//! sent from this thread ([`ending`](super::ending)), since only who collects children knows that a
//! number still means the same.

use std::{
    collections::BTreeMap,
    os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd},
    rc::Rc,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal};

use super::{
    ends::{Ends, Outcome},
    start::{Failure, Started},
    traces::{Layouts, Traces},
    wire::{End, Notice, Start},
    workers::{Done, Workers},
};

/// All tasks, by name.
#[derive(Debug)]
pub(super) struct Tasks {
    pub(super) workers: Workers,
    pub(super) tasks: BTreeMap<Rc<str>, Task>,
    /// What became of those that are over.
    pub(super) ends: Ends,
    layouts: Layouts,
    /// The main processes that are not collected.
    pub(super) mains: BTreeMap<i32, Rc<str>>,
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

/// What is known of one task. There may be thousands: keep it small.
#[derive(Debug)]
pub(super) struct Task {
    pub(super) stage: Stage,
    /// When SIGKILL follows; set once the task is to end.
    pub(super) kill_at: Option<Instant>,
    pub(super) traces: Rc<Traces>,
    pub(super) oom_events: Option<OwnedFd>,
    /// They told of it.
    pub(super) oom: bool,
    /// Its start was reported as failed: nothing further is to be said.
    pub(super) given_up: bool,
}

#[derive(Debug, Clone, Copy)]
pub(super) enum Stage {
    Starting,
    Running { main: Main },
    Ending { main: Main, end: End, round: u32 },
}

/// A main process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Main {
    pub(super) pid: i32,
    pub(super) identity: u64,
}

impl Tasks {
    pub(super) fn new(workers: Workers) -> Self {
        Self {
            workers,
            tasks: BTreeMap::new(),
            ends: Ends::default(),
            layouts: Layouts::default(),
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

    /// What changed since the last call.
    pub(super) fn take_notices(&mut self) -> Vec<Notice> {
        std::mem::take(&mut self.notices)
    }

    /// All there is, for an agent that knows nothing of it.
    pub(super) fn inventory(&self) -> impl Iterator<Item = Notice> {
        let told = self.tasks.iter().filter(|(_, task)| !task.given_up).map(|(name, task)| {
            let container = name.as_ref().to_owned();
            match task.stage {
                Stage::Starting => Notice::Starting { container },
                Stage::Running { main } | Stage::Ending { main, .. } => {
                    Notice::Started { container, pid: main.pid, identity: main.identity }
                }
            }
        });
        told.chain(self.ends.notices())
    }

    /// The end of a task is on record.
    pub(super) fn forget(&mut self, container: &str) {
        self.ends.forget(container);
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
        let name = order.container.as_str();
        if self.tasks.contains_key(name) || self.ends.contains(name) {
            // What became of the first is told, or will be: a second answer would be taken for it.
            eprintln!("ordered to start {name} twice");
            return;
        }
        if self.ending {
            self.fail(order.container, "the launcher is ending".to_owned(), 0);
            return;
        }
        let groups = order.groups.iter().map(|group| group.dir.as_slice());
        let traces = self.layouts.share(name, groups, &order.reports, &order.marker);
        let task = Task {
            stage: Stage::Starting,
            kill_at: None,
            traces,
            oom_events: None,
            oom: false,
            given_up: false,
        };
        self.tasks.insert(name.into(), task);
        self.workers.start(order);
    }

    /// Takes in a task as another launcher, whose place we took, had it.
    pub(super) fn resume(&mut self, name: &str, task: Task, now: Instant) {
        let name: Rc<str> = name.into();
        if let Some(events) = &task.oom_events {
            self.watches.insert(events.as_raw_fd(), Rc::clone(&name));
        }
        if let Stage::Running { main } = task.stage {
            self.mains.insert(main.pid, Rc::clone(&name));
        }
        if let Some(at) = task.kill_at {
            self.set_timer(at, Rc::clone(&name));
        }
        let is_ending = matches!(task.stage, Stage::Ending { .. });
        self.tasks.insert(Rc::clone(&name), task);
        if is_ending {
            self.settle(&name, now);
        }
    }

    /// Traces that are shared with those of other tasks.
    pub(super) fn traces(
        &mut self,
        name: &str,
        groups: &[Vec<u8>],
        reports: &[Vec<u8>],
        marker: &[u8],
    ) -> Rc<Traces> {
        self.layouts.share(name, groups.iter().map(Vec::as_slice), reports, marker)
    }

    /// Starts no more tasks.
    pub(super) fn refuse_starts(&mut self) {
        self.ending = true;
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
        let Started { pid, identity, oom_events } = started;
        let main = Main { pid, identity };
        let Some((name, _)) = self.tasks.get_key_value(container) else { return };
        let name = Rc::clone(name);
        let Some(task) = self.tasks.get_mut(&name) else { return };
        if let Some(events) = &oom_events {
            self.watches.insert(events.as_raw_fd(), Rc::clone(&name));
        }
        task.oom_events = oom_events;
        task.stage = Stage::Running { main };
        let kill_at = task.kill_at;
        if !task.given_up {
            let container = container.to_owned();
            self.notices.push(Notice::Started { container, pid, identity });
        }
        if let Some(end) = self.early.remove(&pid) {
            self.main_ended(&name, end, now);
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

    pub(super) fn fail(&mut self, container: String, step: String, errno: i32) {
        self.tell_end(container, Outcome::Failed { step, errno });
    }

    fn tell_end(&mut self, container: String, outcome: Outcome) {
        self.ends.keep(&container, outcome.clone());
        self.notices.push(outcome.notice(container));
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
            self.main_ended(&name, end, now);
            return;
        }
        self.early.insert(pid, end);
        if !self.workers.is_starting(pid) {
            // Told meanwhile, or an orphan, which nobody asks for.
            self.take_done(now);
            self.early.remove(&pid);
        }
    }

    fn main_ended(&mut self, name: &Rc<str>, end: End, now: Instant) {
        let Some(task) = self.tasks.get_mut(name) else { return };
        let Stage::Running { main } = task.stage else { return };
        task.stage = Stage::Ending { main, end, round: 0 };
        if let Some(events) = task.oom_events.take() {
            self.watches.remove(&events.as_raw_fd());
            task.oom |= rustix::io::read(&events, &mut [0; 8]).is_ok();
        }
        self.settle(name, now);
    }

    pub(super) fn gone(&mut self, container: &str, reports: Vec<Vec<u8>>) {
        let Some(task) = self.tasks.remove(container) else { return };
        if let Stage::Ending { end, .. } = task.stage
            && !task.given_up
        {
            self.tell_end(container.to_owned(), Outcome::Exited { end, oom: task.oom, reports });
        }
    }

    /// The names of those whose memory is watched.
    pub(super) fn watched(&self) -> impl Iterator<Item = &Rc<str>> {
        self.watches.values()
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

    pub(super) fn set_timer(&mut self, at: Instant, name: Rc<str>) {
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
                Stage::Running { main } if task.kill_at.is_some_and(|at| at <= now) => {
                    self.signal(&name, main.pid, Signal::KILL);
                }
                Stage::Ending { .. } => self.settle(&name, now),
                // A timer of an earlier, longer grace; or the start's end decides.
                Stage::Running { .. } | Stage::Starting => {}
            }
        }
    }
}
