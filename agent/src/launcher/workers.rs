//! The threads on which the launcher does what may block: start a task, clean up after one.
//!
//! A start that passes its deadline keeps its thread, and another takes that one's place: so a
//! sandbox on a dead file server costs a thread, not the launcher.

use std::{
    collections::VecDeque,
    io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicI32, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use rustix::event::{EventfdFlags, eventfd};

use super::{
    cgroups::{self, Removal},
    start::{self, Common, Failure, Stack, Started},
    wire::Start,
};

/// So many threads start tasks while none is stuck.
const THREADS: usize = 2;
/// With so many threads stuck no further one takes a stuck one's place.
const THREADS_MAX: usize = 16;
/// Room for the calls above the child's own stack.
const THREAD_STACK: usize = 256 << 10;

/// What remains of a task to be cleaned up.
#[derive(Debug)]
pub(super) struct Clean {
    pub(super) container: String,
    /// In the order in which they were made.
    pub(super) groups: Vec<Vec<u8>>,
    pub(super) reports: Vec<Vec<u8>>,
}

/// What a worker has done.
#[derive(Debug)]
pub(super) enum Done {
    /// A start succeeded.
    Started { container: String, started: Started },
    /// A start failed; `pid` is the child that got so far, or 0.
    Failed { container: String, failure: Failure, pid: i32 },
    /// The cgroups of a task are gone; what the files asked for held before.
    Cleaned { container: String, reports: Vec<Vec<u8>> },
    /// Processes are in them still.
    Busy { container: String },
}

/// The threads and their queue.
#[derive(Debug)]
pub(super) struct Workers {
    shared: Arc<Shared>,
    slots: Vec<Arc<Slot>>,
}

#[derive(Debug)]
struct Shared {
    queue: Mutex<Queue>,
    filled: Condvar,
    done: Mutex<Vec<Done>>,
    /// Readable when `done` isn't empty.
    wake: OwnedFd,
    common: Common,
}

#[derive(Debug, Default)]
struct Queue {
    /// Taken first: each gives a task's resources back.
    cleans: VecDeque<Clean>,
    starts: VecDeque<Start>,
    /// Nothing is taken.
    paused: bool,
}

/// What one thread is at.
#[derive(Debug, Default)]
struct Slot {
    /// The child of the start under way, once there is one.
    pid: AtomicI32,
    busy: Mutex<Option<Busy>>,
    /// Another thread has taken this one's place: it is to end.
    replaced: AtomicBool,
    /// It has ended.
    ended: AtomicBool,
}

#[derive(Debug)]
struct Busy {
    container: String,
    /// Of a start; what cleans up has none.
    deadline: Option<Instant>,
}

/// What the threads are at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum UnderWay {
    Nothing,
    Something,
    /// A start that passed its deadline, and may never come back.
    Stuck,
}

/// A start that passed its deadline.
#[derive(Debug)]
pub(super) struct Overdue {
    pub(super) container: String,
    /// The child, where there is one: stuck on its way to its program.
    pub(super) pid: Option<i32>,
}

impl Workers {
    pub(super) fn new(common: Common) -> io::Result<Self> {
        let shared = Arc::new(Shared {
            queue: Mutex::default(),
            filled: Condvar::new(),
            done: Mutex::default(),
            wake: eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?,
            common,
        });
        let mut workers = Self { shared, slots: Vec::new() };
        for _ in 0..THREADS {
            workers.add_thread()?;
        }
        Ok(workers)
    }

    fn add_thread(&mut self) -> io::Result<()> {
        let slot = Arc::new(Slot::default());
        let (shared, own) = (Arc::clone(&self.shared), Arc::clone(&slot));
        thread::Builder::new()
            .name("start".to_owned())
            .stack_size(THREAD_STACK)
            .spawn(move || shared.work(&own))?;
        self.slots.push(slot);
        Ok(())
    }

