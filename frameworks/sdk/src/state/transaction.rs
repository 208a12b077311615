//! What one commit changes, and what it expects to find.

use bytes::Bytes;

/// What a change expects of the row before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Expect {
    /// Anything, also nothing.
    #[default]
    Any,
    /// That there is no such row.
    Absent,
    /// That the row stands at this version.
    Version(u64),
}

impl Expect {
    /// Whether a row at `version` (`None`: no row) is what was expected.
    pub fn holds(self, version: Option<u64>) -> bool {
        match self {
            Self::Any => true,
            Self::Absent => version.is_none(),
            Self::Version(expected) => version == Some(expected),
        }
    }
}

/// One step of a [`Transaction`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// Writes `value` under `key`.
    Put {
        /// The row's name.
        key: String,
        /// Its new value.
        value: Bytes,
        /// What must be true of the row before the transaction.
        expect: Expect,
    },
    /// Removes the row; no error when there is none.
    Delete {
        /// The row's name.
        key: String,
        /// What must be true of the row before the transaction.
        expect: Expect,
    },
}

impl Change {
    /// The row that is changed.
    pub fn key(&self) -> &str {
        match self {
            Self::Put { key, .. } | Self::Delete { key, .. } => key,
        }
    }

    /// What must be true of the row before the transaction.
    pub fn expect(&self) -> Expect {
        match self {
            Self::Put { expect, .. } | Self::Delete { expect, .. } => *expect,
        }
    }
}

/// Changes that apply together or not at all.
///
/// All expectations are held against the rows as they were before the transaction; then the changes
/// apply in order, so the last of two writes to a key stays.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Transaction {
    changes: Vec<Change>,
}

impl Transaction {
    /// A transaction without a change yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Writes `value` under `key`, whatever is there.
    #[must_use]
    pub fn put(self, key: impl Into<String>, value: impl Into<Bytes>) -> Self {
        self.put_expecting(key, value, Expect::Any)
    }

    /// Writes `value` under `key` if the row is as expected; else nothing of the transaction.
    #[must_use]
    pub fn put_expecting(
        mut self,
        key: impl Into<String>,
        value: impl Into<Bytes>,
        expect: Expect,
    ) -> Self {
        self.push(Change::Put { key: key.into(), value: value.into(), expect });
        self
    }

    /// Removes the row under `key`, if there is one.
    #[must_use]
    pub fn delete(self, key: impl Into<String>) -> Self {
        self.delete_expecting(key, Expect::Any)
    }

    /// Removes the row under `key` if it is as expected; else nothing of the transaction.
    #[must_use]
    pub fn delete_expecting(mut self, key: impl Into<String>, expect: Expect) -> Self {
        self.push(Change::Delete { key: key.into(), expect });
        self
    }

    /// Adds one change at the end.
    pub fn push(&mut self, change: Change) {
        self.changes.push(change);
    }

    /// The changes, in order.
    pub fn changes(&self) -> &[Change] {
        &self.changes
    }

    /// Whether there is nothing to change. Committing it is no error and takes no sync.
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }
}

impl From<Vec<Change>> for Transaction {
    fn from(changes: Vec<Change>) -> Self {
        Self { changes }
    }
}

impl Extend<Change> for Transaction {
    fn extend<I: IntoIterator<Item = Change>>(&mut self, changes: I) {
        self.changes.extend(changes);
    }
}
