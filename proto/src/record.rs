//! What a core asks to be made durable, as bytes that a later release can read.
//!
//! Every record has a type and a version of its own. A reader that does not know them stops: a
//! record is never skipped, since what follows may rest on it.

/// A record of a core.
pub trait Record: Sized + Send + 'static {
    /// What this record is.
    fn kind(&self) -> RecordKind;

    /// Appends the record's body.
    fn encode(&self, out: &mut Vec<u8>);

    /// Reads a body that was written as `kind`, by this release or the one before.
    ///
    /// # Errors
    /// [`BadRecord`] when the kind is unknown or the body is not of it.
    fn decode(kind: RecordKind, body: &[u8]) -> Result<Self, BadRecord>;
}

/// A record's type and the version of its layout.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecordKind {
    /// Number of the type; never given to another type again.
    pub number: u16,
    /// Counted up when the layout changes.
    pub version: u16,
}

/// Why a record could not be read.
#[derive(Debug, thiserror::Error)]
pub enum BadRecord {
    /// Written by a newer release, or not a record of this log.
    #[error("a record of type {} version {} is unknown to this release", .0.number, .0.version)]
    Unknown(RecordKind),
    /// The checksum holds and the contents make no sense.
    #[error("a record of type {} has a body that is not of its type: {why}", .kind.number)]
    Body {
        /// What it claims to be.
        kind: RecordKind,
        /// What is wrong.
        why: String,
    },
}