    /// What is readable when [`take_done`](Self::take_done) has something.
    pub(super) fn wake(&self) -> BorrowedFd<'_> {
        self.shared.wake.as_fd()
    }

    pub(super) fn start(&self, order: Start) {
        lock(&self.shared.queue).starts.push_back(order);
        self.shared.filled.notify_one();
    }

    pub(super) fn clean(&self, clean: Clean) {
        lock(&self.shared.queue).cleans.push_back(clean);
        self.shared.filled.notify_one();
    }

    /// Takes a start back that no thread has begun. False if one has.
    pub(super) fn cancel(&self, container: &str) -> bool {
        let mut queue = lock(&self.shared.queue);
        let before = queue.starts.len();
        queue.starts.retain(|order| order.container != container);
        queue.starts.len() < before
    }

    /// Begins nothing that is queued, or will be, until [`go_on`](Self::go_on).
    pub(super) fn pause(&self) {
        lock(&self.shared.queue).paused = true;
    }

    pub(super) fn go_on(&self) {
        lock(&self.shared.queue).paused = false;
        self.shared.filled.notify_all();
    }

    pub(super) fn under_way(&self) -> UnderWay {
        let is_stuck = |slot: &Arc<Slot>| {
            slot.replaced.load(Ordering::SeqCst) && !slot.ended.load(Ordering::SeqCst)
        };
        // What a thread has taken it has noted before this lock is free.
        let _queue = lock(&self.shared.queue);
        if self.slots.iter().any(is_stuck) {
            UnderWay::Stuck
        } else if self.slots.iter().any(|slot| lock(&slot.busy).is_some()) {
            UnderWay::Something
        } else {
            UnderWay::Nothing
        }
    }

    /// The starts that no thread has begun, in order.
    pub(super) fn queued(&self) -> Vec<Start> {
        lock(&self.shared.queue).starts.iter().cloned().collect()
    }

    pub(super) fn common(&self) -> &Common {
        &self.shared.common
    }

    /// Everything done since the last call.
    pub(super) fn take_done(&self) -> Vec<Done> {
        let mut counter = [0; 8];
        // Empty already is fine: the list decides.
        let _ = rustix::io::read(&self.shared.wake, &mut counter);
        std::mem::take(&mut lock(&self.shared.done))
    }

    /// Whether `pid` is the child of a start that is, or just was, under way.
    pub(super) fn is_starting(&self, pid: i32) -> bool {
        self.slots.iter().any(|slot| slot.pid.load(Ordering::SeqCst) == pid)
    }

    /// Whether something is queued or under way.
    pub(super) fn is_busy(&self) -> bool {
        let queue = lock(&self.shared.queue);
        !queue.starts.is_empty()
            || !queue.cleans.is_empty()
            || self.slots.iter().any(|slot| lock(&slot.busy).is_some())
    }

    /// The starts that passed their deadline since the last call. Each gets a new thread in the
    /// place of its own.
    pub(super) fn take_overdue(&mut self, now: Instant) -> Vec<Overdue> {
        let mut overdue = Vec::new();
        for slot in &self.slots {
            let mut busy = lock(&slot.busy);
            let deadline = busy.as_ref().and_then(|busy| busy.deadline);
            if deadline.is_none_or(|deadline| deadline > now) {
                continue;
            }
            let Some(stuck) = busy.take() else { continue };
            slot.replaced.store(true, Ordering::SeqCst);
            let pid = slot.pid.load(Ordering::SeqCst);
            overdue.push(Overdue { container: stuck.container, pid: (pid > 0).then_some(pid) });
        }
        self.slots.retain(|slot| !slot.ended.load(Ordering::SeqCst));
        for _ in &overdue {
            if self.slots.len() < THREADS_MAX
                && let Err(error) = self.add_thread()
            {
                eprintln!("could not start a thread in place of a stuck one: {error}");
            }
        }
        overdue
    }
}

impl Shared {
    fn work(&self, slot: &Slot) {
        let mut stack = Stack::new();
        while !slot.replaced.load(Ordering::SeqCst) {
            let done = match self.next(slot) {
                Job::Clean(clean) => clean_up(clean),
                Job::Start(order) => {
                    let outcome = start::start(&order, &self.common, &mut stack, &slot.pid);
                    let container = order.container;
                    match outcome {
                        Ok(started) => Done::Started { container, started },
                        Err(failure) => {
                            let pid = slot.pid.load(Ordering::SeqCst);
                            Done::Failed { container, failure, pid }
                        }
                    }
                }
            };
            // Told before the slot forgets it: who doesn't find a child in a slot finds it here.
            lock(&self.done).push(done);
            slot.pid.store(0, Ordering::SeqCst);
            *lock(&slot.busy) = None;
            self.tell();
        }
        slot.ended.store(true, Ordering::SeqCst);
        self.tell();
    }

    fn tell(&self) {
        // Full means that it is readable already.
        let _ = rustix::io::write(&self.wake, &1_u64.to_ne_bytes());
    }

    fn next(&self, slot: &Slot) -> Job {
        let mut queue = lock(&self.queue);
        loop {
            if !queue.paused
                && let Some(clean) = queue.cleans.pop_front()
            {
                let container = clean.container.clone();
                *lock(&slot.busy) = Some(Busy { container, deadline: None });
                return Job::Clean(clean);
            }
            if !queue.paused
                && let Some(order) = queue.starts.pop_front()
            {
                let deadline = Instant::now() + Duration::from_millis(order.deadline_ms);
                let container = order.container.clone();
                *lock(&slot.busy) = Some(Busy { container, deadline: Some(deadline) });
                return Job::Start(order);
            }
            queue = self.filled.wait(queue).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

enum Job {
    Start(Start),
    Clean(Clean),
}

/// Reads what is to be reported, then removes the cgroups unless somebody is in them.
fn clean_up(clean: Clean) -> Done {
    let Clean { container, groups, reports } = clean;
    let read = |file: &Vec<u8>| std::fs::read(cgroups::path(file)).unwrap_or_default();
    let reports = reports.iter().map(read).collect();
    for dir in &groups {
        let dir = cgroups::path(dir);
        match cgroups::remove(dir) {
            Ok(Removal::Gone) => {}
            // The first is the one that everybody is in, so that the others are tried only once
            // it is empty.
            Ok(Removal::Busy) => return Done::Busy { container },
            Err(error) => eprintln!("could not remove the cgroup {}: {error}", dir.display()),
        }
    }
    Done::Cleaned { container, reports }
}

/// No code of ours panics while it holds one of these locks, and all they hold stays valid.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
