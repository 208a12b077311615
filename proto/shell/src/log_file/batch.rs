//! Batches: what one commit writes, and what of them counts after a crash.

use std::io;
use std::path::Path;

use meros_proto::record::{Record, RecordKind};

use super::error::OpenError;
use super::header::{BLOCK, long, number};

/// id u64 | sequence u64 | length u32 | crc32c u32
const HEAD: usize = 24;
const SUM_AT: usize = 20;
/// length u32 | type u16 | version u16
const RECORD_HEAD: usize = 8;

/// What a log holds.
#[derive(Debug)]
pub(super) struct Held<R> {
    pub(super) records: Vec<R>,
    /// Where the last batch that counts ends.
    pub(super) end: usize,
    /// The sequence that the next batch gets.
    pub(super) sequence: u64,
    /// What follows `end` and isn't zero ends here: what a batch left that was not finished.
    pub(super) torn_to: usize,
}

/// Puts the batch of `records` that is to stand at byte `place` into `bytes`.
///
/// # Errors
/// It is larger than a batch can be.
pub(super) fn encode<R: Record>(
    bytes: &mut Vec<u8>,
    (id, sequence, place): (u64, u64, u64),
    records: &[R],
) -> io::Result<()> {
    bytes.clear();
    bytes.resize(HEAD, 0);
    for record in records {
        let start = bytes.len();
        bytes.resize(start + RECORD_HEAD, 0);
        record.encode(bytes);
        let (length, kind) = (bytes.len() - start - RECORD_HEAD, record.kind());
        bytes[start..start + 4].copy_from_slice(&length_of(length)?);
        bytes[start + 4..start + 6].copy_from_slice(&kind.number.to_le_bytes());
        bytes[start + 6..start + 8].copy_from_slice(&kind.version.to_le_bytes());
    }
    let length = length_of(bytes.len() - HEAD)?;
    bytes[0..8].copy_from_slice(&id.to_le_bytes());
    bytes[8..16].copy_from_slice(&sequence.to_le_bytes());
    bytes[16..SUM_AT].copy_from_slice(&length);
    let sum = checksum(place, &bytes[..SUM_AT], &bytes[HEAD..]);
    bytes[SUM_AT..HEAD].copy_from_slice(&sum.to_le_bytes());
    Ok(())
}

fn length_of(length: usize) -> io::Result<[u8; 4]> {
    let length = u32::try_from(length)
        .map_err(|_| io::Error::new(io::ErrorKind::InvalidInput, "a commit of 4 GiB or more"))?;
    Ok(length.to_le_bytes())
}

/// Reads all batches of the log with this `id`.
pub(super) fn read<R: Record>(path: &Path, bytes: &[u8], id: u64) -> Result<Held<R>, OpenError> {
    let mut held = Held { records: Vec::new(), end: BLOCK, sequence: 1, torn_to: BLOCK };
    while let Some((sequence, contents)) = batch_at(bytes, held.end, id)
        && sequence == held.sequence
    {
        records(path, contents, held.end + HEAD, &mut held.records)?;
        held.end += HEAD + contents.len();
        held.sequence += 1;
    }
    let rest = &bytes[held.end..];
    let last = rest.iter().rposition(|byte| *byte != 0);
    held.torn_to = held.end + last.map_or(0, |last| last + 1);
    // A later batch was begun, finished or not, so this one was durable: the disk lost what was
    // acknowledged.
    let later = (held.end..held.torn_to)
        .filter_map(|at| Some((long(bytes, at)?, long(bytes, at + 8)?)))
        .any(|(found, sequence)| found == id && sequence > held.sequence);
    if later {
        let why = "a batch of records does not match its checksum and later ones follow";
        return Err(OpenError::corrupt(path, held.end, why));
    }
    Ok(held)
}

/// The sequence and the records of the batch that begins at `at`, if a whole one does.
fn batch_at(bytes: &[u8], at: usize, id: u64) -> Option<(u64, &[u8])> {
    if long(bytes, at)? != id {
        return None;
    }
    let (sequence, length) = (long(bytes, at + 8)?, number(bytes, at + 16)? as usize);
    let start = at + HEAD;
    let contents = bytes.get(start..start.checked_add(length)?)?;
    let sum = checksum(at as u64, &bytes[at..at + SUM_AT], contents);
    (number(bytes, at + SUM_AT)? == sum).then_some((sequence, contents))
}

/// Takes a batch's contents, which stand at `place`, apart.
fn records<R: Record>(
    path: &Path,
    contents: &[u8],
    place: usize,
    records: &mut Vec<R>,
) -> Result<(), OpenError> {
    let mut at = 0;
    while at < contents.len() {
        let (kind, body) = record_at(contents, at).ok_or_else(|| {
            OpenError::corrupt(path, place + at, "a record is longer than its batch")
        })?;
        let record =
            R::decode(kind, body).map_err(|bad| OpenError::record(path, place + at, bad))?;
        records.push(record);
        at += RECORD_HEAD + body.len();
    }
    Ok(())
}

fn record_at(contents: &[u8], at: usize) -> Option<(RecordKind, &[u8])> {
    let head = contents.get(at..at + RECORD_HEAD)?;
    let start = at + RECORD_HEAD;
    let body = contents.get(start..start.checked_add(number(head, 0)? as usize)?)?;
    let kind = RecordKind {
        number: u16::from_le_bytes([head[4], head[5]]),
        version: u16::from_le_bytes([head[6], head[7]]),
    };
    Some((kind, body))
}

fn checksum(place: u64, head: &[u8], contents: &[u8]) -> u32 {
    let sum = crc32c::crc32c(&place.to_le_bytes());
    crc32c::crc32c_append(crc32c::crc32c_append(sum, head), contents)
}
