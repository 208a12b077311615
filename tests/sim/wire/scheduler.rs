//! The scheduler API: calls one way, events the other.

use std::time::Duration;

use bytes::Bytes;
use meros_master_core::Filters;
use meros_master_core::{
    FrameworkSpec, LaunchTask, MadeStatus, Offer, Operation, SchedulerCall, SchedulerEvent, Status,
    Uuid,
};
use meros_proto::ids::{AgentId, FrameworkId, IdError, OfferId, TaskId};
use meros_proto::resources::ReservationFormat;
use meros_proto::v1;
use meros_proto::v1::scheduler::call::{self, Type};
use meros_proto::v1::scheduler::{Call, Event, event};
use prost::Message;

use super::{decoded, encoded};

/// A task, and the agent that it is thought to be on.
type WhereTask = (TaskId, Option<AgentId>);

/// A SUBSCRIBE as the master's core takes it.
///
/// # Errors
/// It makes no sense.
pub(crate) fn subscribe(
    bytes: &[u8],
) -> Result<(Option<FrameworkId>, Result<FrameworkSpec, String>), String> {
    let call: Call = decoded(bytes)?;
    let id = call.framework_id.as_ref().map(FrameworkId::try_from).transpose();
    let subscribe = call.subscribe.ok_or("a SUBSCRIBE without its body")?;
    let info = subscribe.framework_info.ok_or("a SUBSCRIBE without a framework")?;
    let spec = FrameworkSpec::from_proto(&info, &subscribe.suppressed_roles);
    Ok((id.map_err(|error| error.to_string())?, spec.map_err(|error| error.to_string())))
}

/// Any other call as the master's core takes it.
///
/// # Errors
/// It makes no sense, or is none that is used here.
pub(crate) fn call(bytes: &[u8]) -> Result<(FrameworkId, SchedulerCall), String> {
    let call: Call = decoded(bytes)?;
    let framework = FrameworkId::from_proto(call.framework_id.as_ref());
    let framework = framework.map_err(|error| error.to_string())?;
    Ok((framework, parsed(call).map_err(|error| error.to_string())?))
}

fn parsed(call: Call) -> Result<SchedulerCall, Box<dyn std::error::Error>> {
    Ok(match call.r#type() {
        Type::Accept => {
            let accept = call.accept.ok_or("no body")?;
            let offers: Result<_, _> = accept.offer_ids.iter().map(OfferId::try_from).collect();
            SchedulerCall::Accept {
                offers: offers?,
                operations: accept.operations.into_iter().map(operation).collect(),
                filters: filters(accept.filters.as_ref()),
            }
        }
        Type::Decline => {
            let decline = call.decline.ok_or("no body")?;
            let offers: Result<_, _> = decline.offer_ids.iter().map(OfferId::try_from).collect();
            SchedulerCall::Decline { offers: offers?, filters: filters(decline.filters.as_ref()) }
        }
        Type::Revive => SchedulerCall::Revive { roles: call.revive.unwrap_or_default().roles },
        Type::Suppress => {
            SchedulerCall::Suppress { roles: call.suppress.unwrap_or_default().roles }
        }
        Type::Kill => {
            let kill = call.kill.ok_or("no body")?;
            let grace = kill.kill_policy.and_then(|policy| policy.grace_period);
            let grace = grace.and_then(|grace| u64::try_from(grace.nanoseconds()).ok());
            SchedulerCall::Kill {
                task: TaskId::from_proto(kill.task_id.as_ref())?,
                agent: kill.agent_id.as_ref().map(AgentId::try_from).transpose()?,
                grace: grace.map(Duration::from_nanos),
            }
        }
        Type::Acknowledge => {
            let acknowledge = call.acknowledge.ok_or("no body")?;
            SchedulerCall::Acknowledge {
                agent: AgentId::from_proto(acknowledge.agent_id.as_ref())?,
                task: TaskId::from_proto(acknowledge.task_id.as_ref())?,
                uuid: Uuid::from_bytes(acknowledge.uuid()).ok_or("no uuid")?,
            }
        }
        Type::Reconcile => SchedulerCall::Reconcile { tasks: reconciled(call.reconcile)? },
        Type::Teardown => SchedulerCall::Teardown,
        kind => SchedulerCall::Unbuilt { name: kind.as_str_name() },
    })
}

