//! Where an agent and its launcher meet: files in the agent's work directory.

use std::{
    fs, io,
    os::{
        fd::{AsRawFd, OwnedFd},
        unix::{
            fs::PermissionsExt,
            net::{UnixListener, UnixStream},
        },
    },
    path::{Path, PathBuf},
};

use rustix::fs::{Mode, OFlags};

use super::{pidfd, tree};

/// The socket's name in the work directory.
pub(crate) const SOCKET_FILE: &str = "launcher.sock";
/// Holds the launcher's process number and when it was started, in ticks since boot.
pub(crate) const PID_FILE: &str = "launcher.pid";

/// The socket in a work directory, by a path that is short enough however long the directory's is:
/// such addresses hold 107 bytes.
pub(super) struct Socket {
    path: PathBuf,
    _dir: OwnedFd,
}

impl Socket {
    pub(super) fn in_dir(work_dir: &Path) -> io::Result<Self> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let dir = rustix::fs::open(work_dir, flags, Mode::empty())?;
        let path = format!("/proc/self/fd/{}/{SOCKET_FILE}", dir.as_raw_fd()).into();
        Ok(Self { path, _dir: dir })
    }

    pub(super) fn listen(&self) -> io::Result<UnixListener> {
        match fs::remove_file(&self.path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let listener = UnixListener::bind(&self.path)?;
        fs::set_permissions(&self.path, fs::Permissions::from_mode(0o600))?;
        Ok(listener)
    }

    pub(super) fn connect(&self) -> io::Result<UnixStream> {
        UnixStream::connect(&self.path)
    }
}

/// A launcher's process as the pid file names it.
#[derive(Debug)]
pub(super) struct Noted {
    pub(super) pid: i32,
    pub(super) process: OwnedFd,
}

/// The process that the pid file names, if it lives and is this instance's launcher still.
pub(super) fn noted_process(work_dir: &Path, instance: &str) -> Option<Noted> {
    let noted = fs::read_to_string(work_dir.join(PID_FILE)).ok()?;
    let (pid, started) = noted.trim().split_once(' ')?;
    let (pid, started): (i32, u64) = (pid.parse().ok()?, started.parse().ok()?);
    let process = pidfd::open(pid).ok()?;
    // Opened first: what is read now is of the process that was opened, or of none.
    let command = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
    let is_ours = command.split(|byte| *byte == 0).any(|word| word == instance.as_bytes());
    (tree::started_at(pid)? == started && is_ours).then_some(Noted { pid, process })
}

/// Whether the pid file names the calling process, or nobody.
pub(super) fn notes_this_process(work_dir: &Path) -> bool {
    let noted = fs::read_to_string(work_dir.join(PID_FILE)).unwrap_or_default();
    noted
        .split(' ')
        .next()
        .is_none_or(|pid| pid.is_empty() || pid.parse() == Ok(std::process::id()))
}

/// Notes a launcher for those who come when its socket doesn't answer.
pub(super) fn note_process(work_dir: &Path, pid: i32) -> io::Result<()> {
    let started = tree::started_at(pid).unwrap_or(0);
    fs::write(work_dir.join(PID_FILE), format!("{pid} {started}\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_may_lie_deep() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let deep = dir.path().join("d".repeat(100)).join("e".repeat(100));
        fs::create_dir_all(&deep).expect("writable");
        let socket = Socket::in_dir(&deep).expect("it exists");
        let _listener = socket.listen().expect("a socket");
        socket.connect().expect("somebody listens");
        assert!(deep.join(SOCKET_FILE).exists());
        // A second listener takes the place of one that is gone.
        socket.listen().expect("a socket");
    }

    #[test]
    fn a_launcher_is_known_by_its_number_its_start_and_its_instance() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let noted = |instance: &str| noted_process(dir.path(), instance).map(|noted| noted.pid);
        assert_eq!(noted("a"), None);
        assert!(notes_this_process(dir.path()));
        let mut child = std::process::Command::new("sh")
            .args(["-c", "echo; read x", "a", "b-1"])
            .stdin(std::process::Stdio::piped())
            .stdout(std::process::Stdio::piped())
            .spawn()
            .expect("a shell");
        // Only once it runs are its arguments to be seen for sure.
        let mut said = child.stdout.take().expect("piped");
        std::io::Read::read_exact(&mut said, &mut [0]).expect("a line");
        let pid = i32::try_from(child.id()).expect("a number");
        note_process(dir.path(), pid).expect("writable");
        assert_eq!(noted("b-1"), Some(pid));
        assert!(!notes_this_process(dir.path()));
        assert_eq!(noted("b-2"), None);
        fs::write(dir.path().join(PID_FILE), format!("{pid} 1\n")).expect("writable");
        assert_eq!(noted("b-1"), None);
        drop(child.stdin.take());
        child.wait().expect("ours");
    }
}
