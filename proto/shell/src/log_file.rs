//! An append-only, checksummed file of records.
//!
//! ```text
//! header  magic "MEROSLOG" | format u32 | length of name u32 | name | length of writer u32 | writer | crc32c u32
//! record  length u32 | type u16 | version u16 | crc32c u32 of those and the body | body
//! ```
//! All numbers are little-endian. A record that was being written at a crash is a torn tail: it
//! was not acknowledged, and is cut off. Anything else that doesn't check is refused, since what
//! follows it was acknowledged.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Seek, SeekFrom, Write};
use std::marker::PhantomData;
use std::path::{Path, PathBuf};

use meros_proto::record::{BadRecord, Record, RecordKind};
use meros_proto::versions::MEROS_VERSION;
use tracing::warn;

use crate::durable::Durable;

const MAGIC: &[u8; 8] = b"MEROSLOG";
const FORMAT: u32 = 1;
const RECORD_HEADER: usize = 12;
/// No record of ours comes near; a greater length is garbage.
const BODY_MAX: u32 = 64 << 20;

/// Why a log could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The file system said no.
    #[error("{}: {error}", .path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What it said.
        #[source]
        error: io::Error,
    },
    /// Not a log, not this log, or of a format that this release can't read.
    #[error("{}: {why}", .path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
    /// A record that was once acknowledged can't be read any more.
    #[error("{}: corrupt at byte {at}: {why}; restore the file from a backup, or move it away to start without what it held", .path.display())]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// Where the record begins.
        at: u64,
        /// What is wrong.
        why: String,
    },
    /// A record of another release.
    #[error("{}: at byte {at}: {bad}", .path.display())]
    Record {
        /// The file.
        path: PathBuf,
        /// Where the record begins.
        at: u64,
        /// What is wrong.
        #[source]
        bad: BadRecord,
    },
}

/// An open log of records of type `R`.
#[derive(Debug)]
pub struct LogFile<R> {
    file: File,
    buffer: Vec<u8>,
    records: PhantomData<fn(R)>,
}

impl<R: Record> LogFile<R> {
    /// Opens the log at `path`, which holds what `name` says, or makes it; returns what it holds.
    ///
    /// # Errors
    /// See [`OpenError`]. Nothing was changed then.
    pub fn open(path: &Path, name: &str) -> Result<(Self, Vec<R>), OpenError> {
        let io = |error| OpenError::Io { path: path.to_owned(), error };
        let bytes = match fs::read(path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(io(error)),
        };
        // A crash while the file was made leaves less than a header; nothing was acknowledged yet.
        let header = header(name);
        if bytes.len() < header.len() && (header.starts_with(&bytes) || bytes.len() < MAGIC.len()) {
            Self::replace(path, name, &[]).map_err(io)?;
            let file = OpenOptions::new().append(true).open(path).map_err(io)?;
            return Ok((Self::over(file), Vec::new()));
        }
        let start = read_header(path, name, &bytes)?;
        let (records, end) = read_records(path, &bytes, start)?;
        let mut file = OpenOptions::new().append(true).open(path).map_err(io)?;
        if end < bytes.len() {
            warn!(path = %path.display(), cut = bytes.len() - end, "cut off a record that was not finished");
            file.set_len(end as u64).map_err(io)?;
            file.sync_all().map_err(io)?;
        }
        file.seek(SeekFrom::End(0)).map_err(io)?;
        Ok((Self::over(file), records))
    }

    /// Puts a new log that holds `records` in the place of the one at `path`, all or nothing.
    ///
    /// # Errors
    /// The old log is still in place then.
    pub fn replace(path: &Path, name: &str, records: &[R]) -> io::Result<()> {
        let fresh = path.with_extension("new");
        let mut bytes = header(name);
        records.iter().for_each(|record| append(&mut bytes, record));
        let mut file = File::create(&fresh)?;
        file.write_all(&bytes)?;
        file.sync_all()?;
        fs::rename(&fresh, path)?;
        match path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => File::open(parent)?.sync_all(),
            _ => Ok(()),
        }
    }

    fn over(file: File) -> Self {
        Self { file, buffer: Vec::new(), records: PhantomData }
    }
}

impl<R: Record> Durable for LogFile<R> {
    type Record = R;

