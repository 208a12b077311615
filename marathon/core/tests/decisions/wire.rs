//! What the pretended master says, as it is on the wire or as it is read from there.

use meros_marathon_core::instances::status::TaskUpdate;
use meros_proto::ids::{AgentId, OfferId, TaskId};
use meros_proto::resources::{ReservationFormat, Resources, Role};
use meros_proto::v1;
use meros_proto::v1::TaskState;
use meros_proto::v1::task_status::Reason;

use crate::master::Task;

/// What is known of a task on an agent that can be reached.
pub(crate) fn update_of(id: &TaskId, task: &Task) -> TaskUpdate {
    let update = update(id, task.state, Some(task.agent.clone()));
    TaskUpdate { healthy: task.healthy, ..update }
}

/// A status that says nothing but this.
pub(crate) fn update(id: &TaskId, state: TaskState, agent: Option<AgentId>) -> TaskUpdate {
    TaskUpdate {
        task: id.clone(),
        state,
        reason: None,
        message: String::new(),
        agent,
        uuid: None,
        healthy: None,
        check: None,
        unreachable_since: None,
        addresses: Vec::new(),
    }
}

/// What becomes of a launch on an offer that is no more.
pub(crate) fn invalid_offer(id: &TaskId, info: &v1::TaskInfo) -> TaskUpdate {
    let agent = AgentId::from_proto(info.agent_id.as_ref()).ok();
    let reason = Some(Reason::InvalidOffers);
    TaskUpdate { reason, ..update(id, TaskState::TaskDropped, agent) }
}

/// An offer to the role `*`.
pub(crate) fn wire_offer(id: &OfferId, agent: &AgentId, rack: &str, free: &Resources) -> v1::Offer {
    let role = Role::star();
    v1::Offer {
        id: Some(id.to_proto()),
        agent_id: Some(agent.to_proto()),
        hostname: Some(format!("{agent}.local")),
        resources: free.allocated_to(&role).to_protos(ReservationFormat::Refined),
        attributes: vec![v1::Attribute {
            name: Some("rack".into()),
            r#type: Some(v1::value::Type::Text.into()),
            text: Some(v1::value::Text { value: Some(rack.into()) }),
            ..Default::default()
        }],
        allocation_info: Some(v1::resource::AllocationInfo { role: Some("*".into()) }),
        ..Default::default()
    }
}
