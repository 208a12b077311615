//! The framework's side of the call queue.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use meros_proto::ids::{AgentId, FrameworkId, OfferId, TaskId};
use meros_proto::v1;
use meros_proto::v1::scheduler::{Call, call};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use super::address::Address;
use super::answer;
use super::event::{Ack, OperationAck};

/// Sends calls to the leader, in the order in which they are given. Cheap to clone.
///
/// Taking a call doesn't wait: it is queued, and sent on one connection after those before it. Only
/// acknowledgements have a queue and a connection of their own. What the master turns down comes
/// back as [`Event::CallFailed`](super::Event::CallFailed).
#[derive(Debug, Clone)]
pub struct Calls {
    pub(super) shared: Arc<Shared>,
}

/// What the handle and the driver's task have in common.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) ordered: mpsc::Sender<Queued>,
    pub(super) acknowledgements: mpsc::Sender<Queued>,
    pub(super) link: watch::Receiver<Option<Link>>,
    /// Queued or on the wire.
    pub(super) unanswered: Arc<AtomicUsize>,
    /// Asked to stop.
    pub(super) stop: CancellationToken,
}

/// No subscription has this number.
const NO_EPOCH: u64 = 0;

/// One call, and the subscription it was meant for.
#[derive(Debug)]
pub(super) struct Queued {
    pub(super) epoch: u64,
    pub(super) call: Call,
}

/// A subscription that stands: where its calls go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// Which of the driver's subscriptions it is.
    pub epoch: u64,
    /// The leader.
    pub master: Address,
    /// What the leader named the stream; goes with every call.
    pub stream_id: String,
    /// Who calls.
    pub framework_id: FrameworkId,
}

/// Why a call wasn't taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// There is no subscription at the moment. Try again after the next `Subscribed`.
    #[error("not subscribed to a master at the moment")]
    Disconnected,
    /// Too many calls wait to be sent. Try again soon.
    #[error("too many calls are waiting to be sent")]
    Full,
    /// The driver has ended.
    #[error("the driver has ended")]
    Ended,
}

impl SendError {
    /// Whether the same call may be taken later.
    pub fn is_retryable(self) -> bool {
        self != Self::Ended
    }
}

impl Calls {
    /// Queues any call. Stream id and framework id are filled in.
    ///
    /// # Errors
    /// See [`SendError`]; the call is dropped then.
    pub fn send(&self, mut call: Call) -> Result<(), SendError> {
        let (epoch, framework_id) = match &*self.shared.link.borrow() {
            Some(link) => (link.epoch, link.framework_id.to_proto()),
            None if self.is_ended() => return Err(SendError::Ended),
            None => return Err(SendError::Disconnected),
        };
        call.framework_id = Some(framework_id);
        self.queue(Queued { epoch, call })
    }

    fn queue(&self, queued: Queued) -> Result<(), SendError> {
        let queue = if answer::is_acknowledgement(queued.call.r#type()) {
            &self.shared.acknowledgements
        } else {
            &self.shared.ordered
        };
        self.shared.unanswered.fetch_add(1, Ordering::Relaxed);
        queue.try_send(queued).map_err(|error| {
            self.shared.unanswered.fetch_sub(1, Ordering::Relaxed);
            match error {
                mpsc::error::TrySendError::Full(_) => SendError::Full,
                mpsc::error::TrySendError::Closed(_) => SendError::Ended,
            }
        })
    }

    /// ACCEPT: does `operations` with what `offers` hold, which must be of one agent and one role.
    /// What is left over goes back, and isn't offered again for `refuse_for`.
    ///
    /// # Errors
    /// See [`SendError`].
    pub fn accept(
        &self,
        offers: impl IntoIterator<Item = OfferId>,
        operations: Vec<v1::offer::Operation>,
        refuse_for: Duration,
    ) -> Result<(), SendError> {
        self.send(Call {
            r#type: Some(call::Type::Accept.into()),
            accept: Some(call::Accept {
                offer_ids: offers.into_iter().map(|id| id.to_proto()).collect(),
                operations,
                filters: Some(refuse(refuse_for)),
            }),
            ..Call::default()
        })
    }

    /// ACCEPT with one LAUNCH of `tasks`.
    ///
    /// # Errors
    /// See [`SendError`].
    pub fn launch(
        &self,
        offers: impl IntoIterator<Item = OfferId>,
        tasks: Vec<v1::TaskInfo>,
        refuse_for: Duration,
    ) -> Result<(), SendError> {
        self.accept(offers, vec![launch_operation(tasks)], refuse_for)
    }

    /// DECLINE: gives `offers` back; the like isn't offered again for `refuse_for`.
    ///
    /// # Errors
    /// See [`SendError`].
    pub fn decline(
        &self,
        offers: impl IntoIterator<Item = OfferId>,
        refuse_for: Duration,
    ) -> Result<(), SendError> {
        self.send(Call {
            r#type: Some(call::Type::Decline.into()),
            decline: Some(call::Decline {
                offer_ids: offers.into_iter().map(|id| id.to_proto()).collect(),
                filters: Some(refuse(refuse_for)),
            }),
            ..Call::default()
        })
    }

    /// REVIVE: offers for `roles` (none: all of the framework's) flow again, earlier refusals are
    /// forgotten.
    ///
    /// # Errors
    /// See [`SendError`].
    pub fn revive(&self, roles: Vec<String>) -> Result<(), SendError> {
        self.send(Call {
            r#type: Some(call::Type::Revive.into()),
            revive: Some(call::Revive { roles }),
            ..Call::default()
        })
    }

