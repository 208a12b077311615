//! What a scheduler must not forget: its framework id, and the tasks that are not over.
//!
//! Written to the store before it is acted on. Rows: `framework/id`, and `task/ID` with the id of
//! the task's agent for a value.

use std::collections::BTreeMap;

use meros_proto::ids::{AgentId, FrameworkId, TaskId};

use crate::state::{AsyncStore, StateError, Transaction};

const FRAMEWORK_ID: &str = "framework/id";
const TASK_PREFIX: &str = "task/";

/// The books, in memory and (if there is a store) behind it.
#[derive(Debug)]
pub(super) struct Book {
    store: Option<AsyncStore>,
    pub(super) framework_id: Option<FrameworkId>,
    tasks: BTreeMap<TaskId, AgentId>,
}

impl Book {
    /// Empty books that nobody keeps.
    pub(super) fn ephemeral() -> Self {
        Self { store: None, framework_id: None, tasks: BTreeMap::new() }
    }

    /// What `store` holds.
    pub(super) async fn open(store: AsyncStore) -> Result<Self, StateError> {
        let unreadable = |key: &str| StateError::Storage {
            doing: "read",
            why: format!("row {key} doesn't hold what a scheduler writes there"),
        };
        let framework_id = match store.get(FRAMEWORK_ID).await? {
            Some(row) => Some(
                parse(&row.value, FrameworkId::parse).ok_or_else(|| unreadable(FRAMEWORK_ID))?,
            ),
            None => None,
        };
        let mut tasks = BTreeMap::new();
        for row in store.list(TASK_PREFIX).await? {
            let task = row.key.strip_prefix(TASK_PREFIX).and_then(|id| TaskId::parse(id).ok());
            let agent = parse(&row.value, AgentId::parse);
            let (task, agent) = task.zip(agent).ok_or_else(|| unreadable(&row.key))?;
            tasks.insert(task, agent);
        }
        Ok(Self { store: Some(store), framework_id, tasks })
    }

    /// Tasks that are not over, with their agents.
    pub(super) fn tasks(&self) -> impl Iterator<Item = (&TaskId, &AgentId)> {
        self.tasks.iter()
    }

    pub(super) fn agent_of(&self, task: &TaskId) -> Option<&AgentId> {
        self.tasks.get(task)
    }

    pub(super) async fn named(&mut self, id: &FrameworkId) -> Result<(), StateError> {
        if self.framework_id.as_ref() != Some(id) {
            self.commit(Transaction::new().put(FRAMEWORK_ID, id.as_str().to_owned())).await?;
            self.framework_id = Some(id.clone());
        }
        Ok(())
    }

    /// These are about to be launched.
    pub(super) async fn launching(
        &mut self,
        tasks: &[(TaskId, AgentId)],
    ) -> Result<(), StateError> {
        let rows = tasks.iter().fold(Transaction::new(), |rows, (task, agent)| {
            rows.put(format!("{TASK_PREFIX}{task}"), agent.as_str().to_owned())
        });
        self.commit(rows).await?;
        self.tasks.extend(tasks.iter().cloned());
        Ok(())
    }

    /// These are over, or were never launched.
    pub(super) async fn over<'a>(
        &mut self,
        tasks: impl IntoIterator<Item = &'a TaskId>,
    ) -> Result<(), StateError> {
        let mut rows = Transaction::new();
        for task in tasks {
            if self.tasks.remove(task).is_some() {
                rows = rows.delete(format!("{TASK_PREFIX}{task}"));
            }
        }
        self.commit(rows).await
    }

    /// The framework is no more.
    pub(super) async fn clear(&mut self) -> Result<(), StateError> {
        let rows = self.tasks.keys().fold(Transaction::new().delete(FRAMEWORK_ID), |rows, task| {
            rows.delete(format!("{TASK_PREFIX}{task}"))
        });
        self.commit(rows).await?;
        (self.framework_id, self.tasks) = (None, BTreeMap::new());
        Ok(())
    }

    async fn commit(&self, rows: Transaction) -> Result<(), StateError> {
        match &self.store {
            Some(store) if !rows.is_empty() => store.commit(rows).await.map(drop),
            _ => Ok(()),
        }
    }
}

fn parse<T, E>(value: &[u8], parse: impl Fn(&str) -> Result<T, E>) -> Option<T> {
    std::str::from_utf8(value).ok().and_then(|text| parse(text).ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::Memory;

    #[tokio::test]
    async fn what_is_written_is_there_after_a_restart() {
        let store = AsyncStore::new(Memory::new());
        let mut book = Book::open(store.clone()).await.expect("opens");
        let id = FrameworkId::parse("f-1").expect("an id");
        let task = |name: &str| {
            (TaskId::parse(name).expect("an id"), AgentId::parse("a-1").expect("an id"))
        };
        book.named(&id).await.expect("written");
        book.launching(&[task("t-1"), task("t-2")]).await.expect("written");
        book.over([&task("t-1").0]).await.expect("written");

        let mut book = Book::open(store.clone()).await.expect("opens");
        assert_eq!(book.framework_id, Some(id));
        assert_eq!(book.tasks().map(|(id, _)| id.to_string()).collect::<Vec<_>>(), ["t-2"]);

        book.clear().await.expect("written");
        assert!(store.list("").await.expect("reads").is_empty());
    }
}
