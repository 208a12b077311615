//! The trait that every store implements.

use std::path::PathBuf;
use std::sync::Arc;

use super::{Row, Transaction};

/// The longest key, in bytes.
const KEY_BYTES_MAX: usize = 1_024;

/// Rows with versions, changed by transactions. See the [module](super) for the contract in words.
///
/// Every method may block on a disk or a network: call from a thread that may wait, or through
/// [`AsyncStore`](super::AsyncStore).
pub trait StateStore: Send + Sync + 'static {
    /// The row under `key`, if there is one.
    ///
    /// # Errors
    /// When the store can't be read.
    fn get(&self, key: &str) -> Result<Option<Row>, StateError>;

    /// All rows whose key starts with `prefix`, in the order of their keys; all of them for "".
    ///
    /// One consistent view: a commit meanwhile is either wholly in it or not at all.
    ///
    /// # Errors
    /// When the store can't be read.
    fn list(&self, prefix: &str) -> Result<Vec<Row>, StateError>;

    /// Applies `transaction`, and returns the revision it got: the version of every row it put,
    /// greater than that of any commit before. Durable on return, with one sync.
    ///
    /// # Errors
    /// [`StateError::Conflict`] or [`StateError::Key`]: nothing has changed. Any other error: it
    /// isn't known whether the transaction is in the store, and the process should end and recover.
    fn commit(&self, transaction: Transaction) -> Result<u64, StateError>;
}

impl<S: StateStore + ?Sized> StateStore for Arc<S> {
    fn get(&self, key: &str) -> Result<Option<Row>, StateError> {
        (**self).get(key)
    }

    fn list(&self, prefix: &str) -> Result<Vec<Row>, StateError> {
        (**self).list(prefix)
    }

    fn commit(&self, transaction: Transaction) -> Result<u64, StateError> {
        (**self).commit(transaction)
    }
}

/// Why a store didn't do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// A row wasn't as the transaction expected.
    #[error("{key} was changed by another writer (its version is {})", version_text(*found))]
    Conflict {
        /// The first row that differed.
        key: String,
        /// Its version; `None` when there is no such row.
        found: Option<u64>,
    },
    /// A key that no store takes.
    #[error("a key of {0} bytes: it must have 1 to {KEY_BYTES_MAX}")]
    Key(usize),
    /// The file is held by another process, or twice by this one.
    #[error("state file {} is in use by another process", .0.display())]
    InUse(PathBuf),
    /// The file holds something else.
    #[error("{} is not a state file of {kind}: {why}", path.display())]
    NotOurs {
        /// The file.
        path: PathBuf,
        /// What it was opened as.
        kind: String,
        /// What is there instead.
        why: String,
    },
    /// The file was written in a format that this build doesn't know.
    #[error(
        "state file {} has format {found} (written by {writer}), this build reads {known}",
        path.display()
    )]
    Format {
        /// The file.
        path: PathBuf,
        /// Its format.
        found: u16,
        /// The version of the program that wrote it.
        writer: String,
        /// The newest format known here.
        known: u16,
    },
    /// The file system said no.
    #[error("{doing} state file {}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What was being done: "open", "read", "write".
        doing: &'static str,
        /// The cause.
        source: std::io::Error,
    },
    /// The storage below failed in a way that isn't the file system's.
    #[error("{doing} the state: {why}")]
    Storage {
        /// What was being done.
        doing: &'static str,
        /// What it said.
        why: String,
    },
}

fn version_text(version: Option<u64>) -> String {
    version.map_or_else(|| "none: it is gone".to_owned(), |version| version.to_string())
}

/// Refuses what no store may take, so that a framework can change its store without surprise.
pub(super) fn check_keys(transaction: &Transaction) -> Result<(), StateError> {
    match transaction.changes().iter().find(|c| !(1..=KEY_BYTES_MAX).contains(&c.key().len())) {
        Some(change) => Err(StateError::Key(change.key().len())),
        None => Ok(()),
    }
}
