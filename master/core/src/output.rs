//! What the master asks its shell to do.
//!
//! Outputs share with the core (`Arc`, `Bytes`): the shell encodes them outside the core's thread.
//! What is to be made durable is in [`crate::registry`], what a view shows in [`crate::snapshot`].

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use meros_proto::ids::{AgentId, ExecutorId, FrameworkId, MasterId, OfferId, TaskId};
use meros_proto::resources::Role;

use crate::input::{LinkRef, ReplyTo, StreamRef};
use crate::model::{Offer, Status, Uuid};
use crate::snapshot::Snapshot;

/// What is to be done, in this order. Performing one only queues.
#[derive(Debug, Clone)]
pub enum Effect {
    /// Answers a call.
    Reply {
        /// Which one.
        to: ReplyTo,
        /// With what.
        answer: Answer,
    },
    /// Sends an event to a scheduler.
    Event {
        /// On which stream.
        stream: StreamRef,
        /// What.
        event: SchedulerEvent,
    },
    /// Ends a scheduler's stream after the events before it. No `StreamClosed` need follow.
    CloseStream {
        /// Which one.
        stream: StreamRef,
    },
    /// Sends a message to an agent.
    ToAgent {
        /// On which link.
        link: LinkRef,
        /// What.
        message: AgentMessage,
    },
    /// Ends an agent's link after the messages before it. No `AgentLinkClosed` need follow.
    CloseLink {
        /// Which one.
        link: LinkRef,
    },
    /// Something a log should show.
    Notice(Notice),
}

/// The answer to a call.
#[derive(Debug, Clone)]
pub enum Answer {
    /// 202 with an empty body.
    Accepted,
    /// 200 with an empty body: an operator's call took effect.
    Done,
    /// Neither.
    Refused(Refusal),
    /// What was asked to be seen.
    View(Arc<Snapshot>),
}

/// Why a call was refused. `Display` is the body's text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// A scheduler's call for a framework that doesn't exist, or no more.
    #[error("Framework cannot be found")]
    FrameworkNotFound,
    /// The caller isn't who subscribed.
    #[error(
        "Authenticated principal '{caller}' does not match principal '{framework}' set in \
         FrameworkInfo"
    )]
    PrincipalMismatch {
        /// Who calls.
        caller: String,
        /// Who subscribed.
        framework: String,
    },
    /// The framework's stream is down.
    #[error("Framework is not subscribed")]
    NotSubscribed,
    /// The header `Mesos-Stream-Id` is missing.
    #[error("All non-subscribe calls should include the 'Mesos-Stream-Id' header")]
    StreamIdMissing,
    /// The call was made for an older stream.
    #[error(
        "The stream ID '{given}' included in this request didn't match the stream ID currently \
         associated with framework ID '{framework}'"
    )]
    StreamIdMismatch {
        /// What the call carried.
        given: String,
        /// Whose it should have been.
        framework: FrameworkId,
    },
    /// The call isn't built.
    #[error("{0} is not implemented by this version")]
    NotImplemented(&'static str),
    /// An operator names a framework that doesn't exist.
    #[error("No framework found with specified ID")]
    NoSuchFramework,
    /// An operator's request makes no sense.
    #[error("{0}")]
    Invalid(String),
}

impl Refusal {
    /// The HTTP status code.
    pub fn status(&self) -> u16 {
        match self {
            Self::NotSubscribed => 403,
            Self::NotImplemented(_) => 501,
            Self::FrameworkNotFound
            | Self::PrincipalMismatch { .. }
            | Self::StreamIdMissing
            | Self::StreamIdMismatch { .. }
            | Self::NoSuchFramework
            | Self::Invalid(_) => 400,
        }
    }
}

