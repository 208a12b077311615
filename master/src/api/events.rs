//! What a scheduler hears, as events of the v1 scheduler API.

use meros_master_core::SchedulerEvent;
use meros_proto::v1;
use meros_proto::v1::scheduler::Event;
use meros_proto::v1::scheduler::event::{self, Type};

use crate::api::wire;

/// The event's message. `master` goes into SUBSCRIBED.
pub(crate) fn event(event: SchedulerEvent, master: &v1::MasterInfo) -> Event {
    match event {
        SchedulerEvent::Subscribed { framework, heartbeat_interval } => Event {
            subscribed: Some(event::Subscribed {
                framework_id: Some(framework.into()),
                heartbeat_interval_seconds: Some(heartbeat_interval.as_secs_f64()),
                master_info: Some(master.clone()),
            }),
            ..of(Type::Subscribed)
        },
        SchedulerEvent::Heartbeat => of(Type::Heartbeat),
        SchedulerEvent::Offers(offers) => Event {
            offers: Some(event::Offers {
                offers: offers.iter().map(|offer| wire::offer(offer)).collect(),
            }),
            ..of(Type::Offers)
        },
        SchedulerEvent::Rescind(offer) => Event {
            rescind: Some(event::Rescind { offer_id: Some(offer.into()) }),
            ..of(Type::Rescind)
        },
        SchedulerEvent::Update(status) => Event {
            update: Some(event::Update { status: Some(wire::task_status(&status)) }),
            ..of(Type::Update)
        },
        SchedulerEvent::OperationError { operation, agent, message } => Event {
            update_operation_status: Some(event::UpdateOperationStatus {
                status: Some(v1::OperationStatus {
                    operation_id: Some(v1::OperationId { value: Some(operation) }),
                    state: Some(v1::OperationState::OperationError.into()),
                    message: Some(message),
                    agent_id: agent.map(Into::into),
                    ..Default::default()
                }),
            }),
            ..of(Type::UpdateOperationStatus)
        },
        SchedulerEvent::Message { agent, executor, data } => Event {
            message: Some(event::Message {
                agent_id: Some(agent.into()),
                executor_id: Some(executor.into()),
                data: Some(data),
            }),
            ..of(Type::Message)
        },
        SchedulerEvent::Failure { agent, executor, wait_status } => Event {
            failure: Some(event::Failure {
                agent_id: Some(agent.into()),
                executor_id: executor.map(Into::into),
                status: wait_status,
            }),
            ..of(Type::Failure)
        },
        SchedulerEvent::Error { message } => error(message),
    }
}

/// The event that ends a stream.
pub(crate) fn error(message: String) -> Event {
    Event { error: Some(event::Error { message: Some(message) }), ..of(Type::Error) }
}

fn of(kind: Type) -> Event {
    Event { r#type: Some(kind.into()), ..Default::default() }
}
