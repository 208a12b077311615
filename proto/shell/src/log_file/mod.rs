//! An append-only, checksummed file of records, whose commits cost one write to the disk each.
//!
//! ```text
//! header  magic "MEROSLOG" | format u32 | id u64 | length of name u32 | name | length of writer u32 | writer | crc32c u32
//!         then zeros up to byte 4096
//! batch   id u64 | sequence u64 | length u32 | crc32c u32 of its place, those and the records | records
//! record  length u32 | type u16 | version u16 | body
//! zeros   up to the end of the file
//! ```
//! All numbers are little-endian. One commit is one batch, begun only when the one before is
//! durable. So a batch that doesn't check, with no head of a later one behind it, was being written
//! at a crash: it was not acknowledged, and is cut off whole. With a later one behind it, it was
//! acknowledged, and the log is refused. The id is drawn anew for each file and the place is
//! under the checksum: bytes that lay there before are never taken for a batch.
//!
//! Space is filled with zeros ahead of need and then overwritten: a commit changes neither the
//! file's size nor its extents, so that no journal of the file system has to be written for it. The
//! last of that space is a reserve: see [`Room`].
//!
//! Start at [`LogFile`]. [`space`] fills ahead, [`batch`] writes and checks, [`replace`] puts a new
//! file in an old one's place, [`format_1`] reads the format before this one, where records had no
//! batches and each commit made the file longer.

mod batch;
mod error;
mod format_1;
mod header;
mod log;
mod replace;
mod space;

pub use error::OpenError;
pub use log::LogFile;
pub use space::{Room, Space};