/// What a scheduler hears.
#[derive(Debug, Clone)]
pub enum SchedulerEvent {
    /// The subscription holds. The shell adds its `master_info`.
    Subscribed {
        /// The id, new or confirmed.
        framework: FrameworkId,
        /// How often a heartbeat comes.
        heartbeat_interval: Duration,
    },
    /// The stream lives.
    Heartbeat,
    /// New offers.
    Offers(Vec<Arc<Offer>>),
    /// An offer can't be used any more.
    Rescind(OfferId),
    /// The state of a task. To be acknowledged if and only if it carries a uuid.
    Update(Status),
    /// What became of an operation with an id. Never carries a uuid here.
    OperationError {
        /// `operation.id` as the scheduler wrote it.
        operation: String,
        /// Where it would have been applied, if the offers were valid.
        agent: Option<AgentId>,
        /// Why it failed.
        message: String,
    },
    /// Data of an executor.
    Message {
        /// Where it is.
        agent: AgentId,
        /// Who sent it.
        executor: ExecutorId,
        /// Not looked into.
        data: Bytes,
    },
    /// An agent was removed, or an executor on it ended.
    Failure {
        /// Which agent.
        agent: AgentId,
        /// `None`: the whole agent.
        executor: Option<ExecutorId>,
        /// As waitpid gives it.
        wait_status: Option<i32>,
    },
    /// The subscription is over, or was refused; `CloseStream` follows.
    Error {
        /// Why.
        message: String,
    },
}

/// What an agent hears: `meros.agent.v1.FromMaster`, parsed.
#[derive(Debug, Clone)]
pub enum AgentMessage {
    /// The agent takes part from now on.
    Registered {
        /// Its id, new or confirmed.
        agent: AgentId,
        /// Ours, which changes with every leader.
        master: MasterId,
        /// Time between pings.
        ping_interval: Duration,
        /// How many silent intervals each side allows the other.
        ping_timeouts: u32,
        /// Frameworks that were removed while the agent was away: their tasks are to be ended.
        removed_frameworks: Vec<FrameworkId>,
    },
    /// The agent may not take part; `CloseLink` follows.
    Refused {
        /// For its log.
        reason: String,
        /// It is not to come back.
        fatal: bool,
    },
    /// Starts a task.
    RunTask {
        /// Whose it is.
        framework: FrameworkId,
        /// The encoded FrameworkInfo, with its id.
        framework_info: Bytes,
        /// The encoded TaskInfo as the scheduler wrote it.
        task: Bytes,
        /// To be filled in as `allocation_info` of the task's resources by the shell.
        role: Role,
    },
    /// Ends a task.
    KillTask {
        /// Whose it is.
        framework: FrameworkId,
        /// Which one.
        task: TaskId,
        /// Overrides the task's kill policy.
        grace: Option<Duration>,
    },
    /// A scheduler dealt with a status.
    AcknowledgeUpdate {
        /// Whose task it is.
        framework: FrameworkId,
        /// Which one.
        task: TaskId,
        /// The status's uuid.
        uuid: Uuid,
    },
    /// Are you there?
    Ping {
        /// To be repeated in the pong.
        sequence: u64,
    },
    /// All tasks and executors of the framework are to be ended.
    ShutdownFramework {
        /// Which one.
        framework: FrameworkId,
    },
    /// Data for an executor.
    ExecutorMessage {
        /// Whose it is.
        framework: FrameworkId,
        /// Which one.
        executor: ExecutorId,
        /// Not looked into.
        data: Bytes,
    },
    /// A framework resubscribed with a changed info.
    UpdateFramework {
        /// Which one.
        framework: FrameworkId,
        /// The encoded FrameworkInfo, with its id.
        framework_info: Bytes,
    },
}

/// How loud a [`Notice`] is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// The state changed.
    Info,
    /// It went wrong and we went on.
    Warn,
}

