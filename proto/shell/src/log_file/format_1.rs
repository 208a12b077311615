//! Format 1, which is read and no longer written.
//!
//! ```text
//! record  length u32 | type u16 | version u16 | crc32c u32 of those and the body | body
//! ```

use std::path::Path;

use meros_proto::record::{Record, RecordKind};

use super::error::OpenError;
use super::header::number;

const RECORD_HEAD: usize = 12;
/// No record of ours comes near; a greater length is garbage.
const BODY_MAX: u32 = 64 << 20;

/// All records from `start` on that were finished.
pub(super) fn read<R: Record>(
    path: &Path,
    bytes: &[u8],
    start: usize,
) -> Result<Vec<R>, OpenError> {
    let mut records = Vec::new();
    let mut at = start;
    while at < bytes.len() {
        let Some((kind, body)) = record_at(bytes, at) else {
            // Whole records after a broken one: the disk lost something that was acknowledged.
            if (at + 1..bytes.len()).any(|later| record_at(bytes, later).is_some()) {
                let why = "a record's checksum does not match and whole records follow";
                return Err(OpenError::corrupt(path, at, why));
            }
            break;
        };
        let record = R::decode(kind, body).map_err(|bad| OpenError::record(path, at, bad))?;
        records.push(record);
        at += RECORD_HEAD + body.len();
    }
    Ok(records)
}

/// The record that begins at `at`, if a whole one does.
fn record_at(bytes: &[u8], at: usize) -> Option<(RecordKind, &[u8])> {
    let head = bytes.get(at..at + RECORD_HEAD)?;
    let length = number(head, 0).filter(|length| *length <= BODY_MAX)? as usize;
    let body = bytes.get(at + RECORD_HEAD..at + RECORD_HEAD + length)?;
    if number(head, 8)? != crc32c::crc32c_append(crc32c::crc32c(&head[..8]), body) {
        return None;
    }
    let kind = RecordKind {
        number: u16::from_le_bytes([head[4], head[5]]),
        version: u16::from_le_bytes([head[6], head[7]]),
    };
    Some((kind, body))
}
