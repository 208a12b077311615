//! A crash in the middle of a write: what was not acknowledged is cut off, whole, and no more.

use std::fs;

use meros_shell::durable::Durable;
use rand::rngs::StdRng;
use rand::{Rng, RngExt, SeedableRng};

use crate::words::{Word, held, long, open, place, words};

const SECTOR: usize = 512;

/// A log's bytes before and after its last commit.
struct Cut {
    before: Vec<u8>,
    after: Vec<u8>,
    kept: Vec<Word>,
    last: Vec<Word>,
}

/// Commits `last` to a log that holds words already.
fn committed(last: Vec<Word>) -> Cut {
    let (_dir, path) = place();
    let (mut log, _) = open(&path).expect("a fresh log");
    log.commit(words(0..40)).expect("room on the disk");
    log.commit(words(40..70)).expect("room on the disk");
    let before = fs::read(&path).expect("readable");
    log.commit(last.clone()).expect("room on the disk");
    drop(log);
    Cut { before, after: fs::read(&path).expect("readable"), kept: words(0..70), last }
}

impl Cut {
    /// The file as a crash leaves it when the write got to those sectors that `done` says.
    fn with_sectors(&self, mut done: impl FnMut(usize) -> bool) -> Vec<u8> {
        let mut bytes = self.after.clone();
        for (sector, piece) in bytes.chunks_mut(SECTOR).enumerate() {
            if !done(sector) {
                let at = sector * SECTOR;
                let old = self.before.get(at..).unwrap_or_default();
                let known = old.len().min(piece.len());
                piece[..known].copy_from_slice(&old[..known]);
                piece[known..].fill(0);
            }
        }
        bytes
    }

    /// The sectors that the last commit changed.
    fn changed(&self) -> Vec<usize> {
        let before = |at: usize| self.before.get(at).copied().unwrap_or(0);
        let differs = |sector: &usize| {
            let start = sector * SECTOR;
            self.after[start..]
                .iter()
                .take(SECTOR)
                .enumerate()
                .any(|(n, b)| *b != before(start + n))
        };
        (0..self.after.len().div_ceil(SECTOR)).filter(differs).collect()
    }

    /// The last commit is there whole or not at all, and the log can be written on.
    #[track_caller]
    fn check(&self, bytes: &[u8], case: &str) {
        let (_dir, path) = place();
        fs::write(&path, bytes).expect("writable");
        let (mut log, records) = open(&path).unwrap_or_else(|error| panic!("{case}: {error}"));
        let (kept, more) = records.split_at(self.kept.len().min(records.len()));
        assert_eq!(kept, self.kept, "{case}");
        assert!(more.is_empty() || more == self.last, "{case}");
        log.commit(words(0..1)).expect("room on the disk");
        log.commit(words(1..2)).expect("room on the disk");
        drop(log);
        let again = held(&path).unwrap_or_else(|error| panic!("{case}, written on: {error}"));
        assert_eq!(again, [records, words(0..2)].concat(), "{case}");
    }
}

#[test]
fn a_write_that_stopped_at_any_byte_is_cut_off() {
    let cut = committed(words(100..105));
    let start = cut.after.iter().zip(&cut.before).position(|(a, b)| a != b).expect("a change");
    let end = cut.after.iter().rposition(|byte| *byte != 0).expect("a change") + 1;
    for stop in start..=end {
        let mut bytes = cut.after.clone();
        bytes[stop..].fill(0);
        cut.check(&bytes, &format!("stopped at {stop}"));
    }
}

#[test]
fn a_write_of_which_any_sector_is_missing_is_cut_off() {
    let cut = committed([words(100..300), long(3_000)].concat());
    let changed = cut.changed();
    assert!(changed.len() > 10, "{changed:?}");
    for missing in &changed {
        let bytes = cut.with_sectors(|sector| sector != *missing);
        cut.check(&bytes, &format!("without sector {missing}"));
    }
}

#[test]
fn a_write_of_which_any_sectors_or_blocks_arrived_is_cut_off() {
    let cut = committed([words(100..300), long(9_000), words(5..9)].concat());
    for seed in 0..100 {
        let mut rng = StdRng::seed_from_u64(seed);
        let (share, together) = (rng.random_range(0.0..1.0), [1, 8][seed as usize % 2]);
        let done: Vec<bool> =
            (0..cut.after.len() / SECTOR + 1).map(|_| rng.random_bool(share)).collect();
        let bytes = cut.with_sectors(|sector| done[sector / together]);
        cut.check(&bytes, &format!("seed {seed}"));
    }
}

#[test]
fn a_file_cut_anywhere_behind_its_header_opens_with_the_commits_that_were_whole() {
    let cut = committed(words(100..103));
    let end = cut.after.iter().rposition(|byte| *byte != 0).expect("it holds something") + 1;
    for length in (4096..end).step_by(7).chain(end..cut.after.len()) {
        let (_dir, path) = place();
        fs::write(&path, &cut.after[..length]).expect("writable");
        let (mut log, records) = open(&path).unwrap_or_else(|error| panic!("{length}: {error}"));
        let whole = [0, 40, 70, 73].into_iter().find(|whole| *whole == records.len());
        let all = [cut.kept.clone(), cut.last.clone()].concat();
        assert_eq!(records, all[..whole.expect("whole commits")], "cut at {length}");
        log.commit(words(0..1)).expect("room on the disk");
        drop(log);
        assert_eq!(held(&path).expect("a sound log").len(), records.len() + 1);
    }
}

#[test]
fn histories_of_commits_and_crashes_keep_what_was_acknowledged() {
    for seed in 0..20 {
        let mut rng = StdRng::seed_from_u64(seed);
        let (_dir, path) = place();
        let mut acknowledged: Vec<Word> = Vec::new();
        for step in 0..20 {
            let (mut log, found) = open(&path).unwrap_or_else(|e| panic!("seed {seed}: {e}"));
            assert_eq!(found, acknowledged, "seed {seed} step {step}");
            for _ in 0..rng.random_range(0..4) {
                let batch = random_words(&mut rng);
                log.commit(batch.clone()).expect("room on the disk");
                acknowledged.extend(batch);
            }
            if rng.random_bool(0.1) {
                acknowledged.truncate(rng.random_range(0..=acknowledged.len()));
                log.rewrite(&acknowledged).expect("room on the disk");
            }
            let before = fs::read(&path).expect("readable");
            let batch = random_words(&mut rng);
            log.commit(batch.clone()).expect("room on the disk");
            drop(log);
            let after = fs::read(&path).expect("readable");
            let torn = Cut { before, after, kept: Vec::new(), last: Vec::new() };
            let bytes = torn.with_sectors(|_| rng.random_bool(0.7));
            if bytes == torn.after {
                acknowledged.extend(batch);
            }
            fs::write(&path, bytes).expect("writable");
        }
    }
}

fn random_words(rng: &mut impl Rng) -> Vec<Word> {
    let mut batch = words(0..rng.random_range(1..30));
    if rng.random_bool(0.3) {
        batch.extend(long(rng.random_range(0..6_000)));
    }
    batch
}
