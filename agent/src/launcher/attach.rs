//! The agent's way to a launcher: finds the one that runs, greets it, hears what it has. Blocks.

use std::{
    io::{self, Read, Write},
    os::{
        fd::{AsFd, OwnedFd},
        unix::net::UnixStream,
    },
    path::Path,
    process::Child,
    time::{Duration, Instant},
};

use rustix::process::Signal;

use super::{
    codec::Frames,
    pidfd,
    socket::{self, Noted, Socket},
    wire::{Hello, Notice, Order, PROTOCOL_MAX, PROTOCOL_MIN},
};
use crate::containerizer::StartError;

/// How long a launcher may take to answer the greeting.
const GREETING_PATIENCE: Duration = Duration::from_secs(10);
/// How long a launcher may take to notice that its agent is gone, or the kernel to end one.
const AGENT_PATIENCE: Duration = Duration::from_secs(2);
/// How long a launcher that was killed may take to go.
const KILL_PATIENCE: Duration = Duration::from_secs(15);

/// A launcher that was greeted, not yet in an async runtime's hands.
#[derive(Debug)]
pub(crate) struct Attached {
    pub(super) stream: UnixStream,
    pub(super) frames: Frames,
    /// What it greeted us with.
    pub(crate) hello: Hello,
    pub(super) process: OwnedFd,
    /// Where it is our child, to be collected.
    pub(super) child: Option<Child>,
    /// Every state that it told of.
    pub(crate) inventory: Vec<Notice>,
}

/// Takes over the launcher of this work directory, if one runs.
///
/// One that doesn't answer is killed: its tasks live on, and are followed without it.
///
/// # Errors
/// See [`StartError`].
pub(crate) fn find(work_dir: &Path, instance: &str) -> Result<Option<Attached>, StartError> {
    let failed = |source| StartError::WorkDir { path: work_dir.to_owned(), source };
    let socket = Socket::in_dir(work_dir).map_err(failed)?;
    let until = Instant::now() + AGENT_PATIENCE;
    loop {
        let noted = socket::noted_process(work_dir, instance);
        let noted = noted.filter(|noted| !pidfd::wait(noted.process.as_fd(), Duration::ZERO));
        let met = socket.connect().map_err(|_| Ungreeted::Closed).and_then(|stream| {
            let attached = Attached::greet(stream, instance)?;
            attached.check_process(noted.as_ref()).map(|()| attached)
        });
        match (met, noted) {
            (Ok(mut attached), _) => {
                attached.hear_inventory().map_err(|why| StartError::Greeting(why.to_string()))?;
                let pid = i32::try_from(attached.hello.pid).unwrap_or(0);
                socket::note_process(work_dir, pid).map_err(failed)?;
                return Ok(Some(attached));
            }
            // On its way out, or with an agent that is; or with one that stays.
            (Err(Ungreeted::Closed), Some(_)) if Instant::now() < until => {
                std::thread::sleep(Duration::from_millis(50));
            }
            (Err(Ungreeted::Closed), Some(_)) if socket.connect().is_ok() => {
                return Err(StartError::InUse(work_dir.to_owned()));
            }
            (Err(Ungreeted::Foreign(hello)), _) => return Err(foreign(work_dir, instance, &hello)),
            // Nobody listens, and nobody is to.
            (Err(_), None) => return Ok(None),
            (Err(why), Some(noted)) => {
                tracing::warn!(pid = noted.pid, %why, "the launcher does not answer: killed");
                end(&noted)?;
            }
        }
    }
}

/// Kills a launcher that can't be spoken with.
fn end(noted: &Noted) -> Result<(), StartError> {
    pidfd::signal(noted.process.as_fd(), Signal::KILL);
    if pidfd::wait(noted.process.as_fd(), KILL_PATIENCE) {
        Ok(())
    } else {
        Err(StartError::Leftover(noted.pid))
    }
}