    fn commit(&mut self, records: Vec<R>) -> io::Result<()> {
        self.buffer.clear();
        records.iter().for_each(|record| append(&mut self.buffer, record));
        self.file.write_all(&self.buffer)?;
        self.file.sync_data()
    }
}

fn header(name: &str) -> Vec<u8> {
    let mut bytes = MAGIC.to_vec();
    bytes.extend(FORMAT.to_le_bytes());
    for text in [name, MEROS_VERSION] {
        bytes.extend((text.len() as u32).to_le_bytes());
        bytes.extend(text.as_bytes());
    }
    let sum = crc32c::crc32c(&bytes);
    bytes.extend(sum.to_le_bytes());
    bytes
}

/// Checks the header; returns where the records begin.
fn read_header(path: &Path, name: &str, bytes: &[u8]) -> Result<usize, OpenError> {
    let foreign = |why: String| OpenError::Foreign { path: path.to_owned(), why };
    if !bytes.starts_with(MAGIC) {
        return Err(foreign("not a meros log".to_owned()));
    }
    let format = number(bytes, 8).ok_or_else(|| foreign("the header is cut short".to_owned()))?;
    if format != FORMAT {
        return Err(foreign(format!("format {format}, this release reads {FORMAT}")));
    }
    let text = |at: usize| {
        let length = number(bytes, at)? as usize;
        let text = bytes.get(at + 4..(at + 4).checked_add(length)?)?;
        Some((std::str::from_utf8(text).ok()?, at + 4 + length))
    };
    let parsed = text(12).and_then(|(held, at)| Some((held, text(at)?.1)));
    let (held, end) = parsed.ok_or_else(|| foreign("the header is cut short".to_owned()))?;
    if number(bytes, end) != Some(crc32c::crc32c(&bytes[..end])) {
        return Err(foreign("the header's checksum does not match".to_owned()));
    }
    if held != name {
        return Err(foreign(format!("a log of the {held}, not of the {name}")));
    }
    Ok(end + 4)
}

/// All records from `start` on, and where the last whole one ends.
fn read_records<R: Record>(
    path: &Path,
    bytes: &[u8],
    start: usize,
) -> Result<(Vec<R>, usize), OpenError> {
    let mut records = Vec::new();
    let mut at = start;
    while at < bytes.len() {
        let Some((kind, body)) = record_at(bytes, at) else {
            // Whole records after a broken one: the disk lost something that was acknowledged.
            if (at + 1..bytes.len()).any(|later| record_at(bytes, later).is_some()) {
                let why = "a record's checksum does not match and whole records follow";
                let (path, at) = (path.to_owned(), at as u64);
                return Err(OpenError::Corrupt { path, at, why: why.to_owned() });
            }
            break;
        };
        let record = R::decode(kind, body).map_err(|bad| OpenError::Record {
            path: path.to_owned(),
            at: at as u64,
            bad,
        })?;
        records.push(record);
        at += RECORD_HEADER + body.len();
    }
    Ok((records, at))
}

/// The record that begins at `at`, if a whole one does.
fn record_at(bytes: &[u8], at: usize) -> Option<(RecordKind, &[u8])> {
    let head = bytes.get(at..at + RECORD_HEADER)?;
    let length = number(head, 0).filter(|length| *length <= BODY_MAX)? as usize;
    let body = bytes.get(at + RECORD_HEADER..at + RECORD_HEADER + length)?;
    if number(head, 8)? != checksum(&head[..8], body) {
        return None;
    }
    let kind = RecordKind {
        number: u16::from_le_bytes([head[4], head[5]]),
        version: u16::from_le_bytes([head[6], head[7]]),
    };
    Some((kind, body))
}

fn append<R: Record>(bytes: &mut Vec<u8>, record: &R) {
    let start = bytes.len();
    bytes.resize(start + RECORD_HEADER, 0);
    record.encode(bytes);
    let length = (bytes.len() - start - RECORD_HEADER) as u32;
    let kind = record.kind();
    bytes[start..start + 4].copy_from_slice(&length.to_le_bytes());
    bytes[start + 4..start + 6].copy_from_slice(&kind.number.to_le_bytes());
    bytes[start + 6..start + 8].copy_from_slice(&kind.version.to_le_bytes());
    let sum = checksum(&bytes[start..start + 8], &bytes[start + RECORD_HEADER..]);
    bytes[start + 8..start + RECORD_HEADER].copy_from_slice(&sum.to_le_bytes());
}

