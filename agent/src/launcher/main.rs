//! The launcher process: its arguments, its set-up, and the event thread.
//!
//! The first thread is the event thread: it waits for the agent, for signals, for its workers and
//! for time, and does nothing that may block. It starts no process itself, which is what [`tree`]
//! tells orphans by.
//!
//! [`tree`]: super::tree

use std::{
    ffi::OsString,
    fs, io,
    os::{
        fd::{AsRawFd, OwnedFd},
        unix::net::UnixListener,
    },
    path::PathBuf,
    process::ExitCode,
    time::{Duration, Instant},
};

use rustix::{
    event::{Timespec, epoll},
    fs::{Mode, OFlags},
};

use super::{
    cgroups,
    client::{PID_FILE, SOCKET_FILE},
    connection::Connection,
    reap,
    start::Common,
    sys,
    tasks::Tasks,
    wire::{Notice, Order},
    workers::Workers,
};

/// Where Linux keeps how gladly it kills a process for memory.
const OOM_SCORE: &str = "/proc/self/oom_score_adj";
/// How long tasks have after SIGTERM when the launcher ends on its own account.
const END_GRACE: Duration = Duration::from_secs(3);
/// How long after that grace the launcher gives up on what doesn't die.
const END_PATIENCE: Duration = Duration::from_secs(10);
/// How often starts are looked at for their deadlines while there are any.
const DEADLINE_TICK: Duration = Duration::from_millis(250);
/// After so many notices, and with nothing under way, memory is given back.
const TRIM_AFTER: usize = 512;

const LISTENER: u64 = 0;
const AGENT: u64 = 1;
const SIGNALS: u64 = 2;
const WORKERS: u64 = 3;
/// A memory watch has this plus its descriptor.
const WATCH: u64 = 16;

/// Runs the launcher process: what `meros launcher` is. Call it before any thread exists.
///
/// Not for people: the agent starts it, with the listening socket as descriptor 0 and these
/// arguments: `--work-dir DIR --instance NAME --recovery-timeout-ms N [--hierarchy DIR]...`
pub fn main(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let options = match Options::parse(args) {
        Ok(options) => options,
        Err(message) => {
            eprintln!("meros launcher: {message}");
            return ExitCode::from(2);
        }
    };
    match EventLoop::set_up(options).and_then(EventLoop::run) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("meros launcher: {error}");
            ExitCode::FAILURE
        }
    }
}

#[derive(Debug, Default, PartialEq, Eq)]
struct Options {
    work_dir: PathBuf,
    instance: String,
    recovery_timeout: Duration,
    /// Mount points of the cgroup hierarchies in which the launcher gets a group of its own.
    hierarchies: Vec<PathBuf>,
}

impl Options {
    fn parse(args: impl IntoIterator<Item = OsString>) -> Result<Self, String> {
        let mut options = Self::default();
        let mut args = args.into_iter();
        while let Some(name) = args.next() {
            let name = name.to_string_lossy().into_owned();
            let value = args.next().ok_or_else(|| format!("{name} needs a value"))?;
            let text = || value.to_str().ok_or_else(|| format!("{name}: not UTF-8"));
            match name.as_str() {
                "--work-dir" => options.work_dir = value.into(),
                "--instance" => options.instance = text()?.to_owned(),
                "--recovery-timeout-ms" => {
                    let millis = text()?.parse().map_err(|_| format!("{name}: not a number"))?;
                    options.recovery_timeout = Duration::from_millis(millis);
                }
                "--hierarchy" => options.hierarchies.push(value.into()),
                _ => return Err(format!("{name} is unknown (the agent starts this process)")),
            }
        }
        if options.instance.is_empty() || options.work_dir.as_os_str().is_empty() {
            return Err("is started by the agent, not by hand".to_owned());
        }
        Ok(options)
    }
}

