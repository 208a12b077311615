//! A log of words, small enough to break it in every place.

use std::ops::Range;
use std::path::{Path, PathBuf};

use meros_proto::record::{BadRecord, Record, RecordKind};
use meros_shell::log_file::{LogFile, OpenError, Space};

/// What the logs of these tests hold, as their headers say.
pub(crate) const NAME: &str = "test";
const WORD: RecordKind = RecordKind { number: 7, version: 1 };

/// Little enough that a file is read and broken thousands of times in a second.
pub(crate) const TINY: Space = Space { chunk_min: 2 << 10, chunk_max: 4 << 10, reserve: 1 << 10 };

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Word(pub(crate) String);

impl Record for Word {
    fn kind(&self) -> RecordKind {
        if self.0 == "later" { RecordKind { version: 9, ..WORD } } else { WORD }
    }
    fn encode(&self, out: &mut Vec<u8>) {
        out.extend(self.0.as_bytes());
    }
    fn decode(kind: RecordKind, body: &[u8]) -> Result<Self, BadRecord> {
        match (kind, std::str::from_utf8(body)) {
            (WORD, Ok(text)) => Ok(Self(text.to_owned())),
            _ => Err(BadRecord::Unknown(kind)),
        }
    }
}

/// The words with these numbers.
pub(crate) fn words(range: Range<u32>) -> Vec<Word> {
    range.map(|n| Word("x".repeat(n as usize % 7) + &n.to_string())).collect()
}

/// One word of so many bytes.
pub(crate) fn long(bytes: usize) -> Vec<Word> {
    vec![Word("w".repeat(bytes))]
}

pub(crate) fn open(path: &Path) -> Result<(LogFile<Word>, Vec<Word>), OpenError> {
    LogFile::open_with(path, NAME, TINY)
}

pub(crate) fn held(path: &Path) -> Result<Vec<Word>, OpenError> {
    open(path).map(|(_, records)| records)
}

/// A folder for one log; it goes when it is dropped.
pub(crate) fn place() -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let path = dir.path().join("log");
    (dir, path)
}
