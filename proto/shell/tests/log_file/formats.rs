//! Logs of other releases.

use std::fs;
use std::path::{Path, PathBuf};

use meros_shell::durable::Durable;
use meros_shell::log_file::OpenError;

use crate::words::{held, open, place, words};

/// Ten words in two commits, written by the release that wrote format 1.
fn sample() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/formats/log-1/words.log")
}

#[test]
fn a_log_of_format_1_is_read_and_becomes_one_of_format_2() {
    let (_dir, path) = place();
    fs::copy(sample(), &path).expect("the sample is there");
    let (mut log, records) = open(&path).expect("a sound log");
    assert_eq!(records, words(0..10));
    assert_eq!(fs::read(&path).expect("readable")[8..12], 2u32.to_le_bytes());
    log.commit(words(10..12)).expect("room on the disk");
    drop(log);
    assert_eq!(held(&path).expect("a sound log"), words(0..12));
}

#[test]
fn a_log_of_format_1_that_was_cut_opens_with_the_records_that_were_whole() {
    let (_dir, path) = place();
    let bytes = fs::read(sample()).expect("the sample is there");
    let header = 8 + 4 + 4 + "test".len() + 4 + "0.1.0".len() + 4;
    for length in header..bytes.len() {
        fs::write(&path, &bytes[..length]).expect("writable");
        let records = held(&path).unwrap_or_else(|error| panic!("cut at {length}: {error}"));
        assert_eq!(records, words(0..records.len() as u32), "cut at {length}");
    }
}

#[test]
fn a_log_of_format_1_that_is_corrupt_is_refused_and_left_as_it_is() {
    let (_dir, path) = place();
    let sound = fs::read(sample()).expect("the sample is there");
    for at in 0..sound.len() - 15 {
        let mut bytes = sound.clone();
        bytes[at] ^= 0x40;
        fs::write(&path, &bytes).expect("writable");
        let error = held(&path).expect_err("something is lost");
        let told = matches!(error, OpenError::Corrupt { .. } | OpenError::Foreign { .. });
        assert!(told, "byte {at}: {error}");
        assert_eq!(fs::read(&path).expect("readable"), bytes, "nothing may be changed");
    }
}

#[test]
fn a_log_of_a_later_format_is_refused_by_its_number() {
    let (_dir, path) = place();
    drop(open(&path).expect("a fresh log"));
    let mut bytes = fs::read(&path).expect("readable");
    bytes[8] = 3;
    fs::write(&path, &bytes).expect("writable");
    let error = held(&path).expect_err("unknown").to_string();
    assert!(error.ends_with("a log of format 3; this release reads formats 1 to 2"), "{error}");
}