struct EventLoop {
    options: Options,
    epoll: OwnedFd,
    listener: UnixListener,
    signals: OwnedFd,
    agent: Option<Connection>,
    tasks: Tasks,
    /// Without an agent: when to give up waiting for one.
    alone_until: Option<Instant>,
    /// Once everything is to end: when to go whatever is left.
    end_by: Option<Instant>,
    /// Notices since memory was given back.
    untrimmed: usize,
}

impl EventLoop {
    fn set_up(options: Options) -> io::Result<Self> {
        sys::use_one_arena();
        sys::hold_signals();
        sys::close_from(3);
        // Its own session: a Ctrl-C at the agent's terminal is not for us. Fails for who leads one.
        let _ = rustix::process::setsid();
        rustix::process::chdir("/")?;
        rustix::process::umask(Mode::from_raw_mode(0o022));
        rustix::process::set_child_subreaper(Some(rustix::process::getpid()))?;
        for mount in &options.hierarchies {
            let own = own_group(mount, &options.instance);
            if let Err(error) = cgroups::join(&own) {
                eprintln!("could not join the cgroup {}: {error}", own.display());
            }
        }
        let common = Common { null: null()?, oom_score: protect_from_oom() };
        let listener = take_listener()?;
        listener.set_nonblocking(true)?;
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let signals = sys::signal_fd()?;
        let tasks = Tasks::new(Workers::new(common)?);
        let read = epoll::EventFlags::IN;
        epoll::add(&epoll, &listener, epoll::EventData::new_u64(LISTENER), read)?;
        epoll::add(&epoll, &signals, epoll::EventData::new_u64(SIGNALS), read)?;
        epoll::add(&epoll, tasks.wake(), epoll::EventData::new_u64(WORKERS), read)?;
        Ok(Self {
            alone_until: Some(Instant::now() + options.recovery_timeout),
            options,
            epoll,
            listener,
            signals,
            agent: None,
            tasks,
            end_by: None,
            untrimmed: 0,
        })
    }

