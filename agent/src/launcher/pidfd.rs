//! Processes by descriptor: which one a number means, whether it ended, and how.
//!
//! A number may be given to another process once the first was collected; a descriptor stays with
//! the process that it was opened for. Neither needs us to be its parent.

use std::{
    fs, io,
    os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd},
    sync::OnceLock,
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    process::{Pid, PidfdFlags, Signal, WaitId, WaitIdOptions},
};

use super::{tree, wire::End};

/// What [`rustix::fs::fstatfs`] says of descriptors that have an inode each (from Linux 6.9).
const PIDFS_MAGIC: u64 = 0x5049_4446;
/// `_IOWR(PIDFS_IOCTL_MAGIC, 11, struct pidfd_info)` with the structure as it is since Linux 6.13.
const GET_INFO: libc::Ioctl = 0xC040_FF0B_u32 as libc::Ioctl;
/// The exit status is asked for, and was filled in (from Linux 6.15).
const INFO_EXIT: u64 = 1 << 3;

/// Opens a process. Fails with `ESRCH` once it was collected.
pub(crate) fn open(pid: i32) -> io::Result<OwnedFd> {
    let pid = Pid::from_raw(pid).ok_or(io::ErrorKind::InvalidInput)?;
    Ok(rustix::process::pidfd_open(pid, PidfdFlags::empty())?)
}

/// A number that no other process of this boot has or had. 0 where the kernel has none (before 6.9).
pub(crate) fn identity(process: BorrowedFd<'_>) -> u64 {
    static HAS_INODES: OnceLock<bool> = OnceLock::new();
    let has_inodes = || {
        rustix::fs::fstatfs(process)
            .is_ok_and(|stat| u64::try_from(stat.f_type).is_ok_and(|kind| kind == PIDFS_MAGIC))
    };
    if !*HAS_INODES.get_or_init(has_inodes) {
        return 0;
    }
    rustix::fs::fstat(process).map_or(0, |stat| stat.st_ino)
}

/// Opens the process that had this identity when it had this number. `None` if it is gone.
pub(crate) fn open_same(pid: i32, known: u64) -> io::Result<Option<OwnedFd>> {
    match open(pid) {
        Ok(process) => {
            let same = known == 0 || identity(process.as_fd()) == known;
            Ok(same.then_some(process))
        }
        Err(error) if error.raw_os_error() == Some(libc::ESRCH) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Sends a signal. A process that ended is no error.
pub(crate) fn signal(process: BorrowedFd<'_>, signal: Signal) {
    let _ = rustix::process::pidfd_send_signal(process, signal);
}

/// Waits until a process ended, collected or not. True if it has.
pub(crate) fn wait(process: BorrowedFd<'_>, patience: std::time::Duration) -> bool {
    let timeout = Timespec {
        tv_sec: i64::try_from(patience.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: patience.subsec_nanos().into(),
    };
    let mut watched = [PollFd::new(&process, PollFlags::IN)];
    matches!(poll(&mut watched, Some(&timeout)), Ok(1..))
}

/// What is known of how a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It hasn't, or whoever is to collect it hasn't yet and we may not look.
    Open,
    Ended(End),
    /// It was collected by another, and the kernel doesn't keep the status.
    Unknown,
}

/// How the process with the number `pid` ended, which isn't our child as a rule.
pub(crate) fn fate(process: BorrowedFd<'_>, pid: i32) -> Fate {
    // As PID 1 of a container we inherit what a dead launcher leaves.
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG;
    if let Ok(Some(status)) = rustix::process::waitid(WaitId::PidFd(process), options) {
        let value = |status: Option<i32>| u8::try_from(status.unwrap_or(0)).unwrap_or(u8::MAX);
        return Fate::Ended(match status.exit_status() {
            Some(code) => End::Exit(value(Some(code))),
            None => End::Signal(value(status.terminating_signal())),
        });
    }
    if let Some(end) = kept_by_kernel(process) {
        return Fate::Ended(end);
    }
    if let Some(end) = uncollected(process, pid) {
        return Fate::Ended(end);
    }
    if !is_collected(process) {
        return Fate::Open;
    }
    // Collected between the two questions?
    kept_by_kernel(process).map_or(Fate::Unknown, Fate::Ended)
}

fn is_collected(process: BorrowedFd<'_>) -> bool {
    let none = std::ptr::null::<libc::siginfo_t>();
    #[expect(
        unsafe_code,
        reason = "the safe wrapper of this call can't send signal 0, which is none"
    )]
    // SAFETY: plain numbers, and a null pointer that stands for no further information.
    let sent =
        unsafe { libc::syscall(libc::SYS_pidfd_send_signal, process.as_raw_fd(), 0, none, 0_u32) };
    sent != 0 && io::Error::last_os_error().raw_os_error() == Some(libc::ESRCH)
}

#[repr(C)]
#[derive(Default)]
struct Info {
    mask: u64,
    cgroup: u64,
    /// Process numbers, users and groups.
    ids: [u32; 11],
    exit_code: i32,
}

