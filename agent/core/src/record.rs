//! What the agent must not forget: written before it is acted on, read when the agent starts again.

mod layout;

use std::sync::Arc;

use meros_proto::ids::{AgentId, ContainerId, FrameworkId};

use crate::status::Update;
use crate::task::{FrameworkSpec, Stop, TaskKey, TaskSpec};

/// One line of the agent's log.
#[derive(Debug, Clone, PartialEq)]
pub enum Record {
    /// The master admitted this agent under an id.
    Admitted(AgentId),
    /// A framework was seen for the first time, or has changed.
    Framework(Arc<FrameworkSpec>),
    /// A task was accepted, and will be started.
    Accepted {
        /// What was asked for.
        task: Arc<TaskSpec>,
        /// The container that it will run in.
        container: ContainerId,
    },
    /// Something was said about a task.
    Update {
        /// Which.
        task: TaskKey,
        /// What.
        update: Arc<Update>,
    },
    /// The framework has heard it. Losing this record repeats the update, nothing else.
    Acknowledged {
        /// The update's task.
        task: TaskKey,
        /// The update.
        uuid: [u8; 16],
    },
    /// A live task is to end: what was asked for, or what was asked for in place of that.
    Stopping {
        /// Which.
        task: TaskKey,
        /// Why, and by when.
        stop: Stop,
    },
    /// Nothing is owed to this framework any more: its tasks end unreported.
    FrameworkRemoved(FrameworkId),
    /// A task of a removed framework has ended.
    Forgotten(TaskKey),
    /// The agent left the cluster: what it starts as next time is a new agent.
    Left,
    /// The agent has started in this boot of the host. What is live from here on runs in it.
    Booted(String),
}

impl Record {
    /// Whether it may reach the disk later than what was done on it: losing it repeats an update or
    /// keeps a task of a removed framework, nothing else.
    pub fn may_be_late(&self) -> bool {
        matches!(self, Self::Acknowledged { .. } | Self::Forgotten(_))
    }
}
