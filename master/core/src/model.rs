//! The nouns that inputs, state and outputs share: what is known of a framework, an agent, an
//! offer, a task and its statuses.
//!
//! Parsed is only what the master decides on; the rest stays the encoded message that it came in
//! (`raw`), which the core never looks into.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use meros_proto::attributes::Attributes;
use meros_proto::ids::{AgentId, ExecutorId, FrameworkId, OfferId, TaskId};
use meros_proto::resources::{Quantities, Resources, Role};
use meros_proto::time::Timestamp;
use meros_proto::v1::TaskState;
use meros_proto::v1::task_status::{Reason, Source};

/// The 16 bytes that name one status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Uuid(pub [u8; 16]);

impl Uuid {
    /// Takes the bytes when there are exactly 16 of them.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }
}

/// What a framework announced that it can deal with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Capabilities {
    /// REVOCABLE_RESOURCES: revocable resources may be offered to it.
    pub revocable_resources: bool,
    /// TASK_KILLING_STATE.
    pub task_killing_state: bool,
    /// GPU_RESOURCES: agents with GPUs may be offered to it.
    pub gpu_resources: bool,
    /// SHARED_RESOURCES: shared volumes may be offered to it.
    pub shared_resources: bool,
    /// PARTITION_AWARE: it knows more states than TASK_LOST.
    pub partition_aware: bool,
    /// MULTI_ROLE: it uses `roles`.
    pub multi_role: bool,
    /// RESERVATION_REFINEMENT: it uses `reservations`.
    pub reservation_refinement: bool,
    /// REGION_AWARE.
    pub region_aware: bool,
}

/// A framework as it describes itself. Made by [`FrameworkSpec::from_proto`].
#[derive(Debug, Clone, PartialEq)]
pub struct FrameworkSpec {
    /// Its name, for people.
    pub name: Arc<str>,
    /// Who its tasks run as.
    pub user: Arc<str>,
    /// Sorted, without doubles; `*` when it named none and isn't MULTI_ROLE.
    pub roles: Vec<Role>,
    /// Those of `roles` for which it wants no offers.
    pub suppressed: BTreeSet<Role>,
    /// What it can deal with.
    pub capabilities: Capabilities,
    /// How long it may be disconnected before it is removed.
    pub failover_timeout: Duration,
    /// Its tasks outlive an agent's restart.
    pub checkpoint: bool,
    /// Who may speak for it.
    pub principal: Option<String>,
    /// For each role with an offer filter: an offer must hold one of these sets of quantities.
    pub min_allocatable: BTreeMap<Role, Vec<Quantities>>,
    /// The encoded FrameworkInfo. With its id once the master holds it.
    pub raw: Bytes,
}

/// An agent as it describes itself. Made by [`AgentSpec::from_proto`].
#[derive(Debug, Clone, PartialEq)]
pub struct AgentSpec {
    /// Its host.
    pub hostname: Arc<str>,
    /// The port of its HTTP API.
    pub port: u16,
    /// `slave(1)@ip:port`, what older tools read.
    pub pid: Arc<str>,
    /// The Mesos version that it claims.
    pub version: Arc<str>,
    /// Names of `AgentInfo.Capability.Type`.
    pub capabilities: Vec<String>,
    /// All that it has.
    pub resources: Resources,
    /// What is said about it.
    pub attributes: Attributes,
    /// The encoded AgentInfo, as it came but for its id.
    pub raw: Bytes,
}

/// A task as a LAUNCH names it. Made by [`LaunchTask::from_proto`].
#[derive(Debug, Clone)]
pub struct LaunchTask {
    /// As the framework wrote it: a status has to name it even when it is no valid id.
    pub id: Arc<str>,
    /// The task; or why it is invalid whatever the offers hold.
    pub spec: Result<Box<TaskSpec>, String>,
}

/// A task that is valid by itself.
#[derive(Debug, Clone)]
pub struct TaskSpec {
    /// Its id.
    pub id: TaskId,
    /// Its name, for people.
    pub name: Arc<str>,
    /// Where the framework wants it: the offers' agent, or it is invalid.
    pub agent: AgentId,
    /// What it asks for; the allocation role may be missing.
    pub resources: Resources,
    /// The executor it brings; `None`: a command task.
    pub executor: Option<ExecutorId>,
    /// It sets `limits`, which the agent must be able to enforce.
    pub has_limits: bool,
    /// The encoded TaskInfo.
    pub raw: Bytes,
}

