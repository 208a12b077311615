//! How one launcher takes the place of another, in the same process: by `execve`.
//!
//! The process stays, so its children stay its children, and nobody else has to know. What the old
//! program knew goes to the new one through a file in memory ([`state_file`](super::state_file));
//! the descriptors that matter stay open under their numbers. While no start is under way there is
//! nothing else: a start's child would not be known by either.
//!
//! The new program is not tried out here: whoever asks for an upgrade has asked it before whether it
//! runs and reads our format. Should it still fail, it is as if the launcher had died, and the agent
//! follows the tasks.

use std::{
    ffi::{CString, OsString},
    fs::File,
    io::{self, Read, Seek, Write},
    os::{
        fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd},
        unix::ffi::OsStringExt,
    },
    time::{Duration, Instant},
};

use rustix::{fs::MemfdFlags, io::FdFlags};

use super::{
    ends::Outcome,
    options::Options,
    peers::Peers,
    state_file::{AgentState, StageState, State, StateError, TaskState},
    sys,
    tasks::{Stage, Task, Tasks},
    wire::Start,
};

/// The program that is to take our place.
#[derive(Debug)]
pub(super) struct Successor {
    pub(super) program: Vec<u8>,
    /// What makes it a launcher; our own arguments follow.
    pub(super) args: Vec<Vec<u8>>,
}

/// Hands over and goes on as `successor`. Returns only if that could not be, and then as if nothing
/// had been tried.
pub(super) fn hand_over(
    successor: &Successor,
    options: &Options,
    peers: &Peers,
    tasks: &Tasks,
    now: Instant,
) -> io::Error {
    let Some(agent) = peers.agent() else { return io::Error::other("the agent is gone") };
    let Some(hello) = agent.hello() else { return io::Error::other("the agent did not greet") };
    let (unread, unsent) = agent.under_way();
    let state = State {
        oom_score: tasks.workers.common().oom_score.clone(),
        listener: peers.listener().as_raw_fd(),
        agent: AgentState {
            stream: agent.as_fd().as_raw_fd(),
            hello: hello.clone(),
            unread: unread.to_vec(),
            unsent: unsent.to_vec(),
        },
        tasks: tasks.tasks.iter().map(|(name, task)| task_state(name, task, now)).collect(),
        queued: tasks.workers.queued(),
        ends: tasks.ends.all().map(|(name, outcome)| (name.to_owned(), outcome.clone())).collect(),
    };
    match execute(successor, options, &state, peers, tasks) {
        Ok(never) => match never {},
        Err(error) => error,
    }
}

fn execute(
    successor: &Successor,
    options: &Options,
    state: &State,
    peers: &Peers,
    tasks: &Tasks,
) -> io::Result<std::convert::Infallible> {
    let memory = rustix::fs::memfd_create("meros-launcher-state", MemfdFlags::CLOEXEC)?;
    let mut file = File::from(memory);
    file.write_all(&state.encode())?;
    let options = Options { resume: Some(file.as_raw_fd()), ..options.clone() };
    let program = c_string(successor.program.clone())?;
    let mut argv = vec![program.clone()];
    for argument in &successor.args {
        argv.push(c_string(argument.clone())?);
    }
    for argument in options.to_args() {
        argv.push(c_string(argument.into_vec())?);
    }
    let env: Vec<CString> = std::env::vars_os()
        .map(|(name, value)| {
            let mut variable: OsString = name;
            variable.push("=");
            variable.push(value);
            c_string(variable.into_vec())
        })
        .collect::<Result<_, _>>()?;

    let watches = tasks.tasks.values().filter_map(|task| task.oom_events.as_ref());
    let mut kept: Vec<BorrowedFd<'_>> = watches.map(AsFd::as_fd).collect();
    kept.extend([file.as_fd(), peers.listener()]);
    kept.extend(peers.agent().map(AsFd::as_fd));
    let inherited = kept.iter().try_for_each(|fd| rustix::io::fcntl_setfd(fd, FdFlags::empty()));
    let error = match inherited {
        Ok(()) => sys::execute(&program, &argv, &env),
        Err(error) => error.into(),
    };
    // No task is to inherit them.
    for fd in kept {
        rustix::io::fcntl_setfd(fd, FdFlags::CLOEXEC)?;
    }
    Err(error)
}

fn c_string(bytes: Vec<u8>) -> io::Result<CString> {
    CString::new(bytes).map_err(|_| io::ErrorKind::InvalidInput.into())
}

fn task_state(name: &str, task: &Task, now: Instant) -> TaskState {
    TaskState {
        name: name.to_owned(),
        stage: match task.stage {
            Stage::Starting => StageState::Starting,
            Stage::Running { main } => StageState::Running(main),
            Stage::Ending { main, end, .. } => StageState::Ending(main, end),
        },
        kill_ms: task.kill_at.map(|at| {
            u64::try_from(at.saturating_duration_since(now).as_millis()).unwrap_or(u64::MAX)
        }),
        groups: task.traces.groups(name),
        reports: task.traces.reports(name),
        marker: task.traces.marker(name),
        oom_events: task.oom_events.as_ref().map(AsRawFd::as_raw_fd),
        oom: task.oom,
        given_up: task.given_up,
    }
}

/// Reads what the launcher before us left. The file is gone afterwards.
pub(super) fn read_state(fd: RawFd) -> io::Result<State> {
    let mut file = File::from(take(fd)?);
    let mut bytes = Vec::new();
    file.rewind()?;
    file.read_to_end(&mut bytes)?;
    let invalid = |error: StateError| io::Error::new(io::ErrorKind::InvalidData, error);
    State::decode(&bytes).map_err(invalid)
}

/// Takes a descriptor that the launcher before us left open.
pub(super) fn take(fd: RawFd) -> io::Result<OwnedFd> {
    let fd = sys::inherited(fd)?;
    rustix::io::fcntl_setfd(&fd, FdFlags::CLOEXEC)?;
    Ok(fd)
}

/// A task as it was left, with its descriptor.
#[derive(Debug)]
pub(super) struct Left {
    task: TaskState,
    oom_events: Option<OwnedFd>,
}

/// Takes the descriptors of all tasks.
pub(super) fn take_watches(tasks: Vec<TaskState>) -> io::Result<Vec<Left>> {
    let with_watch = |task: TaskState| {
        let oom_events = task.oom_events.map(take).transpose()?;
        Ok(Left { task, oom_events })
    };
    tasks.into_iter().map(with_watch).collect()
}

/// Takes over the tasks, the ends and the starts that were not begun.
pub(super) fn resume(
    tasks: &mut Tasks,
    left: Vec<Left>,
    queued: Vec<Start>,
    ends: Vec<(String, Outcome)>,
    now: Instant,
) {
    for (name, outcome) in ends {
        tasks.ends.keep(&name, outcome);
    }
    for order in queued {
        tasks.start(order);
    }
    for Left { task, oom_events } in left {
        let stage = match task.stage {
            // Among the queued.
            StageState::Starting => continue,
            StageState::Running(main) => Stage::Running { main },
            StageState::Ending(main, end) => Stage::Ending { main, end, round: 0 },
        };
        let kill_at = task.kill_ms.map(|millis| now + Duration::from_millis(millis));
        let traces = tasks.traces(&task.name, &task.groups, &task.reports, &task.marker);
        let (oom, given_up) = (task.oom, task.given_up);
        let resumed = Task { stage, kill_at, traces, oom_events, oom, given_up };
        tasks.resume(&task.name, resumed, now);
    }
}
