//! The launcher process: what it is called with, and what it makes of itself before it works.

use std::{
    ffi::OsString,
    fs, io,
    os::{
        fd::OwnedFd,
        unix::net::{UnixListener, UnixStream},
    },
    process::ExitCode,
    time::Instant,
};

use rustix::fs::{Mode, OFlags};

use super::{
    cgroups,
    connection::Connection,
    event_loop::{self, EventLoop},
    options::{Options, Request},
    peers::Peers,
    start::Common,
    state_file::{self, State},
    sys,
    tasks::Tasks,
    upgrade,
    workers::Workers,
};

/// Where Linux keeps how gladly it kills a process for memory.
const OOM_SCORE: &str = "/proc/self/oom_score_adj";
/// How many may wait to be accepted.
const BACKLOG: i32 = 16;

/// Runs the launcher process: what `meros launcher` is. Call it before any thread exists.
///
/// Not for people: the agent starts it, with the listening socket as descriptor 0 and these
/// arguments: `--work-dir DIR --instance NAME --recovery-timeout-ms N [--hierarchy DIR]...`
///
/// `--can-read FORMAT` only asks, by the exit status, whether it could take the place of a launcher
/// that writes its state in this format.
pub fn main(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let options = match Request::parse(args) {
        Ok(Request::Run(options)) => options,
        Ok(Request::CanRead(format)) if state_file::can_read(format) => return ExitCode::SUCCESS,
        Ok(Request::CanRead(format)) => {
            eprintln!("meros launcher: can't read state format {format}");
            return ExitCode::FAILURE;
        }
        Err(message) => {
            eprintln!("meros launcher: {message}");
            return ExitCode::from(2);
        }
    };
    let set_up = match options.resume {
        Some(fd) => resume(options, fd),
        None => set_up(options),
    };
    match set_up.and_then(EventLoop::run) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("meros launcher: {error}");
            ExitCode::FAILURE
        }
    }
}

fn set_up(options: Options) -> io::Result<EventLoop> {
    sys::use_one_arena();
    sys::hold_signals();
    sys::close_from(3);
    // Its own session: a Ctrl-C at the agent's terminal is not for us. Fails for who leads one.
    let _ = rustix::process::setsid();
    rustix::process::chdir("/")?;
    rustix::process::umask(Mode::from_raw_mode(0o022));
    rustix::process::set_child_subreaper(Some(rustix::process::getpid()))?;
    for mount in &options.hierarchies {
        let own = event_loop::own_group(mount, &options.instance);
        if let Err(error) = cgroups::join(&own) {
            eprintln!("could not join the cgroup {}: {error}", own.display());
        }
    }
    let common = Common { null: null()?, oom_score: protect_from_oom() };
    let peers = Peers::new(take_listener()?);
    EventLoop::new(options, peers, Tasks::new(Workers::new(common)?))
}

/// Takes the place of another launcher, whose process this is.
fn resume(mut options: Options, fd: i32) -> io::Result<EventLoop> {
    sys::use_one_arena();
    sys::hold_signals();
    options.resume = None;
    // Before anything is opened: each descriptor has the number that the state says.
    let State { oom_score, listener, agent, tasks: left, queued, ends } = upgrade::read_state(fd)?;
    let listener = UnixListener::from(upgrade::take(listener)?);
    let stream = UnixStream::from(upgrade::take(agent.stream)?);
    let connection = Connection::resume(stream, agent.hello, &agent.unread, agent.unsent)?;
    let now = Instant::now();
    let left = upgrade::take_watches(left)?;
    rustix::process::set_child_subreaper(Some(rustix::process::getpid()))?;
    let mut tasks = Tasks::new(Workers::new(Common { null: null()?, oom_score })?);
    upgrade::resume(&mut tasks, left, queued, ends, now);
    let mut resumed = EventLoop::new(options, Peers::new(listener), tasks)?;
    resumed.resume(connection)?;
    Ok(resumed)
}

/// The listening socket that the agent gave as descriptor 0, with `/dev/null` in its place.
fn take_listener() -> io::Result<UnixListener> {
    let listener = rustix::io::fcntl_dupfd_cloexec(rustix::stdio::stdin(), 3)?;
    rustix::stdio::dup2_stdin(&null()?)?;
    // The agent listened already, so that it can connect before we are here. From now on it is us
    // whom the kernel names to who connects.
    rustix::net::listen(&listener, BACKLOG)?;
    let listener = UnixListener::from(listener);
    listener.set_nonblocking(true)?;
    Ok(listener)
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
