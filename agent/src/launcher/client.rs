//! The agent's side: starts the launcher process, speaks with it, and ends what a previous agent left.
//!
//! The agent makes the listening socket and gives it to the launcher, so that it can connect to it
//! without having to wait for the launcher to get so far. The socket's file stays in the work
//! directory: through it the next agent finds a launcher that outlived its own.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read, Write},
    os::{
        fd::{AsRawFd, OwnedFd},
        unix::{
            fs::{OpenOptionsExt, PermissionsExt},
            net::{UnixListener, UnixStream},
        },
    },
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use meros_proto::versions;
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    fs::{Mode, OFlags},
    process::{Pid, PidfdFlags, Signal},
};
use tokio::io::Interest;

use super::{
    codec::Frames,
    tree,
    wire::{Hello, Notice, Order},
};
use crate::containerizer::{ContainerizerConfig, StartError};

/// The socket's name in the work directory.
pub(crate) const SOCKET_FILE: &str = "launcher.sock";
/// Holds the launcher's process number and when it was started, in ticks since boot.
pub(crate) const PID_FILE: &str = "launcher.pid";
/// What the launcher has to say to people.
const LOG_FILE: &str = "launcher.log";
/// Beyond this the log begins anew when a launcher is started.
const LOG_MAX: u64 = 1 << 20;
/// How long a launcher may take to answer the greeting.
const GREETING_PATIENCE: Duration = Duration::from_secs(10);
/// How long a launcher may take to notice that its agent is gone.
const AGENT_PATIENCE: Duration = Duration::from_secs(2);
/// How long a launcher of a previous agent may take to end what it runs.
const LEFTOVER_PATIENCE: Duration = Duration::from_secs(15);

/// The launcher process and the stream to it.
#[derive(Debug)]
pub(crate) struct Launcher {
    child: Child,
    stream: tokio::net::UnixStream,
    frames: Frames,
    buffer: Vec<u8>,
}

/// A launcher that was started and greeted, not yet in an async runtime's hands.
#[derive(Debug)]
pub(crate) struct Greeted {
    child: Child,
    stream: UnixStream,
    frames: Frames,
}

/// Starts a launcher and greets it. Blocks.
///
/// # Errors
/// See [`StartError`]; no launcher runs then.
pub(crate) fn start(
    config: &ContainerizerConfig,
    instance: &str,
    hierarchies: &[PathBuf],
) -> Result<Greeted, StartError> {
    let socket = Socket::in_dir(&config.work_dir).map_err(work_dir(config))?;
    let listener = socket.listen().map_err(work_dir(config))?;
    let log = open_log(&config.work_dir).map_err(work_dir(config))?;
    let mut command = Command::new(&config.launcher_exe);
    command
        .args(&config.launcher_args)
        .arg("--work-dir")
        .arg(&config.work_dir)
        .args(["--instance", instance, "--recovery-timeout-ms"])
        .arg(config.recovery_timeout.as_millis().to_string())
        // Tasks get theirs with each order.
        .env_clear()
        .stdin(OwnedFd::from(listener))
        .stdout(Stdio::null())
        .stderr(log);
    for mount in hierarchies {
        command.arg("--hierarchy").arg(mount);
    }
    let mut child = command
        .spawn()
        .map_err(|source| StartError::Spawn { exe: config.launcher_exe.clone(), source })?;
    // The command holds the listener too: dropped, so that a launcher that dies closes it.
    drop(command);
    let greeted =
        write_pid(&config.work_dir, child.id()).map_err(work_dir(config)).and_then(|()| {
            connect_and_greet(&socket)
                .map_err(|why| StartError::Greeting(explain(&mut child, &config.work_dir, why)))
        });
    match greeted {
        Ok((stream, frames)) => Ok(Greeted { child, stream, frames }),
        Err(error) => {
            let _ = child.kill();
            let _ = child.wait();
            Err(error)
        }
    }
}

/// Ends the launcher that a previous agent left in this work directory, and what it runs. Blocks.
///
/// # Errors
/// [`StartError::InUse`] and [`StartError::Leftover`].
pub(crate) fn end_previous(work_dir: &Path) -> Result<(), StartError> {
    let failed = |source| StartError::WorkDir { path: work_dir.to_owned(), source };
    let socket = Socket::in_dir(work_dir).map_err(failed)?;
    let noted = noted_process(work_dir);
    let until = Instant::now() + AGENT_PATIENCE;
    // An error says that nobody listens: at most a process on its way out.
    while let Ok(mut stream) = socket.connect() {
        let mut frames = Frames::default();
        match greet(&mut stream, &mut frames) {
            Ok(()) => ask_to_end(&mut stream, &mut frames),
            Err(Ungreeted::Closed) if noted.is_some() => {
                // It has an agent, or had one a moment ago.
                if Instant::now() > until {
                    return Err(StartError::InUse(work_dir.to_owned()));
                }
                std::thread::sleep(Duration::from_millis(50));
                continue;
            }
            // Stuck, or of a version that can't be spoken with: it goes the hard way.
            Err(_) => {}
        }
        break;
    }
    let Some(pid) = noted else { return Ok(()) };
    if wait_for_end(pid, Duration::from_secs(1)) {
        return Ok(());
    }
    // What it ran is found afterwards, by its cgroups and its marks.
    let _ = rustix::process::kill_process(pid, Signal::KILL);
    if wait_for_end(pid, LEFTOVER_PATIENCE) {
        Ok(())
    } else {
        Err(StartError::Leftover(pid.as_raw_nonzero().get()))
    }
}

