//! What a framework is told, typed.

use std::time::Duration;

use bytes::Bytes;
use meros_proto::{ids, v1};

/// One thing that happened, in the order in which the master told it.
#[derive(Debug)]
pub enum Event {
    /// The master took the subscription; calls are sent from now on. Comes again after every
    /// [`Event::Disconnected`]. Offers of an earlier subscription are void; reconcile.
    Subscribed(Subscribed),
    /// The subscription is over. Tasks run on; the driver is looking for the leader already.
    Disconnected {
        /// One line for the log.
        why: String,
        /// Whether it wasn't lost but left, for one that describes the framework as it is after
        /// [`Calls::update_framework`](super::Calls::update_framework).
        renewing: bool,
        /// Calls that were taken by [`Calls::send`](super::Calls::send) and not answered: each may
        /// or may not have reached the master.
        unanswered_calls: usize,
    },
    /// Resources to use or to decline.
    Offers(Vec<v1::Offer>),
    /// An offer that is no longer there.
    Rescind(ids::OfferId),
    /// A wish to have resources back before maintenance.
    InverseOffers(Vec<v1::InverseOffer>),
    /// An inverse offer that is no longer there.
    RescindInverse(ids::OfferId),
    /// The state of a task.
    Update(Update),
    /// The state of an operation that asked for feedback.
    OperationUpdate(OperationUpdate),
    /// What an executor sends, best effort.
    Message {
        /// The executor's agent.
        agent: ids::AgentId,
        /// The executor.
        executor: ids::ExecutorId,
        /// What it says.
        data: Bytes,
    },
    /// An agent was removed, or (with `executor`) an executor ended. A hint: updates tell the truth.
    Failure {
        /// The agent.
        agent: Option<ids::AgentId>,
        /// The executor that ended; `None`: the agent is gone.
        executor: Option<ids::ExecutorId>,
        /// The executor's wait status.
        status: Option<i32>,
    },
    /// The master turned a call down, or couldn't be reached with it. The stream goes on.
    CallFailed(Box<CallFailed>),
    /// A kind of event that this build doesn't know, as it came.
    Unknown(Bytes),
    /// The end: the master refuses this framework, or another instance took over. No event follows.
    Error {
        /// The master's words.
        message: String,
    },
    /// The end: the framework was torn down or its failover time has passed. Its id must be
    /// dropped, its tasks are gone. No event follows.
    Removed {
        /// The master's words.
        message: String,
    },
}

/// See [`Event::Subscribed`].
#[derive(Debug, Clone)]
pub struct Subscribed {
    /// The framework's id, to be stored before anything is launched.
    pub framework_id: ids::FrameworkId,
    /// What the leader tells of itself.
    pub master_info: Option<v1::MasterInfo>,
    /// The leader, as `HOST:PORT`.
    pub master: String,
    /// How often the master promises to send something.
    pub heartbeat_interval: Duration,
    /// Whether this driver was subscribed before.
    pub again: bool,
}

/// See [`Event::Update`].
#[derive(Debug)]
pub struct Update {
    /// What the agent or the master says.
    pub status: v1::TaskStatus,
    /// To be acknowledged once the update has been dealt with, see
    /// [`Calls::acknowledge`](super::Calls::acknowledge). `None`: the sender expects nothing. When
    /// it is dropped instead, the agent sends the update again.
    pub ack: Option<Ack>,
}

impl Update {
    /// Wraps a status as it came off the wire.
    pub fn new(status: v1::TaskStatus) -> Self {
        Self { ack: Ack::of(&status), status }
    }

    /// The task's state.
    pub fn state(&self) -> v1::TaskState {
        self.status.state()
    }
}

/// The right to acknowledge one update, once.
#[derive(Debug, PartialEq, Eq)]
#[must_use = "an update that isn't acknowledged comes again"]
pub struct Ack {
    pub(super) agent_id: v1::AgentId,
    pub(super) task_id: v1::TaskId,
    pub(super) uuid: Bytes,
}

impl Ack {
    /// The acknowledgement that `status` asks for: none without a `uuid`, or without the agent or
    /// the task that it would have to name.
    pub fn of(status: &v1::TaskStatus) -> Option<Self> {
        Some(Self {
            uuid: status.uuid.clone().filter(|uuid| !uuid.is_empty())?,
            agent_id: status.agent_id.clone()?,
            task_id: status.task_id.clone()?,
        })
    }
}

/// See [`Event::OperationUpdate`].
#[derive(Debug)]
pub struct OperationUpdate {
    /// What became of the operation.
    pub status: v1::OperationStatus,
    /// As in [`Update::ack`].
    pub ack: Option<OperationAck>,
}

impl OperationUpdate {
    /// Wraps a status as it came off the wire.
    pub fn new(status: v1::OperationStatus) -> Self {
        Self { ack: OperationAck::of(&status), status }
    }
}

/// The right to acknowledge one update of an operation, once.
#[derive(Debug, PartialEq, Eq)]
#[must_use = "an update that isn't acknowledged comes again"]
pub struct OperationAck {
    pub(super) agent_id: Option<v1::AgentId>,
    pub(super) resource_provider_id: Option<v1::ResourceProviderId>,
    pub(super) operation_id: v1::OperationId,
    pub(super) uuid: Bytes,
}

impl OperationAck {
    fn of(status: &v1::OperationStatus) -> Option<Self> {
        Some(Self {
            uuid: status.uuid.as_ref()?.value.clone().filter(|uuid| !uuid.is_empty())?,
            operation_id: status.operation_id.clone()?,
            agent_id: status.agent_id.clone(),
            resource_provider_id: status.resource_provider_id.clone(),
        })
    }
}

/// See [`Event::CallFailed`].
#[derive(Debug)]
pub struct CallFailed {
    /// What was asked.
    pub call: v1::scheduler::Call,
    /// What became of it.
    pub why: CallFailure,
}

/// Why a call came to nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CallFailure {
    /// The master's answer to it. The call had no effect.
    #[error("{status}: {message}")]
    Refused {
        /// The HTTP status, 4xx or 5xx.
        status: u16,
        /// The answer's text.
        message: String,
    },
    /// The connection broke: whether the call had an effect isn't known, and it is of a kind that
    /// can't be sent twice.
    #[error("not known whether it arrived: {0}")]
    Unanswered(String),
}
