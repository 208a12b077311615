//! What outlives the process: the core's rows in a state store of the SDK, one commit a batch.

use std::io;
use std::path::Path;

use meros_marathon_core::records::Record;
use meros_sdk::state::{Change, Expect, File, Row, StateError, StateStore, Transaction};
use meros_shell::durable::Durable;

/// The file in the work directory.
const FILE: &str = "state.redb";
/// Whose state it is: a file of another kind is refused.
const KIND: &str = "marathon";

/// The rows, on disk.
pub(crate) struct Rows {
    file: File,
}

impl Rows {
    /// Opens the rows in `work_dir`, which is made if it isn't there. Blocks.
    ///
    /// # Errors
    /// When another process has them, or they are something else.
    pub(crate) fn open(work_dir: &Path) -> Result<Self, StateError> {
        Ok(Self { file: File::open(work_dir.join(FILE), KIND)? })
    }

    /// All of them. Blocks.
    ///
    /// # Errors
    /// When they can't be read.
    pub(crate) fn all(&self) -> Result<Vec<Row>, StateError> {
        self.file.list("")
    }
}

impl Durable for Rows {
    type Record = Record;

    fn commit(&mut self, records: Vec<Record>) -> io::Result<()> {
        let mut transaction = Transaction::new();
        transaction.extend(records.iter().map(change));
        self.file.commit(transaction).map(drop).map_err(io::Error::other)
    }
}

/// Nobody else writes to the file: nothing is expected of the row before.
fn change(record: &Record) -> Change {
    let row = record.row();
    match row.value {
        Some(value) => Change::Put { key: row.key, value: value.into(), expect: Expect::Any },
        None => Change::Delete { key: row.key, expect: Expect::Any },
    }
}
