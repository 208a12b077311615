//! Everything that can make the master move.
//!
//! All of it is parsed: the shell decodes on its own threads and hands over ids, [`Resources`] and
//! the encoded bytes of what the core only passes on. The parsing of infos and tasks, with all the
//! checks that need no state, is in [`crate::validate`] ([`FrameworkSpec::from_proto`],
//! [`LaunchTask::from_proto`], [`AgentSpec::from_proto`]): shells call it before they send an input.
//!
//! Inputs of one connection or link are to arrive in the order in which it sent them.
//!
//! [`FrameworkSpec::from_proto`]: crate::FrameworkSpec::from_proto
//! [`LaunchTask::from_proto`]: crate::LaunchTask::from_proto
//! [`AgentSpec::from_proto`]: crate::AgentSpec::from_proto

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use meros_proto::caller::Caller;
use meros_proto::ids::{AgentId, ExecutorId, FrameworkId, OfferId, StreamId, TaskId};
use meros_proto::resources::{Resources, Role};
use meros_proto::v1::TaskState;

use crate::model::{AgentSpec, FrameworkSpec, LaunchTask, StatusReport, Uuid};

/// One event stream of a scheduler. Numbered by the shell, never reused in a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamRef(pub u64);

/// One connection of an agent. Numbered by the shell, never reused in a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LinkRef(pub u64);

/// Where the answer to a call goes. Numbered by the shell; each is answered exactly once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ReplyTo(pub u64);

/// What the master is told.
#[derive(Debug, Clone)]
pub enum Input {
    /// A scheduler's SUBSCRIBE. Never answered by a `Reply`: the stream itself carries SUBSCRIBED
    /// or ERROR.
    Subscribe(Box<Subscribe>),
    /// Any other scheduler call. Answered at once by a `Reply`.
    Call(Box<Call>),
    /// A scheduler's stream broke, or the shell closed it because its reader was too slow.
    StreamClosed {
        /// The stream that is no more.
        stream: StreamRef,
    },

    /// First message of an agent on a new link.
    AgentRegister(Box<AgentRegister>),
    /// A status update of one task.
    AgentUpdate {
        /// The link it came on.
        link: LinkRef,
        /// Whose task it is.
        framework: FrameworkId,
        /// The status at the head of the task's queue on the agent.
        status: Box<StatusReport>,
        /// The latest state that the agent knows: a terminal one frees the resources.
        latest_state: TaskState,
    },
    /// The answer to a ping.
    AgentPong {
        /// The link it came on.
        link: LinkRef,
        /// The number of the ping that is answered.
        sequence: u64,
    },
    /// The agent leaves for good.
    AgentUnregister {
        /// The link it came on.
        link: LinkRef,
        /// For the log.
        reason: String,
    },
    /// Data of an executor for its scheduler. Best effort.
    AgentExecutorMessage {
        /// The link it came on.
        link: LinkRef,
        /// For whom the data is.
        framework: FrameworkId,
        /// Who sent it.
        executor: ExecutorId,
        /// Not looked into.
        data: Bytes,
    },
    /// A custom or default executor ended.
    AgentExecutorExited {
        /// The link it came on.
        link: LinkRef,
        /// Whose executor it was.
        framework: FrameworkId,
        /// Which one.
        executor: ExecutorId,
        /// As waitpid gives it.
        wait_status: i32,
    },
    /// An agent's link broke, or the shell dropped it.
    AgentLinkClosed {
        /// The link that is no more.
        link: LinkRef,
    },

    /// An operator removes a framework.
    OperatorTeardown {
        /// Who asks.
        caller: Caller,
        /// Where the answer goes.
        reply: ReplyTo,
        /// What is to be removed.
        framework: FrameworkId,
    },
    /// An operator sets the weights of roles; those not named keep theirs.
    UpdateWeights {
        /// Who asks.
        caller: Caller,
        /// Where the answer goes.
        reply: ReplyTo,
        /// Each weight is to be above zero and finite.
        weights: BTreeMap<Role, f64>,
    },
    /// Somebody wants to look at everything.
    View {
        /// Where the snapshot goes.
        reply: ReplyTo,
    },
}

/// A scheduler's SUBSCRIBE that passed the checks on the call itself.
#[derive(Debug, Clone)]
pub struct Subscribe {
    /// Who asks.
    pub caller: Caller,
    /// The stream that the answer opens.
    pub stream: StreamRef,
    /// What the shell put into the `Mesos-Stream-Id` header; later calls have to carry it.
    pub stream_id: StreamId,
    /// The id that the scheduler already has.
    pub framework_id: Option<FrameworkId>,
    /// The parsed info; or what is wrong with it, which goes into the ERROR event.
    pub framework: Result<FrameworkSpec, String>,
}

/// A scheduler's call other than SUBSCRIBE that passed the checks on the call itself.
#[derive(Debug, Clone)]
pub struct Call {
    /// Who asks.
    pub caller: Caller,
    /// Where 202 or the refusal goes.
    pub reply: ReplyTo,
    /// Whose call it is.
    pub framework: FrameworkId,
    /// The `Mesos-Stream-Id` header, as it came.
    pub stream_id: Option<String>,
    /// What is asked.
    pub call: SchedulerCall,
}

