//! The agents that a fake master plays: they run what is launched, and report until acknowledged.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;
use meros_proto::task_state::is_terminal;
use meros_proto::v1::{TaskInfo, TaskState, TaskStatus, task_status};

use super::messages::status;

/// All tasks.
#[derive(Debug, Default)]
pub(super) struct Tasks {
    by_id: BTreeMap<String, Task>,
    /// What each launched task goes through. Empty: launches are only recorded.
    pub(super) script: Vec<TaskState>,
}

#[derive(Debug)]
struct Task {
    agent: String,
    state: TaskState,
    /// What is still to come; the first is on its way once it has a uuid.
    updates: VecDeque<(TaskState, Option<Bytes>)>,
}

impl Tasks {
    /// Starts a task, by the script.
    pub(super) fn launch(&mut self, task: &TaskInfo) -> Option<TaskStatus> {
        let id = task.task_id.as_ref()?.value.clone()?;
        let agent = task.agent_id.as_ref()?.value.clone()?;
        let updates = self.script.iter().map(|state| (*state, None)).collect();
        let task = Task { agent, state: TaskState::TaskStaging, updates };
        self.by_id.insert(id.clone(), task);
        self.report(&id)
    }

    /// Lets a task change its state, after what it has to report already.
    pub(super) fn change(&mut self, id: &str, agent: &str, state: TaskState) -> Option<TaskStatus> {
        let task = self.by_id.entry(id.to_owned()).or_insert_with(|| Task {
            agent: agent.to_owned(),
            state: TaskState::TaskStaging,
            updates: VecDeque::new(),
        });
        task.updates.push_back((state, None));
        if task.updates.len() == 1 { self.report(id) } else { None }
    }

    /// Forgets a task, as if its agent had never had it.
    pub(super) fn forget(&mut self, id: &str) {
        self.by_id.remove(id);
    }

    /// The update that is to be sent (again) for a task.
    pub(super) fn report(&mut self, id: &str) -> Option<TaskStatus> {
        let task = self.by_id.get_mut(id)?;
        let (state, uuid) = task.updates.front_mut()?;
        let uuid =
            uuid.get_or_insert_with(|| Bytes::copy_from_slice(uuid::Uuid::new_v4().as_bytes()));
        task.state = *state;
        Some(TaskStatus {
            uuid: Some(uuid.clone()),
            source: Some(task_status::Source::Executor.into()),
            ..status(id, &task.agent, *state)
        })
    }

    /// Updates that nobody acknowledged yet.
    pub(super) fn unacknowledged(&mut self) -> Vec<TaskStatus> {
        let ids: Vec<String> = self.by_id.keys().cloned().collect();
        ids.iter().filter_map(|id| self.report(id)).collect()
    }

    /// Takes an acknowledgement; the next update is to be sent then.
    pub(super) fn acknowledge(&mut self, id: &str, uuid: &[u8]) -> Option<TaskStatus> {
        let task = self.by_id.get_mut(id)?;
        if task.updates.front()?.1.as_deref() != Some(uuid) {
            return None;
        }
        task.updates.pop_front();
        if task.updates.is_empty() && is_terminal(task.state) {
            self.by_id.remove(id);
            return None;
        }
        self.report(id)
    }

    /// The answer to a question about one task, or about all.
    pub(super) fn reconcile(&self, id: Option<&str>) -> Vec<TaskStatus> {
        let answer = |id: &str, agent: &str, state| TaskStatus {
            reason: Some(task_status::Reason::Reconciliation.into()),
            ..status(id, agent, state)
        };
        match id {
            Some(id) => match self.by_id.get(id) {
                Some(task) => vec![answer(id, &task.agent, task.state)],
                None => vec![answer(id, "", TaskState::TaskUnknown)],
            },
            None => self.by_id.iter().map(|(id, t)| answer(id, &t.agent, t.state)).collect(),
        }
    }
}
