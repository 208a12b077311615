//! One row of a store.

use bytes::Bytes;

/// A key, its value, and the version of its last change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// The row's name. Rows are listed in the order of their keys' bytes.
    pub key: String,
    /// What was put there. Opaque to the store.
    pub value: Bytes,
    /// The revision of the transaction that wrote it, see
    /// [`StateStore::commit`](super::StateStore::commit). Never used twice in one store, so a row
    /// that was deleted and made again can be told from the first.
    pub version: u64,
}