/// The status of a process that was collected, whoever did it.
fn kept_by_kernel(process: BorrowedFd<'_>) -> Option<End> {
    let mut info = Info { mask: INFO_EXIT, ..Info::default() };
    #[expect(unsafe_code, reason = "PIDFD_GET_INFO has no safe wrapper among our dependencies")]
    // SAFETY: `info` is as long as the request says and outlives the call; the kernel writes plain
    // numbers to it. A kernel that doesn't know the request refuses it.
    let answer = unsafe { libc::ioctl(process.as_raw_fd(), GET_INFO, &raw mut info) };
    (answer == 0 && info.mask & INFO_EXIT != 0).then(|| of_wait_status(info.exit_code))
}

/// The status of a process that ended and that nobody has collected yet: so it is in a container
/// whose first process collects nobody, and for a moment everywhere.
fn uncollected(process: BorrowedFd<'_>, pid: i32) -> Option<End> {
    let fields = tree::stat_fields(pid)?;
    // The last of the 52 fields; it reads 0 for those who may not know.
    let (state, code) = (fields.first()?, fields.get(49)?.parse().ok()?);
    let told = state == "Z" && may_know(pid);
    // Still uncollected: so the number was, and is, that of this process.
    (told && !is_collected(process)).then(|| of_wait_status(code))
}

/// Whether the kernel tells us of a process all that its own user is told.
fn may_know(pid: i32) -> bool {
    let own = rustix::process::geteuid();
    if own.is_root() {
        return true;
    }
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let users = status.lines().find_map(|line| line.strip_prefix("Uid:"));
    users.is_some_and(|users| {
        users.split_ascii_whitespace().all(|user| user.parse() == Ok(own.as_raw()))
    })
}

fn of_wait_status(status: i32) -> End {
    match status & 0x7f {
        0 => End::Exit(((status >> 8) & 0xff) as u8),
        signal => End::Signal(signal as u8),
    }
}

#[cfg(test)]
mod tests {
    use std::{
        process::{Child, Command, Stdio},
        time::Duration,
    };

    use super::*;

    fn shell(line: &str) -> (Child, i32, OwnedFd) {
        let child =
            Command::new("sh").args(["-c", line]).stdin(Stdio::piped()).spawn().expect("a shell");
        let pid = i32::try_from(child.id()).expect("a number");
        let process = open(pid).expect("it is ours");
        (child, pid, process)
    }

    #[test]
    fn the_fate_of_a_child_is_its_wait_status() {
        for (line, end) in
            [("read x; exit 7", End::Exit(7)), ("read x; kill -9 $$", End::Signal(9))]
        {
            let (mut child, pid, process) = shell(line);
            assert_eq!(fate(process.as_fd(), pid), Fate::Open);
            assert!(!wait(process.as_fd(), Duration::ZERO));
            drop(child.stdin.take());
            assert!(wait(process.as_fd(), Duration::from_secs(20)));
            assert_eq!(uncollected(process.as_fd(), pid), Some(end));
            assert_eq!(fate(process.as_fd(), pid), Fate::Ended(end));
            // Collected by now; asked again, it depends on the kernel.
            let again = fate(process.as_fd(), pid);
            assert!([Fate::Ended(end), Fate::Unknown].contains(&again), "{again:?}");
            assert_eq!(uncollected(process.as_fd(), pid), None);
        }
    }

    #[test]
    fn the_fate_of_a_process_that_another_collected_is_kept_where_the_kernel_does() {
        let (mut child, pid, process) = shell("read x; exit 9");
        drop(child.stdin.take());
        child.wait().expect("ours");
        let kept = fate(process.as_fd(), pid);
        assert!([Fate::Ended(End::Exit(9)), Fate::Unknown].contains(&kept), "{kept:?}");
        let release = rustix::system::uname();
        let release = release.release().to_string_lossy().into_owned();
        let numbers: Vec<u32> = release.split('.').map_while(|part| part.parse().ok()).collect();
        if numbers.as_slice() >= &[6, 15][..] {
            assert_eq!(kept, Fate::Ended(End::Exit(9)), "Linux {release}");
        }
    }

    #[test]
    fn a_number_alone_does_not_name_a_process() {
        let (mut child, pid, process) = shell("read x");
        let identity = identity(process.as_fd());
        assert!(open_same(pid, identity).expect("it lives").is_some());
        assert!(open_same(pid, 0).expect("it lives").is_some());
        if identity != 0 {
            assert!(open_same(pid, identity + 1).expect("it lives").is_none());
        }
        drop(child.stdin.take());
        child.wait().expect("ours");
        assert!(open_same(pid, identity).expect("no error").is_none());
    }

    #[test]
    fn a_wait_status_is_read_as_the_kernel_writes_it() {
        assert_eq!(of_wait_status(0x0700), End::Exit(7));
        assert_eq!(of_wait_status(0x0009), End::Signal(9));
        // With a core dump.
        assert_eq!(of_wait_status(0x008b), End::Signal(11));
    }
}
