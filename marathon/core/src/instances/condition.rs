//! What an instance's task is doing, as far as is known, and how it is read from a status.
//!
//! ```text
//! Scheduled ─launch→ Provisioned → Staging → Starting → Running → Killing
//!     ↑                   └───────────┴─────────┴──────────┴───────┤
//!     │                            Unreachable ←──→ any of them    │
//!     │                                 └→ UnreachableInactive     │
//!     └── goal Running ── Finished, Failed, Killed, Error, Gone, Dropped, Unknown
//! ```

use meros_proto::v1::TaskState;
use meros_proto::v1::task_status::Reason;
use serde::{Deserialize, Serialize};

/// What an instance's task is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Condition {
    /// There is no task: an offer is wanted.
    Scheduled,
    /// An offer was accepted for it; no status yet.
    Provisioned,
    /// The agent has it.
    Staging,
    /// Its executor has it.
    Starting,
    /// It runs.
    Running,
    /// It is being stopped.
    Killing,
    /// Its agent can't be reached.
    Unreachable,
    /// Its agent can't be reached for so long that it is replaced.
    UnreachableInactive,
    /// It could not be started as described.
    Error,
    /// It ended badly.
    Failed,
    /// It ended well.
    Finished,
    /// It was stopped.
    Killed,
    /// Its agent says it is no more.
    Gone,
    /// It never reached its agent.
    Dropped,
    /// The master doesn't know it.
    Unknown,
}

impl Condition {
    /// As Marathon writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Scheduled => "Scheduled",
            Self::Provisioned => "Provisioned",
            Self::Staging => "Staging",
            Self::Starting => "Starting",
            Self::Running => "Running",
            Self::Killing => "Killing",
            Self::Unreachable => "Unreachable",
            Self::UnreachableInactive => "UnreachableInactive",
            Self::Error => "Error",
            Self::Failed => "Failed",
            Self::Finished => "Finished",
            Self::Killed => "Killed",
            Self::Gone => "Gone",
            Self::Dropped => "Dropped",
            Self::Unknown => "Unknown",
        }
    }

    /// Whether the task has ended and stays so.
    pub fn is_terminal(self) -> bool {
        matches!(
            self,
            Self::Error
                | Self::Failed
                | Self::Finished
                | Self::Killed
                | Self::Gone
                | Self::Dropped
                | Self::Unknown
        )
    }

    /// Whether there is a task that takes resources, as far as is known.
    pub fn is_active(self) -> bool {
        matches!(
            self,
            Self::Provisioned
                | Self::Staging
                | Self::Starting
                | Self::Running
                | Self::Killing
                | Self::Unreachable
        )
    }

    /// Whether it ended in a way that makes the next launch wait. A good end counts too: a service
    /// isn't meant to end.
    pub fn backs_off(self) -> bool {
        matches!(self, Self::Failed | Self::Error | Self::Dropped | Self::Gone | Self::Finished)
    }

    /// Whether it is worth showing as the app's last failure.
    pub fn is_failure(self) -> bool {
        matches!(self, Self::Failed | Self::Error | Self::Dropped | Self::Gone | Self::Unknown)
    }

    /// Whether a kill would never be answered, since nobody can reach the task.
    pub fn ignores_kills(self) -> bool {
        matches!(
            self,
            Self::Unknown
                | Self::Unreachable
                | Self::UnreachableInactive
                | Self::Dropped
                | Self::Gone
        )
    }

    /// The Mesos state that clients are shown. A scheduled or provisioned one shows as staging.
    pub fn task_state(self) -> TaskState {
        match self {
            Self::Scheduled | Self::Provisioned | Self::Staging => TaskState::TaskStaging,
            Self::Starting => TaskState::TaskStarting,
            Self::Running => TaskState::TaskRunning,
            Self::Killing => TaskState::TaskKilling,
            Self::Unreachable | Self::UnreachableInactive => TaskState::TaskUnreachable,
            Self::Error => TaskState::TaskError,
            Self::Failed => TaskState::TaskFailed,
            Self::Finished => TaskState::TaskFinished,
            Self::Killed => TaskState::TaskKilled,
            Self::Gone => TaskState::TaskGone,
            Self::Dropped => TaskState::TaskDropped,
            Self::Unknown => TaskState::TaskUnknown,
        }
    }

    /// What a status says of a task.
    ///
    /// The old TASK_LOST tells by its reason what the newer states tell by themselves.
    pub fn of_status(state: TaskState, reason: Option<Reason>) -> Self {
        match state {
            TaskState::TaskStaging => Self::Staging,
            TaskState::TaskStarting => Self::Starting,
            TaskState::TaskRunning => Self::Running,
            TaskState::TaskKilling => Self::Killing,
            TaskState::TaskFinished => Self::Finished,
            TaskState::TaskFailed => Self::Failed,
            TaskState::TaskKilled => Self::Killed,
            TaskState::TaskError => Self::Error,
            TaskState::TaskDropped => Self::Dropped,
            TaskState::TaskUnreachable => Self::Unreachable,
            TaskState::TaskGone | TaskState::TaskGoneByOperator => Self::Gone,
            TaskState::TaskUnknown => Self::Unknown,
            TaskState::TaskLost => match reason {
                Some(Reason::Reconciliation | Reason::AgentDisconnected | Reason::AgentRemoved) => {
                    Self::Unreachable
                }
                _ => Self::Gone,
            },
        }
    }

    /// Whether a status `next` of the same task is news. Statuses of one task may be doubled, and a
    /// reconciled one may be older than what is known.
    pub fn may_become(self, next: Self) -> bool {
        match (self, next) {
            // An unreachable task is back, in whatever state.
            (Self::Unreachable | Self::UnreachableInactive, next) => next != Self::Unreachable,
            (_, Self::Unreachable) => true,
            (_, next) if next.is_terminal() => true,
            // Staging, Starting, Running, Killing follow each other in this order only.
            (now, next) => next > now,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lost_task_is_unreachable_or_gone_by_its_reason() {
        for (reason, condition) in [
            (Some(Reason::Reconciliation), Condition::Unreachable),
            (Some(Reason::AgentDisconnected), Condition::Unreachable),
            (Some(Reason::AgentRemoved), Condition::Unreachable),
            (Some(Reason::InvalidOffers), Condition::Gone),
            (None, Condition::Gone),
        ] {
            assert_eq!(Condition::of_status(TaskState::TaskLost, reason), condition, "{reason:?}");
        }
    }

    #[test]
    fn a_task_goes_forward_only_except_after_it_was_unreachable() {
        use Condition::{Killed, Killing, Provisioned, Running, Staging, Unreachable};
        for (now, next, news) in [
            (Provisioned, Staging, true),
            (Provisioned, Running, true),
            (Running, Staging, false),
            (Running, Running, false),
            (Killing, Running, false),
            (Running, Unreachable, true),
            (Unreachable, Staging, true),
            (Unreachable, Unreachable, false),
            (Unreachable, Killed, true),
            (Running, Killed, true),
        ] {
            assert_eq!(now.may_become(next), news, "{now:?} -> {next:?}");
        }
    }
}