fn foreign(work_dir: &Path, instance: &str, hello: &Hello) -> StartError {
    let what = if hello.agreed().is_none() {
        format!(
            "is version {} and speaks protocols {} to {}, this agent {PROTOCOL_MIN} to {PROTOCOL_MAX}",
            hello.version, hello.protocol_min, hello.protocol_max
        )
    } else {
        format!("is that of {:?}, this agent is {instance:?}", hello.instance)
    };
    StartError::Foreign { work_dir: work_dir.to_owned(), pid: hello.pid, what }
}

/// Why there was no greeting.
#[derive(Debug)]
pub(super) enum Ungreeted {
    /// Nobody listens, or the stream was closed at once.
    Closed,
    /// It is not for us.
    Foreign(Box<Hello>),
    Failed(String),
}

impl std::fmt::Display for Ungreeted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Closed => f.write_str("it closes the stream"),
            Self::Foreign(hello) => write!(f, "it is version {}", hello.version),
            Self::Failed(why) => f.write_str(why),
        }
    }
}

impl From<io::Error> for Ungreeted {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::UnexpectedEof
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::BrokenPipe => Self::Closed,
            _ => Self::Failed(error.to_string()),
        }
    }
}

impl Attached {
    /// Greets whoever is at the other end of a stream.
    pub(super) fn greet(mut stream: UnixStream, instance: &str) -> Result<Self, Ungreeted> {
        let mut bytes = Vec::new();
        Order::Hello(Hello::ours(instance)).encode(&mut bytes);
        stream.set_write_timeout(Some(GREETING_PATIENCE))?;
        stream.write_all(&bytes)?;
        let until = Instant::now() + GREETING_PATIENCE;
        let mut frames = Frames::default();
        let hello = match read_notice(&mut stream, &mut frames, until)? {
            Notice::Hello(hello) => hello,
            other => return Err(Ungreeted::Failed(format!("it said {other:?} before it greeted"))),
        };
        if hello.agreed().is_none() || hello.instance != instance {
            return Err(Ungreeted::Foreign(Box::new(hello)));
        }
        let process = i32::try_from(hello.pid).map_err(|_| Ungreeted::Closed)?;
        let process = pidfd::open(process)?;
        Ok(Self { stream, frames, hello, process, child: None, inventory: Vec::new() })
    }

    /// Checks that the process at the other end is the one that it says, and that was noted.
    fn check_process(&self, noted: Option<&Noted>) -> Result<(), Ungreeted> {
        let own = rustix::process::geteuid();
        let peer = rustix::net::sockopt::socket_peercred(&self.stream).map_err(io::Error::from)?;
        let (said, is) = (self.hello.pid, peer.pid.as_raw_nonzero().get().unsigned_abs());
        if said != is || (peer.uid != own && !peer.uid.is_root()) {
            return Err(Ungreeted::Failed(format!(
                "it says that it is process {said}, and is {is}"
            )));
        }
        match noted.map(|noted| noted.pid.unsigned_abs()) {
            Some(noted) if noted != said => {
                Err(Ungreeted::Failed(format!("process {said} answers in its place")))
            }
            _ => Ok(()),
        }
    }

    /// Takes in the list that follows the greeting.
    pub(super) fn hear_inventory(&mut self) -> io::Result<()> {
        let until = Instant::now() + GREETING_PATIENCE;
        loop {
            match read_notice(&mut self.stream, &mut self.frames, until)? {
                Notice::Listed => return Ok(()),
                notice => self.inventory.push(notice),
            }
        }
    }

