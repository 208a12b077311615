//! The way to the master: what it tells becomes inputs of the core, what the core wants calls.

use std::collections::BTreeSet;
use std::time::Duration;

use meros_marathon_core::Marathon;
use meros_marathon_core::input::Input;
use meros_marathon_core::instances::status::TaskUpdate;
use meros_marathon_core::offers::Offer;
use meros_marathon_core::output::Call;
use meros_proto::ids::{AgentId, OfferId, TaskId};
use meros_proto::v1;
use meros_proto::v1::framework_info::{Capability, capability};
use meros_proto::v1::scheduler::{self, call};
use meros_sdk::driver::{
    CallFailed, CallFailure, Calls, Event, Events, Options, SendError, launch_operation,
};
use meros_shell::inbox::{Inbox, Refused};
use tracing::{debug, info, warn};

use crate::config::Config;
use crate::metrics::Metrics;

/// How long the rest of an offer isn't offered again when the core doesn't say: Mesos's default.
const REFUSE: Duration = Duration::from_secs(5);
/// Calls that may wait to be sent. A launch of everything that fits into all offers fits in here.
const CALLS_MAX: usize = 65_536;

/// Why the connection to the master ended for good.
#[derive(Debug, thiserror::Error)]
pub enum SchedulerError {
    /// The master refuses this framework, or another Marathon took over.
    #[error("the master sent this Marathon away: {0}")]
    SentAway(String),
    /// The framework was torn down, or was away for too long.
    #[error(
        "the master has removed this framework and ended its tasks ({0}); with another --work-dir \
         it starts anew"
    )]
    Removed(String),
}

/// How `core` subscribes: with its own id, if it has one, under all roles that it needs.
pub(crate) fn options(config: &Config, core: &Marathon, leader: &str) -> Options {
    let mut options =
        Options::new(config.masters.clone(), framework_info(config, core.roles(), leader));
    options.framework.id = core.framework().map(|id| id.to_proto());
    options.credential = config.credential.clone();
    options.call_queue = CALLS_MAX;
    options
}

