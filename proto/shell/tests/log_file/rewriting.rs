//! A log that goes on, and one that is put in another's place.

use std::fs;
use std::path::Path;

use meros_shell::durable::Durable;
use meros_shell::log_file::{LogFile, Room, Space};

use crate::words::{NAME, TINY, Word, held, long, open, place, words};

fn length(path: &Path) -> u64 {
    fs::metadata(path).expect("it is there").len()
}

#[test]
fn what_was_committed_is_found_again_and_more_can_follow() {
    let (_dir, path) = place();
    let (mut log, before) = open(&path).expect("a fresh log");
    assert_eq!(before, []);
    log.commit(words(0..4)).expect("room on the disk");
    log.commit(Vec::new()).expect("nothing to do");
    log.commit(words(4..10)).expect("room on the disk");
    drop(log);
    let (mut log, records) = open(&path).expect("a sound log");
    assert_eq!(records, words(0..10));
    log.commit(words(10..12)).expect("room on the disk");
    assert_eq!(held(&path).expect("a sound log"), words(0..12));
    LogFile::replace(&path, NAME, &words(3..5)).expect("room on the disk");
    assert_eq!(held(&path).expect("a sound log"), words(3..5));
}

#[test]
fn a_commit_within_the_filled_space_changes_neither_size_nor_blocks() {
    use std::os::unix::fs::MetadataExt;
    let (_dir, path) = place();
    let (mut log, _) = LogFile::open(&path, NAME).expect("a fresh log");
    let shape = || fs::metadata(&path).map(|m| (m.len(), m.blocks())).expect("it is there");
    let before = shape();
    assert!(before.0 > 3 << 20 && before.1 * 512 >= before.0, "{before:?}");
    for n in 0..100 {
        log.commit(words(n..n + 1)).expect("room on the disk");
    }
    assert_eq!(shape(), before);
}

#[test]
fn space_is_filled_ahead_of_commits_of_any_size() {
    let (_dir, path) = place();
    let (mut log, _) = open(&path).expect("a fresh log");
    let mut expected = Vec::new();
    for bytes in [0, 1, 500, 2_000, 5_000, 100_000, 3, 40_000] {
        log.commit(long(bytes)).expect("room on the disk");
        expected.extend(long(bytes));
        assert_eq!(log.room(), Room::Plenty);
    }
    drop(log);
    let end = 4096 + expected.iter().map(|word| word.0.len() as u64 + 32).sum::<u64>();
    assert!(length(&path) >= end + TINY.reserve, "the reserve is kept behind the last commit");
    assert_eq!(held(&path).expect("a sound log"), expected);
}

#[test]
fn a_small_log_takes_little_of_the_disk() {
    let (_dir, path) = place();
    LogFile::<Word>::open_with(&path, NAME, Space::SMALL).expect("a fresh log");
    assert!(length(&path) < 200 << 10);
}

#[test]
fn a_rewritten_log_holds_what_it_was_given_and_goes_on() {
    let (_dir, path) = place();
    let (mut log, _) = open(&path).expect("a fresh log");
    log.commit(long(100_000)).expect("room on the disk");
    log.rewrite(&words(0..3)).expect("room on the disk");
    log.commit(words(3..5)).expect("room on the disk");
    assert!(length(&path) < 20_000);
    log.rewrite(&[]).expect("room on the disk");
    assert_eq!(held(&path).expect("a sound log"), []);
    log.rewrite(&words(0..2)).expect("room on the disk");
    log.commit(words(2..3)).expect("room on the disk");
    drop(log);
    assert_eq!(held(&path).expect("a sound log"), words(0..3));
}

#[test]
fn a_rewrite_that_fails_leaves_the_old_log_which_goes_on() {
    let (_dir, path) = place();
    let (mut log, _) = open(&path).expect("a fresh log");
    log.commit(words(0..3)).expect("room on the disk");
    // A folder stands where the new file is to be written.
    let fresh = path.with_extension("new");
    fs::create_dir(&fresh).expect("nothing is there");
    log.rewrite(&words(0..1)).expect_err("it can't be written");
    log.commit(words(3..5)).expect("the old one is whole");
    drop(log);
    fs::remove_dir(&fresh).expect("it is there");
    assert_eq!(held(&path).expect("a sound log"), words(0..5));
}

#[test]
fn what_a_crash_left_of_a_new_file_is_removed() {
    let (dir, path) = place();
    drop(open(&path).expect("a fresh log"));
    fs::write(path.with_extension("new"), "half").expect("writable");
    assert_eq!(held(&path).expect("a sound log"), []);
    assert_eq!(fs::read_dir(dir.path()).expect("readable").count(), 1);
}