/// What a scheduler can ask for.
#[derive(Debug, Clone)]
pub enum SchedulerCall {
    /// Uses offers of one agent: see `offers/accept.rs`.
    Accept {
        /// All of one agent and one role.
        offers: Vec<OfferId>,
        /// Applied in this order.
        operations: Vec<Operation>,
        /// For what is left over.
        filters: Filters,
    },
    /// Gives offers back.
    Decline {
        /// Unknown ones are ignored.
        offers: Vec<OfferId>,
        /// How long not to offer the same again.
        filters: Filters,
    },
    /// Wants offers again, for these roles or for all when empty.
    Revive {
        /// Empty: all.
        roles: Vec<String>,
    },
    /// Wants no offers, for these roles or for all when empty.
    Suppress {
        /// Empty: all.
        roles: Vec<String>,
    },
    /// Ends a task.
    Kill {
        /// Which one.
        task: TaskId,
        /// Where the scheduler thinks it is.
        agent: Option<AgentId>,
        /// Overrides the grace period of the task's kill policy.
        grace: Option<Duration>,
    },
    /// Says that a status was dealt with.
    Acknowledge {
        /// The agent that sent the status.
        agent: AgentId,
        /// The task it is about.
        task: TaskId,
        /// The status's uuid.
        uuid: Uuid,
    },
    /// Asks for the states of tasks, of all when empty.
    Reconcile {
        /// Each with where the scheduler thinks it is.
        tasks: Vec<(TaskId, Option<AgentId>)>,
    },
    /// Removes the framework for good.
    Teardown,
    /// Ends an executor.
    Shutdown {
        /// Which one.
        executor: ExecutorId,
        /// Where it is.
        agent: AgentId,
    },
    /// Data for an executor. Best effort.
    Message {
        /// Where it is.
        agent: AgentId,
        /// For whom the data is.
        executor: ExecutorId,
        /// Not looked into.
        data: Bytes,
    },
    /// Asks for resources; accepted and ignored, as the built-in allocator of Mesos does.
    Request,
    /// A call of Mesos that isn't built: 501 once the other checks have passed.
    Unbuilt {
        /// Its name on the wire, such as `ACCEPT_INVERSE_OFFERS`.
        name: &'static str,
    },
}

impl SchedulerCall {
    /// Its name on the wire.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Accept { .. } => "ACCEPT",
            Self::Decline { .. } => "DECLINE",
            Self::Revive { .. } => "REVIVE",
            Self::Suppress { .. } => "SUPPRESS",
            Self::Kill { .. } => "KILL",
            Self::Acknowledge { .. } => "ACKNOWLEDGE",
            Self::Reconcile { .. } => "RECONCILE",
            Self::Teardown => "TEARDOWN",
            Self::Shutdown { .. } => "SHUTDOWN",
            Self::Message { .. } => "MESSAGE",
            Self::Request => "REQUEST",
            Self::Unbuilt { name } => name,
        }
    }
}

/// One operation of an ACCEPT.
#[derive(Debug, Clone)]
pub enum Operation {
    /// Launches tasks, each valid or not for itself.
    Launch {
        /// `operation.id`: LAUNCH allows none, its tasks then fail.
        id: Option<String>,
        /// In this order.
        tasks: Vec<LaunchTask>,
    },
    /// Launches a pod, all or nothing.
    LaunchGroup {
        /// `operation.id`: LAUNCH_GROUP allows none.
        id: Option<String>,
        /// The group's tasks.
        tasks: Vec<LaunchTask>,
    },
    /// An operation that isn't built: OPERATION_ERROR when it has an id, nothing when it has none.
    Unbuilt {
        /// Its name on the wire, such as `RESERVE`.
        name: &'static str,
        /// `operation.id`: feedback is asked for.
        id: Option<String>,
    },
}

/// `Filters.refuse_seconds` as the scheduler wrote it; the rules are in
/// `allocator/filters.rs`.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Filters {
    /// `None`: the default of 5 s.
    pub refuse_seconds: Option<f64>,
}

/// Who an agent is and all that it holds.
#[derive(Debug, Clone)]
pub struct AgentRegister {
    /// Where it comes from.
    pub caller: Caller,
    /// The link it came on.
    pub link: LinkRef,
    /// The id it was given before.
    pub agent_id: Option<AgentId>,
    /// What it is.
    pub spec: AgentSpec,
    /// Changes when the host was rebooted.
    pub boot_id: String,
    /// A fresh text for each process of the agent.
    pub incarnation: String,
    /// Tasks that are live, or terminal and not acknowledged yet.
    pub tasks: Vec<TaskReport>,
    /// Frameworks of those tasks.
    pub frameworks: Vec<FrameworkReport>,
}

/// A task that a registering agent holds.
#[derive(Debug, Clone)]
pub struct TaskReport {
    /// Whose it is.
    pub framework: FrameworkId,
    /// Its id.
    pub id: TaskId,
    /// Its name, for views.
    pub name: Arc<str>,
    /// The executor that runs it; `None`: a command task.
    pub executor: Option<ExecutorId>,
    /// What it holds, allocated to its role.
    pub resources: Resources,
    /// The latest state that the agent knows.
    pub state: TaskState,
    /// The status of that state; `None` while staging.
    pub status: Option<Box<StatusReport>>,
    /// The encoded TaskInfo.
    pub raw: Bytes,
}

/// A framework whose tasks a registering agent holds.
#[derive(Debug, Clone)]
pub struct FrameworkReport {
    /// Its id.
    pub id: FrameworkId,
    /// Its info as the agent last heard it.
    pub spec: FrameworkSpec,
}
