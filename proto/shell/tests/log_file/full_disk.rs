//! A full disk, on a small file system in memory. Only root can have one: others skip these.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use meros_shell::durable::Durable;
use meros_shell::log_file::{LogFile, Room, Space};
use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};

use crate::words::{NAME, Word, long};

const SPACE: Space = Space { chunk_min: 64 << 10, chunk_max: 64 << 10, reserve: 64 << 10 };

/// A file system of 1 MiB.
struct Disk(tempfile::TempDir);

impl Disk {
    fn mount() -> Option<Self> {
        let dir = tempfile::tempdir().expect("a temporary folder");
        match mount("meros-test", dir.path(), "tmpfs", MountFlags::empty(), c"size=1m") {
            Ok(()) => Some(Self(dir)),
            Err(error) => {
                eprintln!("skipped: cannot mount a file system ({error})");
                None
            }
        }
    }

    fn path(&self) -> PathBuf {
        self.0.path().join("log")
    }

    /// Writes a file that takes all that is left.
    fn fill_up(&self) -> PathBuf {
        let path = self.0.path().join("others");
        let mut size = 1 << 20;
        while size >= 4096 {
            let mut bytes = fs::read(&path).unwrap_or_default();
            bytes.resize(bytes.len() + size, 1);
            let before = bytes.len() - size;
            if fs::write(&path, &bytes).is_err() {
                fs::write(&path, &bytes[..before]).expect("that much was there");
                size /= 2;
            }
        }
        path
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = unmount(self.0.path(), UnmountFlags::DETACH);
    }
}

fn open(path: &Path) -> (LogFile<Word>, Vec<Word>) {
    LogFile::open_with(path, NAME, SPACE).expect("a sound log")
}

/// Commits words until the log says `room`; returns how many.
fn commit_until(log: &mut LogFile<Word>, room: Room) -> usize {
    let deadline = Instant::now() + Duration::from_secs(20);
    let mut committed = 0;
    while log.room() != room {
        assert!(Instant::now() < deadline, "it never said {room:?}");
        log.commit(long(900)).expect("the reserve is not used up yet");
        committed += 1;
    }
    committed
}

#[test]
fn a_full_disk_is_told_the_reserve_is_used_and_its_end_loses_nothing() {
    let Some(disk) = Disk::mount() else { return };
    let (mut log, _) = open(&disk.path());
    disk.fill_up();
    let mut committed = commit_until(&mut log, Room::Reserve);
    assert_eq!(committed, 1, "it is told at once, not when what was filled is used up");
    let error = loop {
        match log.commit(long(900)) {
            Ok(()) => committed += 1,
            Err(error) => break error,
        }
    };
    assert_eq!(error.kind(), ErrorKind::StorageFull, "{error}");
    assert!(committed >= 130, "a chunk and the reserve hold 140 such words, not {committed}");
    // What is too large is refused, what fits is not.
    log.commit(long(1)).expect("a few bytes are left");
    let mut expected = vec![long(900).remove(0); committed];
    expected.extend(long(1));
    drop(log);
    let (mut log, records) = open(&disk.path());
    assert_eq!(records, expected);
    assert_eq!(log.room(), Room::Reserve, "known as soon as it is open");
    log.commit(long(900)).expect_err("still full");
}

#[test]
fn room_comes_back_when_the_disk_has_some_again() {
    let Some(disk) = Disk::mount() else { return };
    let (mut log, _) = open(&disk.path());
    let others = disk.fill_up();
    let before = commit_until(&mut log, Room::Reserve);
    let mut room = log.watch_room();
    assert_eq!(*room.borrow_and_update(), Room::Reserve);
    fs::remove_file(others).expect("it is there");
    // Nothing is committed meanwhile: the log asks again of its own accord.
    let deadline = Instant::now() + Duration::from_secs(20);
    while !room.has_changed().expect("the log is open") {
        assert!(Instant::now() < deadline, "it did not ask again");
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(log.room(), Room::Plenty);
    log.commit(long(100_000)).expect("room on the disk");
    drop(log);
    assert_eq!(open(&disk.path()).1.len(), before + 1);
}

#[test]
fn a_rewrite_on_a_full_disk_fails_and_leaves_the_old_log() {
    let Some(disk) = Disk::mount() else { return };
    let (mut log, _) = open(&disk.path());
    log.commit(long(1_000)).expect("room on the disk");
    disk.fill_up();
    let error = log.rewrite(&long(5)).expect_err("there is no room for another file");
    assert_eq!(error.kind(), ErrorKind::StorageFull, "{error}");
    assert!(!disk.path().with_extension("new").exists());
    log.commit(long(2_000)).expect("its space was set aside");
    drop(log);
    assert_eq!(open(&disk.path()).1, [long(1_000), long(2_000)].concat());
}

#[test]
fn a_log_cannot_be_made_on_a_full_disk() {
    let Some(disk) = Disk::mount() else { return };
    disk.fill_up();
    let error = LogFile::<Word>::open_with(&disk.path(), NAME, SPACE).expect_err("no room");
    assert!(error.to_string().contains("No space left"), "{error}");
    assert!(!disk.path().exists(), "nothing half-made remains");
}