fn framework_info(config: &Config, roles: BTreeSet<String>, leader: &str) -> v1::FrameworkInfo {
    let capabilities = [
        capability::Type::MultiRole,
        capability::Type::PartitionAware,
        capability::Type::RegionAware,
    ];
    v1::FrameworkInfo {
        user: Some(config.mesos_user.clone()),
        name: Some(config.framework_name.clone()),
        failover_timeout: Some(config.failover_timeout.as_secs_f64()),
        checkpoint: Some(true),
        hostname: Some(config.hostname.clone()),
        principal: config.credential.as_ref().map(|credential| credential.principal.clone()),
        webui_url: Some(format!("http://{leader}")),
        roles: roles.into_iter().collect(),
        capabilities: capabilities.map(|kind| Capability { r#type: Some(kind.into()) }).to_vec(),
        ..v1::FrameworkInfo::default()
    }
}

/// Launches that never reached the master, to be told to the core as such.
pub(crate) type NotSent = tokio::sync::mpsc::Sender<Vec<TaskId>>;

/// Carries the core's calls out. Runs on the gate's thread: only queues.
pub(crate) struct Caller {
    /// The driver's queue.
    pub(crate) calls: Calls,
    /// What the framework says of itself, for changes of its roles.
    pub(crate) framework: v1::FrameworkInfo,
    /// Where launches go that can't be sent.
    pub(crate) not_sent: NotSent,
}

impl Caller {
    /// Queues one call. One that isn't taken is made up for: launches are told to the core as
    /// dropped, all else is asked for again by the core's own timers or at the next subscription.
    pub(crate) fn perform(&mut self, call: Call) {
        let launched = match &call {
            Call::Accept { launches, .. } => {
                launches.iter().filter_map(|task| id_of(task)).collect()
            }
            _ => Vec::new(),
        };
        let Err(error) = self.send(call) else { return };
        if error == SendError::Full {
            warn!("a call was dropped: too many wait for the master");
        } else {
            debug!(%error, "a call was dropped");
        }
        if !launched.is_empty() && self.not_sent.try_send(launched).is_err() {
            warn!("launches were dropped: they are noticed when they aren't confirmed in time");
        }
    }

    fn send(&mut self, call: Call) -> Result<(), SendError> {
        match call {
            Call::Accept { offer, launches, refuse } => {
                let tasks = launches.iter().map(|task| v1::TaskInfo::clone(task)).collect();
                let operations = vec![launch_operation(tasks)];
                self.calls.accept([offer], operations, refuse.unwrap_or(REFUSE))
            }
            Call::Decline { offers, refuse } => {
                self.calls.decline(offers, refuse.unwrap_or(REFUSE))
            }
            Call::Kill { task, agent, grace } => {
                self.calls.kill(&task, agent.as_ref(), grace.map(kill_policy))
            }
            Call::Acknowledge { task, agent, uuid } => self.calls.send(scheduler::Call {
                r#type: Some(call::Type::Acknowledge.into()),
                acknowledge: Some(call::Acknowledge {
                    agent_id: Some(agent.to_proto()),
                    task_id: Some(task.to_proto()),
                    uuid: Some(uuid),
                }),
                ..scheduler::Call::default()
            }),
            Call::Revive { roles } => self.calls.revive(roles),
            Call::Suppress { roles } => self.calls.suppress(roles),
            Call::ChangeRoles { roles, suppressed } => self.change_roles(roles, suppressed),
            Call::Reconcile { tasks } => self.calls.reconcile(tasks),
        }
    }

    fn change_roles(
        &mut self,
        roles: Vec<String>,
        suppressed_roles: Vec<String>,
    ) -> Result<(), SendError> {
        self.framework.roles = roles;
        self.calls.update_framework(self.framework.clone(), suppressed_roles)
    }
}

fn kill_policy(grace: Duration) -> v1::KillPolicy {
    let nanoseconds = i64::try_from(grace.as_nanos()).unwrap_or(i64::MAX);
    v1::KillPolicy { grace_period: Some(v1::DurationInfo { nanoseconds: Some(nanoseconds) }) }
}

fn id_of(task: &v1::TaskInfo) -> Option<TaskId> {
    TaskId::from_proto(task.task_id.as_ref()).ok()
}

/// Hands what the master tells to the core, until the driver or the core ends.
///
/// Waits while the core's inbox is full: then the master's stream isn't read either.
///
/// # Errors
/// When the master doesn't want this framework any more.
pub(crate) async fn listen(
    mut events: Events,
    mut not_sent: tokio::sync::mpsc::Receiver<Vec<TaskId>>,
    calls: Calls,
    inbox: Inbox<Input>,
    metrics: &Metrics,
) -> Result<(), SchedulerError> {
    let listener = Listener { calls, inbox, metrics };
    loop {
        let taken = tokio::select! {
            event = events.next() => match event {
                None => return Ok(()),
                Some(Event::Error { message }) => return Err(SchedulerError::SentAway(message)),
                Some(Event::Removed { message }) => return Err(SchedulerError::Removed(message)),
                Some(event) => listener.take(event).await,
            },
            Some(tasks) = not_sent.recv() => {
                listener.dropped(tasks, "it could not be sent to the master").await
            }
        };
        if taken.is_err() {
            return Ok(());
        }
    }
}

/// The master's region, where it has one.
fn region_of(info: &v1::MasterInfo) -> Option<String> {
    info.domain.as_ref()?.fault_domain.as_ref()?.region.as_ref()?.name.clone()
}

struct Listener<'a> {
    calls: Calls,
    inbox: Inbox<Input>,
    metrics: &'a Metrics,
}

impl Listener<'_> {
    async fn take(&self, event: Event) -> Result<(), Refused> {
        match event {
            Event::Subscribed(subscribed) => {
                info!(framework = %subscribed.framework_id, master = subscribed.master, "subscribed");
                let info = subscribed.master_info.unwrap_or_default();
                let region = region_of(&info);
                let hostname = info.hostname;
                let master = hostname.unwrap_or(subscribed.master);
                let framework = subscribed.framework_id;
                self.inbox.send(Input::Registered { framework, master, region }).await
            }
            Event::Disconnected { why, renewing, .. } => {
                if renewing {
                    info!(why, "subscribing to the master anew");
                } else {
                    warn!(why, "disconnected from the master");
                }
                self.inbox.send(Input::Disconnected).await
            }
            Event::Offers(offers) => self.offers(&offers).await,
            Event::Rescind(offer) => self.inbox.send(Input::Rescinded(offer)).await,
            Event::Update(update) => self.update(&update.status).await,
            Event::CallFailed(failed) => self.call_failed(*failed).await,
            Event::InverseOffers(_)
            | Event::RescindInverse(_)
            | Event::OperationUpdate(_)
            | Event::Message { .. }
            | Event::Failure { .. }
            | Event::Unknown(_)
            | Event::Error { .. }
            | Event::Removed { .. } => Ok(()),
        }
    }

    async fn offers(&self, offers: &[v1::Offer]) -> Result<(), Refused> {
        self.metrics.offers_incoming.add(offers.len() as u64);
        let mut parsed = Vec::with_capacity(offers.len());
        for offer in offers {
            match Offer::parse(offer) {
                Ok(offer) => parsed.push(offer),
                Err(error) => {
                    warn!(error = &error as &dyn std::error::Error, "an offer makes no sense");
                    let id = offer.id.as_ref().and_then(|id| OfferId::try_from(id).ok());
                    // What can't be declined goes back when the subscription ends.
                    let _ = self.calls.decline(id, REFUSE);
                }
            }
        }
        self.inbox.send(Input::Offers(parsed)).await
    }

    async fn update(&self, status: &v1::TaskStatus) -> Result<(), Refused> {
        self.metrics.updated(status.state());
        match TaskUpdate::parse(status) {
            Ok(update) => self.inbox.send(Input::Status(update)).await,
            Err(error) => {
                warn!(error = &error as &dyn std::error::Error, "a status makes no sense");
                Ok(())
            }
        }
    }

    /// A refused launch had no effect: its tasks are dropped. One that may or may not have arrived
    /// is asked about.
    async fn call_failed(&self, failed: CallFailed) -> Result<(), Refused> {
        let CallFailed { call, why } = failed;
        warn!(call = call.r#type().as_str_name(), %why, "a call came to nothing");
        let operations = call.accept.into_iter().flat_map(|accept| accept.operations);
        let tasks: Vec<_> = operations
            .filter_map(|operation| operation.launch)
            .flat_map(|launch| launch.task_infos)
            .filter_map(|task| {
                let agent = task.agent_id.as_ref().and_then(|id| AgentId::try_from(id).ok());
                Some((id_of(&task)?, agent))
            })
            .collect();
        if tasks.is_empty() {
            return Ok(());
        }
        match why {
            CallFailure::Refused { message, .. } => {
                self.dropped(tasks.into_iter().map(|(task, _)| task).collect(), &message).await
            }
            CallFailure::Unanswered(_) => {
                // When there is no subscription now, all is asked about at the next.
                let _ = self.calls.reconcile(tasks);
                Ok(())
            }
        }
    }

    async fn dropped(&self, tasks: Vec<TaskId>, why: &str) -> Result<(), Refused> {
        for task in tasks {
            let update = TaskUpdate {
                task,
                state: v1::TaskState::TaskDropped,
                reason: None,
                message: format!("The launch was dropped: {why}"),
                agent: None,
                uuid: None,
                healthy: None,
                check: None,
                unreachable_since: None,
                addresses: Vec::new(),
            };
            self.inbox.send(Input::Status(update)).await?;
        }
        Ok(())
    }
}