fn ask_to_end(stream: &mut UnixStream, frames: &mut Frames) {
    let mut bytes = Vec::new();
    Order::End { grace_ms: 0 }.encode(&mut bytes);
    let until = Instant::now() + LEFTOVER_PATIENCE;
    if stream.write_all(&bytes).is_err() {
        return;
    }
    while let Ok(notice) = read_notice(stream, frames, until) {
        if notice == Notice::Ended {
            return;
        }
    }
}

/// The process that the pid file names, if it lives and is the same still.
fn noted_process(work_dir: &Path) -> Option<Pid> {
    let noted = fs::read_to_string(work_dir.join(PID_FILE)).ok()?;
    let (pid, started) = noted.trim().split_once(' ')?;
    let (pid, started): (i32, u64) = (pid.parse().ok()?, started.parse().ok()?);
    if tree::started_at(pid)? == started { Pid::from_raw(pid) } else { None }
}

fn write_pid(work_dir: &Path, pid: u32) -> io::Result<()> {
    let started = i32::try_from(pid).ok().and_then(tree::started_at).unwrap_or(0);
    fs::write(work_dir.join(PID_FILE), format!("{pid} {started}\n"))
}

/// True once the process ended, whoever is to collect it.
fn wait_for_end(pid: Pid, patience: Duration) -> bool {
    let Ok(process) = rustix::process::pidfd_open(pid, PidfdFlags::empty()) else { return true };
    let timeout = Timespec {
        tv_sec: i64::try_from(patience.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: patience.subsec_nanos().into(),
    };
    let mut watched = [PollFd::new(&process, PollFlags::IN)];
    matches!(poll(&mut watched, Some(&timeout)), Ok(1..))
}

/// The socket in a work directory, by a path that is short enough however long the directory's is:
/// such addresses hold 107 bytes.
struct Socket {
    path: PathBuf,
    _dir: OwnedFd,
}

impl Socket {
    fn in_dir(work_dir: &Path) -> io::Result<Self> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let dir = rustix::fs::open(work_dir, flags, Mode::empty())?;
        let path = format!("/proc/self/fd/{}/{SOCKET_FILE}", dir.as_raw_fd()).into();
        Ok(Self { path, _dir: dir })
    }

    fn listen(&self) -> io::Result<UnixListener> {
        match fs::remove_file(&self.path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let listener = UnixListener::bind(&self.path)?;
        fs::set_permissions(&self.path, fs::Permissions::from_mode(0o600))?;
        Ok(listener)
    }

    fn connect(&self) -> io::Result<UnixStream> {
        UnixStream::connect(&self.path)
    }
}

fn open_log(work_dir: &Path) -> io::Result<File> {
    let path = work_dir.join(LOG_FILE);
    let long = fs::metadata(&path).is_ok_and(|metadata| metadata.len() > LOG_MAX);
    let log = OpenOptions::new().create(true).append(true).mode(0o600).open(path)?;
    if long {
        log.set_len(0)?;
    }
    Ok(log)
}

/// Why there was no greeting.
#[derive(Debug)]
enum Ungreeted {
    Closed,
    Failed(String),
}

fn connect_and_greet(socket: &Socket) -> Result<(UnixStream, Frames), Ungreeted> {
    // Refused only by a launcher that is gone already: the socket listened before it was started.
    let mut stream = socket.connect().map_err(|_| Ungreeted::Closed)?;
    let mut frames = Frames::default();
    greet(&mut stream, &mut frames)?;
    Ok((stream, frames))
}

fn greet(stream: &mut UnixStream, frames: &mut Frames) -> Result<(), Ungreeted> {
    let mut bytes = Vec::new();
    Order::Hello(Hello::ours()).encode(&mut bytes);
    let until = Instant::now() + GREETING_PATIENCE;
    let answer = stream
        .write_all(&bytes)
        .and_then(|()| read_notice(stream, frames, until))
        .map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::BrokenPipe => Ungreeted::Closed,
            _ => Ungreeted::Failed(error.to_string()),
        })?;
    match answer {
        Notice::Hello(hello) => match versions::agree(hello.protocol_min, hello.protocol_max) {
            Some(_) => Ok(()),
            None => Err(Ungreeted::Failed(format!(
                "it is {} and speaks protocols {} to {}, we speak {} to {}",
                hello.version,
                hello.protocol_min,
                hello.protocol_max,
                versions::PROTOCOL_MIN,
                versions::PROTOCOL_MAX,
            ))),
        },
        other => Err(Ungreeted::Failed(format!("it said {other:?} before it greeted"))),
    }
}

