//! What the agent shows of itself: a copy, rendered outside the core.

use std::sync::Arc;

use meros_proto::ids::{AgentId, ContainerId};
use meros_proto::resources::Resources;
use meros_proto::v1::TaskState;

use crate::dispatch::Agent;
use crate::input::Room;
use crate::registration::Link;
use crate::status::Update;
use crate::task::{FrameworkSpec, Phase, Task, TaskSpec};

/// The agent at one moment.
#[derive(Debug, Clone)]
pub struct View {
    /// Its id, once it was admitted.
    pub agent: Option<AgentId>,
    /// The id of the master that it is registered with at this moment.
    pub master: Option<String>,
    /// Whether it is ending.
    pub leaving: bool,
    /// Whether the log can grow; otherwise no task is started.
    pub room: Room,
    /// Frameworks that have or had tasks here.
    pub frameworks: Vec<Arc<FrameworkSpec>>,
    /// Tasks that are live or whose end was not acknowledged.
    pub tasks: Vec<TaskView>,
    /// Tasks that are over, oldest first.
    pub completed: Vec<TaskView>,
    /// What was counted since the start.
    pub counters: Counters,
}

/// A task at one moment.
#[derive(Debug, Clone)]
pub struct TaskView {
    /// What was asked for.
    pub spec: Arc<TaskSpec>,
    /// Where it runs or ran.
    pub container: ContainerId,
    /// How far it is.
    pub state: TaskState,
    /// Whether it still waits for its container.
    pub launching: bool,
    /// Its container's first process, while there is one.
    pub pid: Option<u32>,
    /// All that was said of it.
    pub updates: Vec<Arc<Update>>,
}

impl TaskView {
    pub(crate) fn of(task: &Task) -> Self {
        Self {
            spec: Arc::clone(&task.spec),
            container: task.container.clone(),
            state: task.updates.state(),
            launching: matches!(task.phase, Phase::Launching),
            pid: task.pid(),
            updates: task.updates.said().to_vec(),
        }
    }
}

/// What was counted since the agent started.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counters {
    /// Tasks taken in.
    pub accepted: u64,
    /// Tasks that ended in each way.
    pub finished: u64,
    /// See [`Counters::finished`].
    pub failed: u64,
    /// See [`Counters::finished`].
    pub killed: u64,
    /// See [`Counters::finished`].
    pub lost: u64,
    /// See [`Counters::finished`].
    pub error: u64,
    /// See [`Counters::finished`].
    pub dropped: u64,
    /// See [`Counters::finished`].
    pub gone: u64,
    /// Updates made.
    pub updates: u64,
    /// Updates sent again for want of an acknowledgement.
    pub retried_updates: u64,
    /// Times that a master took the agent in.
    pub registrations: u64,
}

impl Counters {
    pub(crate) fn count(&mut self, state: TaskState) {
        self.updates += 1;
        match state {
            TaskState::TaskFinished => self.finished += 1,
            TaskState::TaskFailed => self.failed += 1,
            TaskState::TaskKilled => self.killed += 1,
            TaskState::TaskLost => self.lost += 1,
            TaskState::TaskError => self.error += 1,
            TaskState::TaskDropped => self.dropped += 1,
            TaskState::TaskGone | TaskState::TaskGoneByOperator => self.gone += 1,
            TaskState::TaskStaging
            | TaskState::TaskStarting
            | TaskState::TaskRunning
            | TaskState::TaskKilling
            | TaskState::TaskUnreachable
            | TaskState::TaskUnknown => {}
        }
    }
}

impl View {
    /// What the live tasks occupy.
    pub fn used(&self) -> Resources {
        let live = self.tasks.iter().filter(|t| !meros_proto::task_state::is_terminal(t.state));
        live.fold(Resources::new(), |sum, task| sum + task.spec.resources.clone())
    }
}

impl Agent {
    pub(crate) fn view(&self) -> View {
        let master = match &self.link {
            Link::Registered { master, .. } => Some(master.clone()),
            Link::Down | Link::Open { .. } => None,
        };
        View {
            agent: self.id.clone(),
            master,
            leaving: self.leaving.is_some(),
            room: self.room,
            frameworks: self.frameworks.values().cloned().collect(),
            tasks: self.tasks.values().map(TaskView::of).collect(),
            completed: self.completed.iter().cloned().collect(),
            counters: self.counters,
        }
    }
}
