//! A disk that lost what was acknowledged: refused with its place, and nothing is changed.

use std::fs;
use std::path::Path;

use meros_shell::durable::Durable;
use meros_shell::log_file::{LogFile, OpenError};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use crate::words::{NAME, Word, held, open, place, words};

const FIRST_BATCH: usize = 4096;

/// A log of ten commits.
fn write(path: &Path) -> Vec<u8> {
    let (mut log, _) = open(path).expect("a fresh log");
    for n in 0..10 {
        log.commit(words(4 * n..4 * n + 4)).expect("room on the disk");
    }
    drop(log);
    fs::read(path).expect("readable")
}

#[test]
fn a_changed_byte_before_the_last_commit_is_refused_with_its_place() {
    let (_dir, path) = place();
    let sound = write(&path);
    let end = sound.iter().rposition(|byte| *byte != 0).expect("it holds something");
    let id = &sound[12..20];
    let last = (FIRST_BATCH..end).rfind(|at| sound[*at..].starts_with(id)).expect("batches");
    let header = sound[..FIRST_BATCH].iter().rposition(|byte| *byte != 0).expect("a header");
    for at in (0..=header).chain(FIRST_BATCH..last) {
        let mut bytes = sound.clone();
        bytes[at] ^= 0x40;
        fs::write(&path, &bytes).expect("writable");
        let error = held(&path).expect_err("something is lost");
        match &error {
            OpenError::Corrupt { at: place, .. } => {
                assert!((FIRST_BATCH..=at).contains(&(*place as usize)), "{at}: {error}");
                assert!(error.to_string().contains("restore the file from a backup"), "{error}");
            }
            OpenError::Foreign { .. } => assert!(at <= header, "{at}: {error}"),
            other => panic!("byte {at} changed: {other}"),
        }
        assert_eq!(fs::read(&path).expect("readable"), bytes, "nothing may be changed");
    }
}

#[test]
fn whatever_bits_flip_no_record_is_invented_changed_or_skipped() {
    let (_dir, path) = place();
    let sound = write(&path);
    for seed in 0..1_000 {
        let mut rng = StdRng::seed_from_u64(seed);
        let mut bytes = sound.clone();
        let flips = [1, 1, 2, 8][seed as usize % 4];
        for _ in 0..flips {
            let at = rng.random_range(0..bytes.len());
            bytes[at] ^= 1 << rng.random_range(0..8);
        }
        fs::write(&path, &bytes).expect("writable");
        if let Ok(records) = held(&path) {
            assert_eq!(records, words(0..records.len() as u32), "seed {seed}");
            // What is left of the heads behind a broken commit tells that it was durable.
            let lost = (40 - records.len()).div_ceil(4);
            assert!(lost <= flips.min(2), "seed {seed}: {lost} commits taken for torn");
        }
    }
}

#[test]
fn bytes_of_another_place_or_another_log_are_no_batch() {
    let (_dir, path) = place();
    let (_other_dir, other_path) = place();
    let (sound, other) = (write(&path), write(&other_path));
    let end = sound.iter().rposition(|byte| *byte != 0).expect("it holds something") + 1;
    let stale = &other[FIRST_BATCH..];
    let mut bytes = sound.clone();
    let room = bytes.len() - end;
    bytes[end..].copy_from_slice(&stale[..room]);
    fs::write(&path, &bytes).expect("writable");
    assert_eq!(held(&path).expect("a sound log"), words(0..40));
    // The log's own first batches, further on.
    let mut bytes = sound;
    bytes.copy_within(FIRST_BATCH..end.min(FIRST_BATCH + room), end);
    fs::write(&path, &bytes).expect("writable");
    assert_eq!(held(&path).expect("a sound log"), words(0..40));
}

#[test]
fn another_log_an_empty_file_and_an_unknown_record_are_refused() {
    let (_dir, path) = place();
    write(&path);
    let error = LogFile::<Word>::open(&path, "agent").expect_err("another log");
    assert!(error.to_string().ends_with("a log of the test, not of the agent"), "{error}");
    for (text, why) in
        [("", "cut short"), ("MEROS", "cut short"), ("#!/bin/sh\n", "not a meros log")]
    {
        fs::write(&path, text).expect("writable");
        let error = LogFile::<Word>::open(&path, NAME).expect_err("no log");
        assert!(error.to_string().contains(why), "{error}");
        assert_eq!(fs::read(&path).expect("readable"), text.as_bytes());
    }
    fs::remove_file(&path).expect("it is there");
    open(&path).expect("a fresh log").0.commit(vec![Word("later".to_owned())]).expect("room");
    let error = held(&path).expect_err("a record of another release");
    assert!(error.to_string().contains("type 7 version 9 is unknown"), "{error}");
}