fn read_notice(stream: &mut UnixStream, frames: &mut Frames, until: Instant) -> io::Result<Notice> {
    let invalid = |error| io::Error::new(io::ErrorKind::InvalidData, error);
    let mut buffer = [0; 4096];
    loop {
        if let Some(frame) = frames.take().map_err(invalid)? {
            return Notice::decode(frame).map_err(invalid);
        }
        let patience = until.saturating_duration_since(Instant::now());
        if patience.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        stream.set_read_timeout(Some(patience))?;
        match stream.read(&mut buffer) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(length) => frames.push(&buffer[..length]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// What went wrong at the start, with the last thing that the launcher itself said.
fn explain(child: &mut Child, work_dir: &Path, why: Ungreeted) -> String {
    let mut message = match why {
        Ungreeted::Failed(message) => message,
        // It closed the stream since it is on its way out: how, is known in a moment.
        Ungreeted::Closed => match child.wait() {
            Ok(status) => format!("it ended with {status}"),
            Err(error) => error.to_string(),
        },
    };
    if let Ok(log) = fs::read_to_string(work_dir.join(LOG_FILE))
        && let Some(last) = log.lines().next_back()
    {
        message = format!("{message}: {last}");
    }
    message
}

fn work_dir(config: &ContainerizerConfig) -> impl Fn(io::Error) -> StartError + use<> {
    let path = config.work_dir.clone();
    move |source| StartError::WorkDir { path: path.clone(), source }
}

impl Launcher {
    /// Takes over a launcher that was greeted. Call it in an async runtime.
    pub(crate) fn new(greeted: Greeted) -> io::Result<Self> {
        let Greeted { child, stream, frames } = greeted;
        stream.set_read_timeout(None)?;
        stream.set_nonblocking(true)?;
        let stream = tokio::net::UnixStream::from_std(stream)?;
        Ok(Self { child, stream, frames, buffer: vec![0; 64 << 10] })
    }

    /// Its process.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits until the launcher has said something or takes something, then reads what is there
    /// (if `read`) and writes what it takes of `orders`. Nothing is lost if it is not awaited to the
    /// end.
    ///
    /// # Errors
    /// Of the stream; `UnexpectedEof` when the launcher is gone.
    pub(crate) async fn turn(&mut self, read: bool, orders: &mut Vec<u8>) -> io::Result<()> {
        let interest = match (read, orders.is_empty()) {
            (true, true) => Interest::READABLE,
            (true, false) => Interest::READABLE | Interest::WRITABLE,
            (false, false) => Interest::WRITABLE,
            (false, true) => return std::future::pending().await,
        };
        let ready = self.stream.ready(interest).await?;
        if ready.is_writable() && !orders.is_empty() {
            match self.stream.try_write(orders) {
                Ok(written) => drop(orders.drain(..written)),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
        }
        if !ready.is_readable() || !read {
            return Ok(());
        }
        match self.stream.try_read(&mut self.buffer) {
            Ok(0) => Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(length) => {
                self.frames.push(&self.buffer[..length]);
                Ok(())
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// The next notice of those taken in.
    ///
    /// # Errors
    /// When it can't be understood.
    pub(crate) fn next_notice(&mut self) -> io::Result<Option<Notice>> {
        let invalid = |error| io::Error::new(io::ErrorKind::InvalidData, error);
        let Some(frame) = self.frames.take().map_err(invalid)? else { return Ok(None) };
        Notice::decode(frame).map(Some).map_err(invalid)
    }

    /// Closes the stream and waits for the process to end; kills it if it doesn't. Blocks.
    pub(crate) fn wait(mut self, patience: Duration) {
        drop(self.stream);
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        if pid.is_some_and(|pid| !wait_for_end(pid, patience)) {
            let _ = self.child.kill();
        }
        let _ = self.child.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_without_a_launcher_has_nothing_to_end() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        end_previous(dir.path()).expect("nothing to do");
        // A socket that nobody listens to, and the number of somebody else.
        drop(UnixListener::bind(dir.path().join(SOCKET_FILE)).expect("a socket"));
        fs::write(dir.path().join(PID_FILE), "1 12345678901\n").expect("writable");
        end_previous(dir.path()).expect("nothing to do");
        assert!(end_previous(&dir.path().join("nope")).is_err());
    }

    #[test]
    fn a_launcher_that_says_nothing_is_known_by_its_number_and_start() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let mut child = Command::new("sleep").arg("60").spawn().expect("sleep");
        write_pid(dir.path(), child.id()).expect("writable");
        end_previous(dir.path()).expect("it can be killed");
        assert!(!child.wait().expect("it ended").success());
    }

    #[test]
    fn a_socket_may_lie_deep() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let deep = dir.path().join("d".repeat(100)).join("e".repeat(100));
        fs::create_dir_all(&deep).expect("writable");
        let socket = Socket::in_dir(&deep).expect("it exists");
        let _listener = socket.listen().expect("a socket");
        socket.connect().expect("somebody listens");
        assert!(deep.join(SOCKET_FILE).exists());
    }
}