    /// Waits until `settled` says of what was told that it is, but not beyond `patience`.
    ///
    /// # Errors
    /// When the stream ends.
    pub(crate) fn hear_until(
        &mut self,
        patience: Duration,
        settled: impl Fn(&[Notice]) -> bool,
    ) -> io::Result<()> {
        let until = Instant::now() + patience;
        while !settled(&self.inventory) {
            match read_notice(&mut self.stream, &mut self.frames, until) {
                Ok(notice) => self.inventory.push(notice),
                Err(error)
                    if [io::ErrorKind::TimedOut, io::ErrorKind::WouldBlock]
                        .contains(&error.kind()) =>
                {
                    return Ok(());
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Lets go of a launcher that is ending, and kills it if it doesn't.
    pub(crate) fn release(self) {
        drop(self.stream);
        if !pidfd::wait(self.process.as_fd(), AGENT_PATIENCE) {
            pidfd::signal(self.process.as_fd(), Signal::KILL);
            pidfd::wait(self.process.as_fd(), KILL_PATIENCE);
        }
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

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::net::UnixListener, process::Command};

    use super::*;

    #[test]
    fn a_directory_without_a_launcher_has_none_to_take_over() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        assert!(find(dir.path(), "a").expect("no error").is_none());
        // A socket that nobody listens to, and the number of somebody else.
        drop(UnixListener::bind(dir.path().join(socket::SOCKET_FILE)).expect("a socket"));
        fs::write(dir.path().join(socket::PID_FILE), "1 12345678901\n").expect("writable");
        assert!(find(dir.path(), "a").expect("no error").is_none());
        assert!(find(&dir.path().join("nope"), "a").is_err());
    }

    #[test]
    fn a_launcher_that_can_not_be_reached_is_killed() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let mut child = Command::new("sh")
            .args(["-c", "echo; sleep 60; true", "a-1"])
            .stdout(std::process::Stdio::piped())
            .spawn()
            .expect("a shell");
        // Only once it runs are its arguments to be seen for sure.
        child.stdout.take().expect("piped").read_exact(&mut [0]).expect("a line");
        let pid = i32::try_from(child.id()).expect("a number");
        socket::note_process(dir.path(), pid).expect("writable");
        assert!(find(dir.path(), "a-1").expect("it can be killed").is_none());
        assert!(!child.wait().expect("it ended").success());
    }

    /// Answers each that connects with `hello`.
    fn launcher(dir: &Path, hello: Hello) -> std::thread::JoinHandle<()> {
        let listener = UnixListener::bind(dir.join(socket::SOCKET_FILE)).expect("a socket");
        std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().expect("an agent");
            let mut bytes = Vec::new();
            Notice::Hello(hello).encode(&mut bytes);
            Notice::Starting { container: "c".to_owned() }.encode(&mut bytes);
            Notice::Listed.encode(&mut bytes);
            stream.write_all(&bytes).expect("the agent reads");
            let _ = stream.read(&mut [0; 1024]);
        })
    }

    #[test]
    fn a_launcher_of_another_protocol_or_instance_is_refused_with_what_to_do() {
        let too_new = Hello { protocol_min: 8, protocol_max: 9, ..Hello::ours("a-1") };
        let version_1 = Hello { protocol_min: 1, protocol_max: 1, ..Hello::ours("") };
        for (hello, why) in [
            (too_new, "speaks protocols 8 to 9, this agent 2 to 2"),
            (version_1, "speaks protocols 1 to 1, this agent 2 to 2"),
            (Hello::ours("b"), "is that of \"b\", this agent is \"a-1\""),
        ] {
            let dir = tempfile::tempdir().expect("a temporary directory");
            let thread = launcher(dir.path(), hello);
            let error = find(dir.path(), "a-1").expect_err("not for us").to_string();
            assert!(error.contains(why), "{error}");
            assert!(error.contains(&format!("`kill {}`", std::process::id())), "{error}");
            thread.join().expect("it answered");
        }
    }

    #[test]
    fn what_a_launcher_has_is_heard_with_its_greeting() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let thread = launcher(dir.path(), Hello::ours("a-1"));
        let found = find(dir.path(), "a-1").expect("no error").expect("a launcher");
        assert_eq!(found.inventory, [Notice::Starting { container: "c".to_owned() }]);
        drop(found);
        thread.join().expect("it answered");
        // One that lies about its number.
        let dir = tempfile::tempdir().expect("a temporary directory");
        let thread = launcher(dir.path(), Hello { pid: 1, ..Hello::ours("a-1") });
        assert!(find(dir.path(), "a-1").expect("no error").is_none());
        thread.join().expect("it answered");
    }
}
