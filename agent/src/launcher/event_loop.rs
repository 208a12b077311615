//! The event thread: waits for the agent, for signals, for the workers and for time.
//!
//! It does nothing that may block, and starts no process itself, which is what
//! [`tree`](super::tree) tells orphans by.

use std::{
    fs, io,
    os::fd::{AsRawFd, OwnedFd},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use rustix::event::{Timespec, epoll};

use super::{
    build, cgroups,
    connection::Connection,
    options::Options,
    peers::{self, Heard, Peers},
    reap,
    socket::{self, PID_FILE, SOCKET_FILE},
    state_file, sys,
    tasks::Tasks,
    upgrade::{self, Successor},
    wire::{Hello, Notice, Order},
    workers::UnderWay,
};

/// How long tasks have after SIGTERM when the launcher ends on its own account.
const END_GRACE: Duration = Duration::from_secs(3);
/// How long after that grace the launcher gives up on what doesn't die.
const END_PATIENCE: Duration = Duration::from_secs(10);
/// How often starts are looked at for their deadlines while there are any.
const DEADLINE_TICK: Duration = Duration::from_millis(250);
/// After so many notices, and with nothing under way, memory is given back.
const TRIM_AFTER: usize = 512;

const LISTENER: u64 = 0;
const SIGNALS: u64 = 2;
const WORKERS: u64 = 3;
/// A memory watch has this plus its descriptor; connections are far above.
const WATCH: u64 = 16;

pub(super) struct EventLoop {
    options: Options,
    ours: Hello,
    epoll: OwnedFd,
    signals: OwnedFd,
    peers: Peers,
    tasks: Tasks,
    /// Who is to take our place as soon as no start is under way.
    successor: Option<Successor>,
    /// Without an agent: when to give up waiting for one.
    alone_until: Option<Instant>,
    /// Once everything is to end: when to go whatever is left.
    end_by: Option<Instant>,
    said_ended: bool,
    /// Notices since memory was given back.
    untrimmed: usize,
}

impl EventLoop {
    pub(super) fn new(options: Options, peers: Peers, tasks: Tasks) -> io::Result<Self> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let signals = sys::signal_fd()?;
        let read = epoll::EventFlags::IN;
        epoll::add(&epoll, peers.listener(), epoll::EventData::new_u64(LISTENER), read)?;
        epoll::add(&epoll, &signals, epoll::EventData::new_u64(SIGNALS), read)?;
        epoll::add(&epoll, tasks.wake(), epoll::EventData::new_u64(WORKERS), read)?;
        let ours = Hello {
            build: build::own(),
            state_format: state_file::FORMAT,
            ..Hello::ours(&options.instance)
        };
        Ok(Self {
            alone_until: Some(Instant::now() + options.recovery_timeout),
            options,
            ours,
            epoll,
            signals,
            peers,
            tasks,
            successor: None,
            end_by: None,
            said_ended: false,
            untrimmed: 0,
        })
    }

    /// Goes on where the launcher before us, in this same process, left off.
    pub(super) fn resume(&mut self, agent: Connection) -> io::Result<()> {
        let now = Instant::now();
        self.alone_until = None;
        self.peers.resume(&self.epoll, agent)?;
        self.peers.send(&Notice::Hello(self.ours.clone()));
        let watched: Vec<_> = self.tasks.watched().cloned().collect();
        watched.iter().for_each(|container| self.watch_memory(container));
        // Who ended meanwhile may have been signalled to the other.
        reap::reap(&mut self.tasks, now);
        // What came meanwhile lies in the stream, or was read already: no event tells of that.
        self.hear(peers::FIRST_TOKEN, now);
        self.tell_agent(now);
        Ok(())
    }

    pub(super) fn run(mut self) -> io::Result<()> {
        let mut events = Vec::with_capacity(64);
        loop {
            let timeout = self.timeout().map(timespec);
            events.clear();
            let room = rustix::buffer::spare_capacity(&mut events);
            match epoll::wait(&self.epoll, room, timeout.as_ref()) {
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
            let now = Instant::now();
            // Memory watches first: what the other events do may close one, and open another under
            // its number.
            for event in &events {
                if let WATCH..peers::FIRST_TOKEN = event.data.u64() {
                    let fd = i32::try_from(event.data.u64() - WATCH).unwrap_or(-1);
                    self.tasks.out_of_memory(fd, now);
                }
            }
            for event in &events {
                match event.data.u64() {
                    LISTENER => self.peers.accept(&self.epoll, now),
                    SIGNALS => self.take_signals(now),
                    WORKERS => self.tasks.take_done(now),
                    token @ peers::FIRST_TOKEN.. => self.hear(token, now),
                    _ => {}
                }
            }
            self.peers.expire(now);
            self.tasks.due(now);
            self.tasks.give_up_overdue(now);
            if self.alone_until.is_some_and(|until| until <= now) {
                eprintln!("no agent came back in time: ending");
                self.end(END_GRACE, now);
            }
            self.hand_over(now);
            self.tell_agent(now);
            let is_done = self.tasks.is_empty() && self.peers.is_flushed();
            if self.end_by.is_some_and(|by| is_done || by <= now) {
                self.go();
                return Ok(());
            }
        }
    }

    /// How long to wait for an event at most.
    fn timeout(&self) -> Option<Duration> {
        let now = Instant::now();
        let tick = self.tasks.is_starting().then(|| now + DEADLINE_TICK);
        let next = [
            self.tasks.next_timer(),
            self.peers.next_expiry(),
            self.alone_until,
            self.end_by,
            tick,
        ];
        next.into_iter().flatten().min().map(|at| at.saturating_duration_since(now))
    }

    fn hear(&mut self, token: u64, now: Instant) {
        let Heard { attached, orders, lost } = self.peers.hear(token, &self.ours);
        if attached {
            self.alone_until = None;
            // What changed until now is in the list.
            self.watch_new_memory();
            self.tasks.inventory().for_each(|notice| self.peers.send(&notice));
            self.peers.send(&Notice::Listed);
        }
        for order in orders {
            self.obey(order, now);
        }
        if lost {
            self.lose_agent(now);
        }
    }

    fn obey(&mut self, order: Order, now: Instant) {
        match order {
            // Answered when it came.
            Order::Hello(_) => {}
            Order::Start(start) => self.tasks.start(*start),
            Order::Kill { container, grace_ms } => {
                self.tasks.kill(&container, Duration::from_millis(grace_ms), now);
            }
            Order::End { grace_ms } => self.end(Duration::from_millis(grace_ms), now),
            Order::Forget { container } => self.tasks.forget(&container),
            Order::Keep { recovery_timeout_ms } => {
                self.options.recovery_timeout = Duration::from_millis(recovery_timeout_ms);
            }
            Order::Upgrade { program, args } => {
                self.tasks.workers.pause();
                self.successor = Some(Successor { program, args });
            }
        }
    }

    fn lose_agent(&mut self, now: Instant) {
        if self.end_by.is_none() {
            self.alone_until = Some(now + self.options.recovery_timeout);
        }
    }

    /// Lets the successor take our place, if there is one and nothing is under way that only we can
    /// bring to its end.
    fn hand_over(&mut self, now: Instant) {
        let Some(successor) = self.successor.take() else { return };
        let refusal = if self.end_by.is_some() {
            "the launcher is ending".to_owned()
        } else if self.peers.agent().is_none() {
            "the agent is gone".to_owned()
        } else {
            match self.tasks.workers.under_way() {
                UnderWay::Something => {
                    self.successor = Some(successor);
                    return;
                }
                UnderWay::Stuck => "a start is stuck".to_owned(),
                UnderWay::Nothing => {
                    self.tasks.take_done(now);
                    let notices = self.watch_new_memory();
                    notices.iter().for_each(|notice| self.peers.send(notice));
                    let (options, peers, tasks) = (&self.options, &self.peers, &self.tasks);
                    upgrade::hand_over(&successor, options, peers, tasks, now).to_string()
                }
            }
        };
        eprintln!("not upgraded: {refusal}");
        self.tasks.workers.go_on();
        self.peers.send(&Notice::NotUpgraded { reason: refusal });
    }

    fn take_signals(&mut self, now: Instant) {
        if sys::take_signals(&self.signals) {
            eprintln!("asked to end by SIGTERM");
            self.end(END_GRACE, now);
        }
        // What workers have done is taken in first, so that most children are known.
        self.tasks.take_done(now);
        reap::reap(&mut self.tasks, now);
    }

    fn end(&mut self, grace: Duration, now: Instant) {
        self.alone_until = None;
        self.ours.features |= Hello::ENDING;
        let by = now + grace + END_PATIENCE;
        self.end_by = Some(self.end_by.map_or(by, |before| before.min(by)));
        self.tasks.end(grace, now);
    }

    /// Hands the agent what there is to tell; without one, it is kept where it came from.
    fn tell_agent(&mut self, now: Instant) {
        let notices = self.watch_new_memory();
        self.trim(notices.len());
        notices.iter().for_each(|notice| self.peers.send(notice));
        if self.end_by.is_some() && self.tasks.is_empty() && !self.said_ended {
            self.said_ended = true;
            self.peers.send(&Notice::Ended);
        }
        if !self.peers.flush(&self.epoll) {
            self.lose_agent(now);
        }
    }

    /// Takes what there is to tell, and watches the memory of what started.
    fn watch_new_memory(&mut self) -> Vec<Notice> {
        let notices = self.tasks.take_notices();
        for notice in &notices {
            if let Notice::Started { container, .. } = notice {
                self.watch_memory(container);
            }
        }
        notices
    }

    fn watch_memory(&self, container: &str) {
        let Some(events) = self.tasks.watch(container) else { return };
        let token = WATCH + u64::try_from(events.as_raw_fd()).unwrap_or(0);
        let data = epoll::EventData::new_u64(token);
        if let Err(error) = epoll::add(&self.epoll, events, data, epoll::EventFlags::IN) {
            eprintln!("could not watch the memory of {container}: {error}");
        }
    }

    fn trim(&mut self, notices: usize) {
        self.untrimmed += notices;
        if self.untrimmed >= TRIM_AFTER && !self.tasks.is_starting() {
            self.untrimmed = 0;
            sys::trim_memory();
        }
    }

    /// Takes with it what it made: files, and the cgroups that are empty.
    fn go(&self) {
        if !self.tasks.is_empty() {
            eprintln!("gave up on tasks that did not end");
        }
        // Should another have taken our place, they are that one's by now.
        if socket::notes_this_process(&self.options.work_dir) {
            for file in [SOCKET_FILE, PID_FILE] {
                let _ = fs::remove_file(self.options.work_dir.join(file));
            }
        }
        for mount in &self.options.hierarchies {
            let own = own_group(mount, &self.options.instance);
            // Nobody can remove the group that he is in.
            let left = cgroups::write(&mount.join("cgroup.procs"), b"0");
            if left.is_ok() && cgroups::remove(&own).is_ok() {
                cgroups::remove_instance(mount, &self.options.instance);
            }
        }
    }
}

/// The cgroup of the launcher itself in a hierarchy.
pub(super) fn own_group(mount: &Path, instance: &str) -> PathBuf {
    cgroups::instance_dir(mount, instance).join(LAUNCHER_GROUP)
}

/// The name of that group beside those of the tasks.
pub(crate) const LAUNCHER_GROUP: &str = "launcher";

fn timespec(duration: Duration) -> Timespec {
    // Rounded up: woken before its time it would find nothing to do, and spin.
    let duration = duration.saturating_add(Duration::from_micros(1));
    Timespec {
        tv_sec: i64::try_from(duration.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: duration.subsec_nanos().into(),
    }
}