    /// SUPPRESS: no offers for `roles` (none: all of the framework's) until they are revived.
    ///
    /// # Errors
    /// See [`SendError`].
    pub fn suppress(&self, roles: Vec<String>) -> Result<(), SendError> {
        self.send(Call {
            r#type: Some(call::Type::Suppress.into()),
            suppress: Some(call::Suppress { roles }),
            ..Call::default()
        })
    }

    /// KILL. `agent` may be left out; `policy` overrides the task's own.
    ///
    /// # Errors
    /// See [`SendError`].
    pub fn kill(
        &self,
        task: &TaskId,
        agent: Option<&AgentId>,
        policy: Option<v1::KillPolicy>,
    ) -> Result<(), SendError> {
        self.send(Call {
            r#type: Some(call::Type::Kill.into()),
            kill: Some(call::Kill {
                task_id: Some(task.to_proto()),
                agent_id: agent.map(AgentId::to_proto),
                kill_policy: policy,
            }),
            ..Call::default()
        })
    }

    /// ACKNOWLEDGE: the update has been dealt with and needn't come again. An acknowledgement that
    /// gets lost does no harm: the update comes again, with a new [`Ack`].
    ///
    /// # Errors
    /// See [`SendError`].
    pub fn acknowledge(&self, ack: Ack) -> Result<(), SendError> {
        self.send(Call {
            r#type: Some(call::Type::Acknowledge.into()),
            acknowledge: Some(call::Acknowledge {
                agent_id: Some(ack.agent_id),
                task_id: Some(ack.task_id),
                uuid: Some(ack.uuid),
            }),
            ..Call::default()
        })
    }

    /// ACKNOWLEDGE_OPERATION_STATUS, as [`Calls::acknowledge`].
    ///
    /// # Errors
    /// See [`SendError`].
    pub fn acknowledge_operation(&self, ack: OperationAck) -> Result<(), SendError> {
        self.send(Call {
            r#type: Some(call::Type::AcknowledgeOperationStatus.into()),
            acknowledge_operation_status: Some(call::AcknowledgeOperationStatus {
                agent_id: ack.agent_id,
                resource_provider_id: ack.resource_provider_id,
                uuid: Some(ack.uuid),
                operation_id: Some(ack.operation_id),
            }),
            ..Call::default()
        })
    }

    /// RECONCILE: asks for the state of each of `tasks`, with its agent where known; of all tasks
    /// that the master knows when there is none.
    ///
    /// # Errors
    /// See [`SendError`].
    pub fn reconcile(
        &self,
        tasks: impl IntoIterator<Item = (TaskId, Option<AgentId>)>,
    ) -> Result<(), SendError> {
        let tasks = tasks
            .into_iter()
            .map(|(task, agent)| call::reconcile::Task {
                task_id: Some(task.to_proto()),
                agent_id: agent.map(|agent| agent.to_proto()),
            })
            .collect();
        self.send(Call {
            r#type: Some(call::Type::Reconcile.into()),
            reconcile: Some(call::Reconcile { tasks }),
            ..Call::default()
        })
    }

    /// UPDATE_FRAMEWORK: from now on the framework is what `framework` says, and wants no offers for
    /// `suppressed_roles`. Its id is filled in; user and checkpoint can't be changed. Offer
    /// constraints given in [`Options`](super::Options) are dropped: the call replaces them with none.
    ///
    /// Works with any master: where it doesn't know the call, the driver subscribes anew, which the
    /// framework sees as [`Event::Disconnected`](super::Event::Disconnected) and
    /// [`Event::Subscribed`](super::Event::Subscribed); its tasks run on. It is remembered for all
    /// later subscriptions, so it may be called without one, too.
    ///
    /// # Errors
    /// See [`SendError`]; never `Disconnected`.
    pub fn update_framework(
        &self,
        mut framework: v1::FrameworkInfo,
        suppressed_roles: Vec<String>,
    ) -> Result<(), SendError> {
        let link = self.link();
        framework.id = link.as_ref().map(|link| link.framework_id.to_proto());
        let call = Call {
            framework_id: framework.id.clone(),
            r#type: Some(call::Type::UpdateFramework.into()),
            update_framework: Some(call::UpdateFramework {
                framework_info: Some(framework),
                suppressed_roles,
                offer_constraints: None,
            }),
            ..Call::default()
        };
        self.queue(Queued { epoch: link.map_or(NO_EPOCH, |link| link.epoch), call })
    }

    /// TEARDOWN: ends the framework and all its tasks. The driver ends once the master has taken it.
    ///
    /// # Errors
    /// See [`SendError`].
    pub fn teardown(&self) -> Result<(), SendError> {
        self.send(Call { r#type: Some(call::Type::Teardown.into()), ..Call::default() })
    }

    /// Ends the driver, after what is queued was sent. The tasks run on; the master waits for the
    /// framework's failover time-out.
    pub fn stop(&self) {
        self.shared.stop.cancel();
    }

    /// The subscription that stands at the moment.
    pub fn link(&self) -> Option<Link> {
        self.shared.link.borrow().clone()
    }

    fn is_ended(&self) -> bool {
        self.shared.ordered.is_closed()
    }
}

/// LAUNCH, as an operation of ACCEPT.
pub fn launch_operation(tasks: Vec<v1::TaskInfo>) -> v1::offer::Operation {
    v1::offer::Operation {
        r#type: Some(v1::offer::operation::Type::Launch.into()),
        launch: Some(v1::offer::operation::Launch { task_infos: tasks }),
        ..v1::offer::Operation::default()
    }
}

fn refuse(span: Duration) -> v1::Filters {
    v1::Filters { refuse_seconds: Some(span.as_secs_f64()) }
}
