//! What always holds of an agent. Walks everything: for tests, after every step.

use std::fmt;

use meros_proto::task_state::is_terminal;
use meros_proto::v1::TaskState;

use crate::dispatch::Agent;
use crate::task::{Phase, Task, TaskKey};

/// A rule that doesn't hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broken {
    /// Of which task; `None`: of the agent as a whole.
    pub task: Option<TaskKey>,
    /// Which rule.
    pub rule: &'static str,
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.task {
            Some(task) => write!(f, "task {task}: {}", self.rule),
            None => f.write_str(self.rule),
        }
    }
}

impl Agent {
    /// Which invariant is broken, if any. They hold from [`Input::Start`](crate::Input::Start) on:
    /// before it nobody knows what became of the tasks on record.
    pub fn broken_invariant(&self) -> Option<Broken> {
        let of_task = self.tasks.iter().find_map(|(key, task)| {
            let rule = self.broken_by(key, task)?;
            Some(Broken { task: Some(key.clone()), rule })
        });
        let stray = self.containers.iter().any(|(container, key)| {
            self.tasks.get(key).is_none_or(|task| task.container != *container)
        });
        let of_all = stray.then_some(Broken { task: None, rule: "a container has a task" });
        of_task.or(of_all)
    }

    fn broken_by(&self, key: &TaskKey, task: &Task) -> Option<&'static str> {
        let said = task.updates.said();
        let ends = said.iter().filter(|update| is_terminal(update.status.state)).count();
        let ended = said.last().is_some_and(|update| is_terminal(update.status.state));
        let runs = matches!(task.phase, Phase::Running { .. });
        let rules = [
            (ends <= 1, "one terminal state at most"),
            (ends == usize::from(ended), "nothing is said after the terminal state"),
            (task.is_live() != ended, "ended if and only if it was said, or nobody asks"),
            (task.updates.acknowledged() <= said.len(), "only what was said is acknowledged"),
            (task.is_live() || task.updates.are_owed(), "what is over and heard is retired"),
            (
                task.is_live() == (self.containers.get(&task.container) == Some(key)),
                "exactly the live tasks have a container",
            ),
            (self.frameworks.contains_key(&key.framework), "a task has a framework"),
            (task.recorded || !task.is_live(), "what is not on record does not run"),
            (!runs || task.updates.has_said(TaskState::TaskRunning), "what runs was said to run"),
            (
                !task.silent || matches!(task.phase, Phase::Stopping { .. }),
                "a task of a removed framework is being ended",
            ),
        ];
        rules.iter().find(|(holds, _)| !holds).map(|(_, rule)| *rule)
    }
}