/// A status as an agent reports it.
#[derive(Debug, Clone, PartialEq)]
pub struct StatusReport {
    /// The task it is about.
    pub task: TaskId,
    /// The state it tells.
    pub state: TaskState,
    /// When it was made.
    pub timestamp: Timestamp,
    /// An acknowledgement names it; `None`: none is wanted.
    pub uuid: Option<Uuid>,
    /// The encoded TaskStatus: forwarded as it came.
    pub raw: Bytes,
    /// What the master keeps of it: the same without `data`, ids, state, time and uuid.
    pub kept: Bytes,
}

/// A status as a scheduler hears it and a view shows it.
#[derive(Debug, Clone)]
pub enum Status {
    /// As an agent sent it.
    Forwarded {
        /// The state it tells.
        state: TaskState,
        /// When it was made.
        timestamp: Timestamp,
        /// The encoded TaskStatus; in a task's history only what isn't known beside it, as
        /// [`StatusReport::kept`].
        raw: Bytes,
    },
    /// Made by the master: carries no uuid, is sent once.
    Made(Arc<MadeStatus>),
}

impl Status {
    /// The state it tells.
    pub fn state(&self) -> TaskState {
        match self {
            Self::Forwarded { state, .. } => *state,
            Self::Made(made) => made.state,
        }
    }

    /// When it was made.
    pub fn timestamp(&self) -> Timestamp {
        match self {
            Self::Forwarded { timestamp, .. } => *timestamp,
            Self::Made(made) => made.timestamp,
        }
    }
}

/// A status that the master made.
#[derive(Debug, Clone, PartialEq)]
pub struct MadeStatus {
    /// The task's id, as the framework wrote it.
    pub task: Arc<str>,
    /// Where the task is or should have been.
    pub agent: Option<AgentId>,
    /// The executor of the task, if it isn't a command task.
    pub executor: Option<ExecutorId>,
    /// The state it tells.
    pub state: TaskState,
    /// Always the master, except in what it tells on behalf of a returned agent.
    pub source: Source,
    /// Why.
    pub reason: Option<Reason>,
    /// For people.
    pub message: String,
    /// When it was made.
    pub timestamp: Timestamp,
    /// Since when the agent is unreachable.
    pub unreachable_time: Option<Timestamp>,
    /// An encoded TaskStatus of the same task, from which `healthy`, `check_status`, `labels` and
    /// `container_status` are to be repeated.
    pub details: Option<Bytes>,
}

/// Resources of one agent that one framework may use under one role.
#[derive(Debug, Clone, PartialEq)]
pub struct Offer {
    /// Minted by this master and never reused.
    pub id: OfferId,
    /// To whom it is made.
    pub framework: FrameworkId,
    /// Where the resources are.
    pub agent: AgentId,
    /// What is known of that agent.
    pub agent_spec: Arc<AgentSpec>,
    /// Under which role.
    pub role: Role,
    /// What is offered, allocated to `role`.
    pub resources: Resources,
    /// The framework reads `reservations`, not the old format.
    pub refined: bool,
    /// When it was made.
    pub made: Timestamp,
}

/// A task that the master knows.
#[derive(Debug, Clone)]
pub struct Task {
    /// Its id, unique among the framework's live tasks.
    pub id: TaskId,
    /// Its name, for people.
    pub name: Arc<str>,
    /// Whose it is.
    pub framework: FrameworkId,
    /// Where it is.
    pub agent: AgentId,
    /// The executor that it brought; `None`: a command task.
    pub executor: Option<ExecutorId>,
    /// What its resources are allocated to.
    pub role: Role,
    /// What it holds, until its first terminal state.
    pub resources: Resources,
    /// The latest state that the master knows, which may be ahead of `statuses`.
    pub state: TaskState,
    /// The last status of each run of equal states, oldest first, without `data`.
    pub statuses: Vec<Status>,
    /// The encoded TaskInfo as the framework wrote it.
    pub raw: Bytes,
}

impl fmt::Display for Uuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}