fn reconciled(body: Option<call::Reconcile>) -> Result<Vec<WhereTask>, IdError> {
    let tasks = body.unwrap_or_default().tasks;
    let one = |task: &call::reconcile::Task| {
        let agent = task.agent_id.as_ref().map(AgentId::try_from).transpose()?;
        Ok((TaskId::from_proto(task.task_id.as_ref())?, agent))
    };
    tasks.iter().map(one).collect()
}

fn operation(operation: v1::offer::Operation) -> Operation {
    let tasks = operation.launch.unwrap_or_default().task_infos;
    Operation::Launch { id: None, tasks: tasks.iter().map(LaunchTask::from_proto).collect() }
}

fn filters(filters: Option<&v1::Filters>) -> Filters {
    Filters { refuse_seconds: filters.and_then(|filters| filters.refuse_seconds) }
}

/// An event as bytes.
pub(crate) fn event(event: SchedulerEvent) -> Bytes {
    encoded(&message(event))
}

fn message(event: SchedulerEvent) -> Event {
    use event::Type as Kind;
    let of = |kind: Kind| Event { r#type: Some(kind.into()), ..Event::default() };
    match event {
        SchedulerEvent::Subscribed { framework, heartbeat_interval } => Event {
            subscribed: Some(event::Subscribed {
                framework_id: Some(framework.into()),
                heartbeat_interval_seconds: Some(heartbeat_interval.as_secs_f64()),
                master_info: None,
            }),
            ..of(Kind::Subscribed)
        },
        SchedulerEvent::Heartbeat => of(Kind::Heartbeat),
        SchedulerEvent::Offers(offers) => Event {
            offers: Some(event::Offers { offers: offers.iter().map(|one| offer(one)).collect() }),
            ..of(Kind::Offers)
        },
        SchedulerEvent::Rescind(offer) => Event {
            rescind: Some(event::Rescind { offer_id: Some(offer.into()) }),
            ..of(Kind::Rescind)
        },
        SchedulerEvent::Update(status) => Event {
            update: Some(event::Update { status: Some(task_status(&status)) }),
            ..of(Kind::Update)
        },
        SchedulerEvent::Failure { agent, executor, wait_status } => Event {
            failure: Some(event::Failure {
                agent_id: Some(agent.into()),
                executor_id: executor.map(Into::into),
                status: wait_status,
            }),
            ..of(Kind::Failure)
        },
        SchedulerEvent::Error { message } => {
            Event { error: Some(event::Error { message: Some(message) }), ..of(Kind::Error) }
        }
        // Nobody here sends what these answer.
        SchedulerEvent::OperationError { .. } | SchedulerEvent::Message { .. } => {
            of(Kind::Heartbeat)
        }
    }
}

fn offer(offer: &Offer) -> v1::Offer {
    let agent = v1::AgentInfo::decode(offer.agent_spec.raw.clone()).unwrap_or_default();
    let format = if offer.refined { ReservationFormat::Refined } else { ReservationFormat::Legacy };
    v1::Offer {
        id: Some((&offer.id).into()),
        framework_id: Some((&offer.framework).into()),
        agent_id: Some((&offer.agent).into()),
        hostname: Some(offer.agent_spec.hostname.to_string()),
        resources: offer.resources.to_protos(format),
        attributes: agent.attributes,
        allocation_info: Some(v1::resource::AllocationInfo { role: Some(offer.role.to_string()) }),
        ..v1::Offer::default()
    }
}

fn task_status(status: &Status) -> v1::TaskStatus {
    match status {
        Status::Forwarded { raw, .. } => v1::TaskStatus::decode(raw.clone()).unwrap_or_default(),
        Status::Made(made) => made_status(made),
    }
}

fn made_status(made: &MadeStatus) -> v1::TaskStatus {
    let details = made.details.clone().map(|raw| v1::TaskStatus::decode(raw).unwrap_or_default());
    let details = details.unwrap_or_default();
    v1::TaskStatus {
        task_id: Some(v1::TaskId { value: Some(made.task.to_string()) }),
        state: Some(made.state.into()),
        message: Some(made.message.clone()).filter(|message| !message.is_empty()),
        source: Some(made.source.into()),
        reason: made.reason.map(i32::from),
        agent_id: made.agent.as_ref().map(Into::into),
        executor_id: made.executor.as_ref().map(Into::into),
        timestamp: Some(made.timestamp.as_secs_f64()),
        unreachable_time: made
            .unreachable_time
            .map(|time| v1::TimeInfo { nanoseconds: i64::try_from(time.as_nanos()).ok() }),
        healthy: details.healthy,
        check_status: details.check_status,
        labels: details.labels,
        container_status: details.container_status,
        ..v1::TaskStatus::default()
    }
}