    fn run(mut self) -> io::Result<()> {
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
                if let Some(fd) = event.data.u64().checked_sub(WATCH) {
                    self.tasks.out_of_memory(i32::try_from(fd).unwrap_or(-1), now);
                }
            }
            for event in &events {
                match event.data.u64() {
                    LISTENER => self.accept()?,
                    AGENT => self.hear_agent(now),
                    SIGNALS => self.take_signals(now),
                    WORKERS => self.tasks.take_done(now),
                    _ => {}
                }
            }
            self.tasks.due(now);
            self.tasks.give_up_overdue(now);
            if self.alone_until.is_some_and(|until| until <= now) {
                eprintln!("no agent came back in time: ending");
                self.end(END_GRACE, now);
            }
            self.tell_agent(now);
            if self.end_by.is_some_and(|by| self.tasks.is_empty() || by <= now) {
                self.go();
                return Ok(());
            }
        }
    }

    /// How long to wait for an event at most.
    fn timeout(&self) -> Option<Duration> {
        let now = Instant::now();
        let tick = self.tasks.is_starting().then(|| now + DEADLINE_TICK);
        let next = [self.tasks.next_timer(), self.alone_until, self.end_by, tick];
        next.into_iter().flatten().min().map(|at| at.saturating_duration_since(now))
    }

    fn accept(&mut self) -> io::Result<()> {
        loop {
            let stream = match self.listener.accept() {
                Ok((stream, _)) => stream,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => {
                    // It went away again, or we are out of descriptors: the next event tells.
                    eprintln!("could not accept an agent: {error}");
                    return Ok(());
                }
            };
            // One agent at a time: another one finds its stream closed, and says so.
            if self.agent.is_none() {
                let agent = Connection::new(stream)?;
                let (data, flags) = (epoll::EventData::new_u64(AGENT), epoll::EventFlags::IN);
                epoll::add(&self.epoll, &agent, data, flags)?;
                self.agent = Some(agent);
                self.alone_until = None;
            }
        }
    }

    fn hear_agent(&mut self, now: Instant) {
        let Some(agent) = &mut self.agent else { return };
        let Some(orders) = agent.receive() else { return self.lose_agent(now) };
        for order in orders {
            match order {
                // Answered by the connection.
                Order::Hello(_) => {}
                Order::Start(start) => self.tasks.start(*start),
                Order::Kill { container, grace_ms } => {
                    self.tasks.kill(&container, Duration::from_millis(grace_ms), now);
                }
                Order::End { grace_ms } => self.end(Duration::from_millis(grace_ms), now),
            }
        }
    }

    fn lose_agent(&mut self, now: Instant) {
        // Closing the stream takes it out of the epoll set.
        self.agent = None;
        if self.end_by.is_none() {
            self.alone_until = Some(now + self.options.recovery_timeout);
        }
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
        let by = now + grace + END_PATIENCE;
        self.end_by = Some(self.end_by.map_or(by, |before| before.min(by)));
        self.tasks.end(grace, now);
    }

    /// Hands the agent what there is to tell; without one, it is not told.
    fn tell_agent(&mut self, now: Instant) {
        let notices = self.tasks.take_notices();
        for notice in &notices {
            if let Notice::Started { container, .. } = notice {
                self.watch_memory(container);
            }
        }
        self.trim(notices.len());
        let Some(agent) = &mut self.agent else { return };
        let waited = agent.wants_to_write();
        notices.iter().for_each(|notice| agent.send(notice));
        if self.end_by.is_some() && self.tasks.is_empty() {
            agent.send(&Notice::Ended);
        }
        if agent.flush().is_err() {
            return self.lose_agent(now);
        }
        if agent.wants_to_write() != waited {
            let mut flags = epoll::EventFlags::IN;
            flags.set(epoll::EventFlags::OUT, !waited);
            let data = epoll::EventData::new_u64(AGENT);
            if let Err(error) = epoll::modify(&self.epoll, agent, data, flags) {
                eprintln!("could not wait for the agent to read: {error}");
            }
        }
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
        for file in [SOCKET_FILE, PID_FILE] {
            let _ = fs::remove_file(self.options.work_dir.join(file));
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

fn own_group(mount: &std::path::Path, instance: &str) -> PathBuf {
    cgroups::instance_dir(mount, instance).join("launcher")
}

/// The listening socket that the agent gave as descriptor 0, with `/dev/null` in its place.
fn take_listener() -> io::Result<UnixListener> {
    let listener = rustix::io::fcntl_dupfd_cloexec(rustix::stdio::stdin(), 3)?;
    rustix::stdio::dup2_stdin(&null()?)?;
    Ok(UnixListener::from(listener))
}

fn null() -> io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC;
    Ok(rustix::fs::open("/dev/null", flags, Mode::empty())?)
}

/// Makes the kernel spare the launcher, and returns what its tasks are to have instead.
fn protect_from_oom() -> Option<Vec<u8>> {
    let own = fs::read(OOM_SCORE).ok()?;
    cgroups::write(OOM_SCORE.as_ref(), b"-1000").ok()?;
    Some(own)
}

fn timespec(duration: Duration) -> Timespec {
    // Rounded up: woken before its time it would find nothing to do, and spin.
    let duration = duration.saturating_add(Duration::from_micros(1));
    Timespec {
        tv_sec: i64::try_from(duration.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: duration.subsec_nanos().into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn its_arguments_are_those_that_the_agent_gives() {
        let parse = |args: &[&str]| Options::parse(args.iter().map(OsString::from));
        let options = parse(&[
            "--work-dir",
            "/w",
            "--instance",
            "a-1",
            "--recovery-timeout-ms",
            "10000",
            "--hierarchy",
            "/sys/fs/cgroup/cpu",
            "--hierarchy",
            "/sys/fs/cgroup/memory",
        ])
        .expect("valid");
        assert_eq!(options.recovery_timeout, Duration::from_secs(10));
        assert_eq!(options.hierarchies.len(), 2);
        for args in [
            &[][..],
            &["--work-dir"],
            &["--work-dir", "/w"],
            &["--what", "x"],
            &["--recovery-timeout-ms", "soon"],
        ] {
            assert!(parse(args).is_err(), "{args:?}");
        }
    }
}
