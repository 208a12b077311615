//! What is said about a task at one moment of its life.

use meros_proto::resources::Resources;
use meros_proto::time::Timestamp;
use meros_proto::v1::TaskState;
use meros_proto::v1::task_status::{Reason, Source};

use crate::checks::CheckStatus;

/// A task's state and what explains it. The shell turns it into a `mesos.v1.TaskStatus`.
#[derive(Debug, Clone, PartialEq)]
pub struct Status {
    /// The state that the task is in from here on.
    pub state: TaskState,
    /// Who found out: the agent, or the command executor that it stands in for.
    pub source: Source,
    /// Why, when the state alone doesn't say it.
    pub reason: Option<Reason>,
    /// For people.
    pub message: Option<String>,
    /// When.
    pub timestamp: Timestamp,
    /// The limit that the task overstepped, with a reason of CONTAINER_LIMITATION.
    pub limitation: Option<Resources>,
    /// What the health check says, where it has said something.
    pub healthy: Option<bool>,
    /// What the check says, of a task that has one.
    pub check: Option<CheckStatus>,
}

impl Status {
    /// What the command executor of Mesos would report.
    pub fn of_executor(state: TaskState, at: Timestamp) -> Self {
        Self::bare(state, Source::Executor, at)
    }

    /// What the agent itself reports.
    pub fn of_agent(state: TaskState, reason: Reason, at: Timestamp) -> Self {
        Self { reason: Some(reason), ..Self::bare(state, Source::Agent, at) }
    }

    /// The same with words for people.
    pub fn saying(self, message: impl Into<String>) -> Self {
        Self { message: Some(message.into()), ..self }
    }

    /// The same with a reason.
    pub fn because(self, reason: Reason) -> Self {
        Self { reason: Some(reason), ..self }
    }

    fn bare(state: TaskState, source: Source, timestamp: Timestamp) -> Self {
        Self {
            state,
            source,
            reason: None,
            message: None,
            timestamp,
            limitation: None,
            healthy: None,
            check: None,
        }
    }
}

/// A status on its way to the framework, which acknowledges it by its uuid.
#[derive(Debug, Clone, PartialEq)]
pub struct Update {
    /// 16 random bytes.
    pub uuid: [u8; 16],
    /// What is said.
    pub status: Status,
}
