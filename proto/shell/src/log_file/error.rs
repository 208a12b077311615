//! Why a log could not be opened.

use std::io;
use std::path::{Path, PathBuf};

use meros_proto::record::BadRecord;

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
    /// Records that were once acknowledged can't be read any more.
    #[error("{}: corrupt at byte {at}: {why}; restore the file from a backup, or move it away to start without what it held", .path.display())]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// Where what can't be read begins.
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

impl OpenError {
    pub(super) fn io(path: &Path) -> impl Fn(io::Error) -> Self {
        move |error| Self::Io { path: path.to_owned(), error }
    }

    pub(super) fn foreign(path: &Path, why: impl Into<String>) -> Self {
        Self::Foreign { path: path.to_owned(), why: why.into() }
    }

    pub(super) fn corrupt(path: &Path, at: usize, why: &str) -> Self {
        Self::Corrupt { path: path.to_owned(), at: at as u64, why: why.to_owned() }
    }

    pub(super) fn record(path: &Path, at: usize, bad: BadRecord) -> Self {
        Self::Record { path: path.to_owned(), at: at as u64, bad }
    }
}
