//! What a log says of itself, in its first block.
//!
//! Commits never touch that block: a write that is torn can't take the header with it.

use std::path::Path;

use meros_proto::versions::MEROS_VERSION;

use super::error::OpenError;

const MAGIC: &[u8; 8] = b"MEROSLOG";
/// The format that this release writes.
const FORMAT: u32 = 2;
/// Where the first batch begins: a block of its own for the header.
pub(super) const BLOCK: usize = 4096;

/// What kind of log a header tells of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Header {
    /// Records follow at `start`, one by one, up to the end of the file.
    Format1 {
        /// Where the first record begins.
        start: usize,
    },
    /// Batches follow from [`BLOCK`] on.
    Format2 {
        /// Drawn for this file when it was made.
        id: u64,
    },
}

/// The first block of a log that holds what `name` says.
pub(super) fn write(name: &str, id: u64) -> Vec<u8> {
    let mut bytes = MAGIC.to_vec();
    bytes.extend(FORMAT.to_le_bytes());
    bytes.extend(id.to_le_bytes());
    for text in [name, MEROS_VERSION] {
        bytes.extend((text.len() as u32).to_le_bytes());
        bytes.extend(text.as_bytes());
    }
    let sum = crc32c::crc32c(&bytes);
    bytes.extend(sum.to_le_bytes());
    assert!(bytes.len() <= BLOCK, "a log's name is a few words");
    bytes.resize(BLOCK, 0);
    bytes
}

/// Checks that `bytes` are a log of what `name` says, of a format that this release knows.
pub(super) fn read(path: &Path, name: &str, bytes: &[u8]) -> Result<Header, OpenError> {
    let foreign = |why: String| OpenError::foreign(path, why);
    // The file came to its name whole: no crash of ours leaves less than a header.
    let short = || foreign("the header is cut short".to_owned());
    if !bytes.starts_with(&MAGIC[..bytes.len().min(MAGIC.len())]) {
        return Err(foreign("not a meros log".to_owned()));
    }
    let format = number(bytes, 8).ok_or_else(short)?;
    let texts = match format {
        1 => 12,
        FORMAT => 20,
        _ => {
            let why = format!("a log of format {format}; this release reads formats 1 to {FORMAT}");
            return Err(foreign(why));
        }
    };
    let parsed = text(bytes, texts).and_then(|(held, at)| Some((held, text(bytes, at)?.1)));
    let (held, end) = parsed.ok_or_else(short)?;
    if number(bytes, end) != Some(crc32c::crc32c(&bytes[..end])) {
        return Err(foreign("the header's checksum does not match".to_owned()));
    }
    if held != name {
        return Err(foreign(format!("a log of the {held}, not of the {name}")));
    }
    match format {
        1 => Ok(Header::Format1 { start: end + 4 }),
        _ if bytes.len() < BLOCK => Err(short()),
        _ => Ok(Header::Format2 { id: long(bytes, 12).ok_or_else(short)? }),
    }
}

fn text(bytes: &[u8], at: usize) -> Option<(&str, usize)> {
    let length = number(bytes, at)? as usize;
    let end = (at + 4).checked_add(length)?;
    Some((std::str::from_utf8(bytes.get(at + 4..end)?).ok()?, end))
}

/// The number at `at`.
pub(super) fn number(bytes: &[u8], at: usize) -> Option<u32> {
    let end = at.checked_add(4)?;
    Some(u32::from_le_bytes(bytes.get(at..end)?.try_into().ok()?))
}

/// The long number at `at`.
pub(super) fn long(bytes: &[u8], at: usize) -> Option<u64> {
    let end = at.checked_add(8)?;
    Some(u64::from_le_bytes(bytes.get(at..end)?.try_into().ok()?))
}