/// Something a log should show. `Display` is one line with all ids in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notice {
    /// A framework subscribed, for the first time or again.
    FrameworkSubscribed {
        /// Which one.
        framework: FrameworkId,
        /// Its name.
        name: Arc<str>,
        /// It was known before.
        again: bool,
    },
    /// A subscription was refused.
    SubscribeRefused {
        /// The id it gave.
        framework: Option<FrameworkId>,
        /// What the ERROR event says.
        message: String,
    },
    /// A framework's stream is down.
    FrameworkDisconnected {
        /// Which one.
        framework: FrameworkId,
        /// It is removed unless it is back by then.
        failover_timeout: Duration,
    },
    /// A framework is gone for good.
    FrameworkRemoved {
        /// Which one.
        framework: FrameworkId,
        /// Torn down, or not back in time.
        reason: &'static str,
    },
    /// An agent takes part.
    AgentRegistered {
        /// Which one.
        agent: AgentId,
        /// Its host.
        hostname: Arc<str>,
        /// It was known before.
        again: bool,
    },
    /// An agent may not take part.
    AgentRefused {
        /// Its host.
        hostname: Arc<str>,
        /// Why.
        reason: String,
    },
    /// An agent's link is down.
    AgentDisconnected {
        /// Which one.
        agent: AgentId,
    },
    /// An agent hasn't been heard of for too long.
    AgentUnreachable {
        /// Which one.
        agent: AgentId,
    },
    /// An agent left.
    AgentUnregistered {
        /// Which one.
        agent: AgentId,
        /// What it said.
        reason: String,
    },
    /// A scheduler's call was accepted on the wire but has no effect.
    CallDropped {
        /// Whose.
        framework: FrameworkId,
        /// Its name on the wire.
        call: &'static str,
        /// Why.
        reason: String,
    },
    /// A message of an agent has no effect.
    AgentMessageDropped {
        /// `None`: its link isn't registered.
        agent: Option<AgentId>,
        /// What it was.
        message: &'static str,
        /// Why.
        reason: String,
    },
    /// The registry refused to remember a decision: the books and it disagree.
    OperationRejected {
        /// What doesn't fit.
        reason: String,
    },
    /// A status update has no effect; the agent repeats it until it is acknowledged.
    UpdateDropped {
        /// Whose task.
        framework: FrameworkId,
        /// Which one.
        task: TaskId,
        /// Why.
        reason: &'static str,
    },
}

impl Notice {
    /// How loud it is.
    pub fn level(&self) -> Level {
        match self {
            Self::FrameworkSubscribed { .. }
            | Self::FrameworkDisconnected { .. }
            | Self::FrameworkRemoved { .. }
            | Self::AgentRegistered { .. }
            | Self::AgentDisconnected { .. }
            | Self::AgentUnregistered { .. }
            | Self::CallDropped { .. }
            | Self::UpdateDropped { .. } => Level::Info,
            Self::SubscribeRefused { .. }
            | Self::AgentRefused { .. }
            | Self::AgentUnreachable { .. }
            | Self::OperationRejected { .. }
            | Self::AgentMessageDropped { .. } => Level::Warn,
        }
    }
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::FrameworkSubscribed { framework, name, again } => {
                let again = if *again { " again" } else { "" };
                write!(f, "framework {framework} ({name}) subscribed{again}")
            }
            Self::SubscribeRefused { framework: Some(framework), message } => {
                write!(f, "refused the subscription of framework {framework}: {message}")
            }
            Self::SubscribeRefused { framework: None, message } => {
                write!(f, "refused the subscription of a new framework: {message}")
            }
            Self::FrameworkDisconnected { framework, failover_timeout } => {
                write!(f, "framework {framework} disconnected; waiting {failover_timeout:?} for it")
            }
            Self::FrameworkRemoved { framework, reason } => {
                write!(f, "removed framework {framework}: {reason}")
            }
            Self::AgentRegistered { agent, hostname, again } => {
                let again = if *again { " again" } else { "" };
                write!(f, "agent {agent} on {hostname} registered{again}")
            }
            Self::AgentRefused { hostname, reason } => {
                write!(f, "refused the agent on {hostname}: {reason}")
            }
            Self::AgentDisconnected { agent } => write!(f, "agent {agent} disconnected"),
            Self::AgentUnreachable { agent } => write!(f, "agent {agent} is unreachable"),
            Self::AgentUnregistered { agent, reason } => {
                write!(f, "agent {agent} left: {reason}")
            }
            Self::CallDropped { framework, call, reason } => {
                write!(f, "dropped {call} of framework {framework}: {reason}")
            }
            Self::AgentMessageDropped { agent: Some(agent), message, reason } => {
                write!(f, "dropped {message} of agent {agent}: {reason}")
            }
            Self::AgentMessageDropped { agent: None, message, reason } => {
                write!(f, "dropped {message} of an unregistered agent: {reason}")
            }
            Self::OperationRejected { reason } => {
                write!(f, "the registry refused an operation: {reason}")
            }
            Self::UpdateDropped { framework, task, reason } => {
                write!(f, "dropped an update of task {task} of framework {framework}: {reason}")
            }
        }
    }
}
