//! Control groups as directories: made, joined, looked into, emptied and removed.
//!
//! Knows no controller: what is written into which file comes from the isolators.

use std::{
    ffi::OsStr,
    fs, io,
    os::{fd::OwnedFd, unix::ffi::OsStrExt},
    path::{Path, PathBuf},
};

use rustix::{
    fs::{Mode, OFlags},
    process::{Pid, Signal},
};

use super::wire::Group;

/// What is below the mount point of a hierarchy, ours alone.
const TOP: &str = "meros";

/// How often a frozen-and-killed group is looked at again before the caller has to come back.
const ROUNDS: usize = 3;

/// The directory that holds an agent's groups in the hierarchy mounted at `mount`.
pub(crate) fn instance_dir(mount: &Path, instance: &str) -> PathBuf {
    mount.join(TOP).join(instance)
}

/// The path of a group, from its bytes on the wire.
pub(crate) fn path(bytes: &[u8]) -> &Path {
    Path::new(OsStr::from_bytes(bytes))
}

/// Makes a group with its settings, and opens what is written to in order to join.
pub(crate) fn make(group: &Group) -> Result<OwnedFd, (String, io::Error)> {
    let dir = path(&group.dir);
    make_dir(dir).map_err(|error| (format!("make cgroup {}", dir.display()), error))?;
    for (file, contents) in &group.settings {
        let file = dir.join(path(file));
        write(&file, contents).map_err(|error| (format!("write {}", file.display()), error))?;
    }
    open_procs(dir).map_err(|error| (format!("open cgroup {}", dir.display()), error))
}

fn make_dir(dir: &Path) -> io::Result<()> {
    match fs::create_dir(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => fs::create_dir_all(dir),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        done => done,
    }
}

fn open_procs(dir: &Path) -> io::Result<OwnedFd> {
    let flags = OFlags::WRONLY | OFlags::CLOEXEC;
    Ok(rustix::fs::open(dir.join("cgroup.procs"), flags, Mode::empty())?)
}

/// Writes to a file that must exist: these file systems make no files.
pub(crate) fn write(file: &Path, contents: &[u8]) -> io::Result<()> {
    let file = rustix::fs::open(file, OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty())?;
    rustix::io::write(file, contents)?;
    Ok(())
}

/// Moves the calling process, with all its threads, into a group that is made if need be.
pub(crate) fn join(dir: &Path) -> io::Result<()> {
    make_dir(dir)?;
    write(&dir.join("cgroup.procs"), b"0")
}

/// The processes in a group, those of groups below it included.
pub(crate) fn processes(dir: &Path) -> io::Result<Vec<Pid>> {
    let listed = fs::read_to_string(dir.join("cgroup.procs"))?;
    let mut found: Vec<Pid> =
        listed.lines().filter_map(|line| Pid::from_raw(line.parse().ok()?)).collect();
    for below in below(dir) {
        found.extend(processes(&below).unwrap_or_default());
    }
    Ok(found)
}

/// The groups directly below one. Most have none.
fn below(dir: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(dir) else { return Vec::new() };
    entries
        .filter_map(Result::ok)
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
        .map(|entry| entry.path())
        .collect()
}

/// Sends a signal to each process of a group. True if there was one.
pub(crate) fn signal(dir: &Path, signal: Signal) -> bool {
    let found = processes(dir).unwrap_or_default();
    for pid in &found {
        // Gone meanwhile is as good.
        let _ = rustix::process::kill_process(*pid, signal);
    }
    !found.is_empty()
}

/// Kills all processes of a group so that none can fork away from it. They may take a moment to go.
pub(crate) fn kill(dir: &Path) {
    // v2: one write, and the kernel sees to it that nobody is missed, in groups below either.
    if write(&dir.join("cgroup.kill"), b"1").is_ok() {
        return;
    }
    // v1: who is frozen doesn't fork; the signal waits and strikes at the thaw.
    let freezer = dir.join("freezer.state");
    let freezes = write(&freezer, b"FROZEN").is_ok();
    for _ in 0..ROUNDS {
        if !signal(dir, Signal::KILL) {
            break;
        }
        if freezes {
            break;
        }
    }
    if freezes {
        let _ = write(&freezer, b"THAWED");
    }
}

/// What became of an attempt to remove a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Removal {
    /// It is gone, or was never there.
    Gone,
    /// Processes are in it still.
    Busy,
}

/// Removes a group and those below it, if no process is in them.
pub(crate) fn remove(dir: &Path) -> io::Result<Removal> {
    if let Some(done) = try_remove(dir)? {
        return Ok(done);
    }
    // Busy: by processes, or by groups that the task made below its own.
    for below in below(dir) {
        if remove(&below)? == Removal::Busy {
            return Ok(Removal::Busy);
        }
    }
    Ok(try_remove(dir)?.unwrap_or(Removal::Busy))
}

/// `None` when the directory says that it is in use, which has two reasons.
fn try_remove(dir: &Path) -> io::Result<Option<Removal>> {
    match fs::remove_dir(dir) {
        Ok(()) => Ok(Some(Removal::Gone)),
        Err(error) => match error.kind() {
            io::ErrorKind::NotFound => Ok(Some(Removal::Gone)),
            io::ErrorKind::ResourceBusy | io::ErrorKind::DirectoryNotEmpty => Ok(None),
            _ => Err(error),
        },
    }
}

/// Removes what holds an agent's groups in one hierarchy, as far as it is empty.
pub(crate) fn remove_instance(mount: &Path, instance: &str) {
    // Other agents of this host may be below `TOP`: then it stays.
    let _ = fs::remove_dir(instance_dir(mount, instance));
    let _ = fs::remove_dir(mount.join(TOP));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_that_is_not_there_is_gone() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        assert_eq!(remove(&dir.path().join("x")).expect("no error"), Removal::Gone);
        fs::create_dir_all(dir.path().join("x/y/z")).expect("writable");
        assert_eq!(remove(&dir.path().join("x")).expect("no error"), Removal::Gone);
    }

    #[test]
    fn a_setting_that_the_kernel_does_not_have_is_named_in_the_error() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let group = Group {
            dir: dir.path().join("g").as_os_str().as_bytes().to_vec(),
            settings: vec![(b"cpu.shares".to_vec(), b"2".to_vec())],
        };
        let (step, error) = make(&group).expect_err("this is no cgroup file system");
        assert!(step.ends_with("g/cpu.shares"), "{step}");
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
    }

    #[test]
    fn a_v1_group_is_killed_while_it_is_frozen() {
        let dir = Path::new("/sys/fs/cgroup/freezer").join(format!("meros-{}", std::process::id()));
        if fs::create_dir(&dir).is_err() {
            // No such hierarchy here, or not ours to write to.
            return;
        }
        let forks = "echo 0 > $0/cgroup.procs; trap '' TERM; \
                     while :; do sh -c 'sleep 0.01' & sleep 0.01; done";
        let mut child = std::process::Command::new("sh")
            .args(["-c", forks])
            .arg(&dir)
            .spawn()
            .expect("a shell");
        while processes(&dir).expect("readable").len() < 2 {
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
        while remove(&dir).expect("ours") == Removal::Busy {
            kill(&dir);
            let _ = child.try_wait();
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
        assert_eq!(child.wait().expect("it ended").code(), None);
    }
}
