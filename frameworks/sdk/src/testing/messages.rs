//! Messages that tests need again and again.

use meros_proto::resources::{ReservationFormat, Resources, Role};
use meros_proto::v1;
use meros_proto::v1::scheduler::event::Type;

/// An event of that kind, without a body.
pub fn event(kind: Type) -> v1::scheduler::Event {
    v1::scheduler::Event { r#type: Some(kind.into()), ..v1::scheduler::Event::default() }
}

/// An offer to role `*` of `resources` on the agent called `agent`, whose host has the same name.
///
/// # Panics
/// When `resources` are none.
pub fn offer(id: &str, agent: &str, resources: &str) -> v1::Offer {
    let role = Role::star();
    let resources = Resources::parse(resources, &role).expect("the test names resources");
    v1::Offer {
        id: Some(v1::OfferId { value: Some(id.to_owned()) }),
        framework_id: Some(v1::FrameworkId { value: Some("framework".to_owned()) }),
        agent_id: Some(v1::AgentId { value: Some(agent.to_owned()) }),
        hostname: Some(agent.to_owned()),
        resources: resources.allocated_to(&role).to_protos(ReservationFormat::Refined),
        allocation_info: Some(v1::resource::AllocationInfo { role: Some(role.to_string()) }),
        ..v1::Offer::default()
    }
}

/// A status of a task, without a uuid: as the master makes them.
pub fn status(task: &str, agent: &str, state: v1::TaskState) -> v1::TaskStatus {
    v1::TaskStatus {
        task_id: Some(v1::TaskId { value: Some(task.to_owned()) }),
        agent_id: Some(v1::AgentId { value: Some(agent.to_owned()) }),
        state: Some(state.into()),
        source: Some(v1::task_status::Source::Master.into()),
        ..v1::TaskStatus::default()
    }
}

/// UPDATE with that status.
pub(super) fn update(status: v1::TaskStatus) -> v1::scheduler::Event {
    v1::scheduler::Event {
        update: Some(v1::scheduler::event::Update { status: Some(status) }),
        ..event(Type::Update)
    }
}
