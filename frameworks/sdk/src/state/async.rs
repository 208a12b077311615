//! A store for tasks of a runtime: each call waits on a thread that may block.

use std::sync::Arc;

use super::{Row, StateError, StateStore, Transaction};

/// A shared store whose calls are awaited. Cheap to clone.
#[derive(Clone)]
pub struct AsyncStore {
    store: Arc<dyn StateStore>,
}

impl AsyncStore {
    /// Wraps `store`.
    pub fn new(store: impl StateStore) -> Self {
        Self { store: Arc::new(store) }
    }

    /// See [`StateStore::get`].
    ///
    /// # Errors
    /// As there.
    pub async fn get(&self, key: impl Into<String>) -> Result<Option<Row>, StateError> {
        let key = key.into();
        self.blocking(move |store| store.get(&key)).await
    }

    /// See [`StateStore::list`].
    ///
    /// # Errors
    /// As there.
    pub async fn list(&self, prefix: impl Into<String>) -> Result<Vec<Row>, StateError> {
        let prefix = prefix.into();
        self.blocking(move |store| store.list(&prefix)).await
    }

    /// See [`StateStore::commit`]. Once polled it goes through, also when the caller stops waiting.
    ///
    /// # Errors
    /// As there.
    pub async fn commit(&self, transaction: Transaction) -> Result<u64, StateError> {
        self.blocking(move |store| store.commit(transaction)).await
    }

    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&dyn StateStore) -> Result<T, StateError> + Send + 'static,
    ) -> Result<T, StateError> {
        let store = Arc::clone(&self.store);
        match tokio::task::spawn_blocking(move || work(store.as_ref())).await {
            Ok(result) => result,
            Err(error) => Err(StateError::Storage { doing: "reach", why: error.to_string() }),
        }
    }
}

impl std::fmt::Debug for AsyncStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AsyncStore").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::{Expect, Memory};

    #[tokio::test]
    async fn what_one_clone_commits_the_other_reads() {
        let store = AsyncStore::new(Memory::new());
        let version =
            store.clone().commit(Transaction::new().put("k", "v")).await.expect("commits");
        assert_eq!(store.get("k").await.expect("reads").expect("is there").version, version);
        assert_eq!(store.list("").await.expect("reads").len(), 1);
        let again = Transaction::new().put_expecting("k", "w", Expect::Absent);
        assert!(matches!(store.commit(again).await, Err(StateError::Conflict { .. })));
    }
}
