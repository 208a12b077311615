//! A store that forgets when the process ends: for tests and for ephemeral frameworks.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

use super::store::check_keys;
use super::{Change, Row, StateError, StateStore, Transaction};

/// Rows in memory. See [`StateStore`].
#[derive(Debug, Default)]
pub struct Memory {
    rows: Mutex<Rows>,
}

#[derive(Debug, Default)]
struct Rows {
    revision: u64,
    by_key: BTreeMap<String, (u64, Bytes)>,
}

impl Memory {
    /// An empty store.
    pub fn new() -> Self {
        Self::default()
    }

    fn rows(&self) -> MutexGuard<'_, Rows> {
        // A transaction is checked before it changes anything: a panic can't leave half of one.
        self.rows.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl StateStore for Memory {
    fn get(&self, key: &str) -> Result<Option<Row>, StateError> {
        let rows = self.rows();
        Ok(rows.by_key.get(key).map(|(version, value)| row(key, *version, value)))
    }

    fn list(&self, prefix: &str) -> Result<Vec<Row>, StateError> {
        let rows = self.rows();
        Ok(rows
            .by_key
            .range(prefix.to_owned()..)
            .take_while(|(key, _)| key.starts_with(prefix))
            .map(|(key, (version, value))| row(key, *version, value))
            .collect())
    }

    fn commit(&self, transaction: Transaction) -> Result<u64, StateError> {
        check_keys(&transaction)?;
        let mut rows = self.rows();
        for change in transaction.changes() {
            let found = rows.by_key.get(change.key()).map(|(version, _)| *version);
            if !change.expect().holds(found) {
                return Err(StateError::Conflict { key: change.key().to_owned(), found });
            }
        }
        if transaction.is_empty() {
            return Ok(rows.revision);
        }
        rows.revision += 1;
        let revision = rows.revision;
        for change in transaction.changes() {
            match change {
                Change::Put { key, value, .. } => {
                    rows.by_key.insert(key.clone(), (revision, value.clone()));
                }
                Change::Delete { key, .. } => {
                    rows.by_key.remove(key);
                }
            }
        }
        Ok(revision)
    }
}

fn row(key: &str, version: u64, value: &Bytes) -> Row {
    Row { key: key.to_owned(), value: value.clone(), version }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::contract;

    #[test]
    fn the_memory_store_keeps_the_contract() {
        contract::check(&Memory::new());
    }
}