fn checksum(head: &[u8], body: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(head), body)
}

fn number(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Clone, PartialEq)]
    struct Word(String);

    const WORD: RecordKind = RecordKind { number: 7, version: 1 };

    impl Record for Word {
        fn kind(&self) -> RecordKind {
            WORD
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

    fn words(range: std::ops::Range<u32>) -> Vec<Word> {
        range.map(|n| Word("x".repeat(n as usize % 7) + &n.to_string())).collect()
    }

    /// A log of ten words, and the folder that goes when it is dropped.
    fn written() -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let path = dir.path().join("log");
        let (mut log, before) = LogFile::open(&path, "test").expect("a fresh log");
        assert_eq!(before, Vec::<Word>::new());
        log.commit(words(0..4)).expect("room on the disk");
        log.commit(words(4..10)).expect("room on the disk");
        (dir, path)
    }

    fn held(path: &Path) -> Result<Vec<Word>, OpenError> {
        LogFile::open(path, "test").map(|(_, records)| records)
    }

    #[test]
    fn what_was_committed_is_found_again_and_more_can_follow() {
        let (_dir, path) = written();
        let (mut log, records) = LogFile::open(&path, "test").expect("a sound log");
        assert_eq!(records, words(0..10));
        log.commit(words(10..12)).expect("room on the disk");
        assert_eq!(held(&path).expect("a sound log"), words(0..12));
        LogFile::replace(&path, "test", &words(3..5)).expect("room on the disk");
        assert_eq!(held(&path).expect("a sound log"), words(3..5));
    }

    #[test]
    fn a_log_cut_anywhere_opens_with_the_records_that_were_whole() {
        let (_dir, path) = written();
        let bytes = fs::read(&path).expect("readable");
        for length in 0..bytes.len() {
            fs::write(&path, &bytes[..length]).expect("writable");
            let records = held(&path).unwrap_or_else(|error| panic!("cut at {length}: {error}"));
            assert_eq!(records, words(0..records.len() as u32), "cut at {length}");
            // The tail is gone for good: what is appended now follows the last whole record.
            let (mut log, _) = LogFile::open(&path, "test").expect("a sound log");
            log.commit(vec![Word("after".to_owned())]).expect("room on the disk");
            assert_eq!(held(&path).expect("a sound log").len(), records.len() + 1);
        }
    }

    #[test]
    fn a_changed_byte_before_whole_records_is_refused_with_its_place() {
        let (_dir, path) = written();
        let sound = fs::read(&path).expect("readable");
        let first = header("test").len();
        for at in 0..sound.len() - RECORD_HEADER - words(9..10)[0].0.len() {
            let mut bytes = sound.clone();
            bytes[at] ^= 0x40;
            fs::write(&path, &bytes).expect("writable");
            match held(&path) {
                Err(OpenError::Corrupt { at: place, .. }) => {
                    assert!(place as usize >= first && place as usize <= at, "{at}");
                }
                Err(OpenError::Foreign { .. }) => assert!(at < first, "{at}"),
                other => panic!("byte {at} changed: {other:?}"),
            }
            assert_eq!(fs::read(&path).expect("readable"), bytes, "nothing may be changed");
        }
    }

    #[test]
    fn another_log_and_an_unknown_record_are_refused() {
        let (_dir, path) = written();
        let error = LogFile::<Word>::open(&path, "agent").expect_err("another log");
        assert!(error.to_string().ends_with("a log of the test, not of the agent"), "{error}");
        let mut bytes = header("test");
        append(&mut bytes, &Word("later".to_owned()));
        let start = header("test").len();
        bytes[start + 6] = 9;
        let sum = checksum(&bytes[start..start + 8], b"later");
        bytes[start + 8..start + 12].copy_from_slice(&sum.to_le_bytes());
        fs::write(&path, &bytes).expect("writable");
        let error = held(&path).expect_err("a record of another release");
        assert!(error.to_string().contains("type 7 version 9 is unknown"), "{error}");
    }
}
