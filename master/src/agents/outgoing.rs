//! What the core says to an agent, as messages on the link.

use std::time::Duration;

use bytes::Bytes;
use meros_master_core::AgentMessage;
use meros_proto::link::{self, FromMaster, from_master};
use meros_proto::resources::Role;
use meros_proto::v1;
use meros_proto::wire::{self, Encoding};

use crate::api::wire::kept;

/// The message as it goes over the link.
pub(super) fn message(message: AgentMessage) -> FromMaster {
    FromMaster { message: Some(content(message)) }
}

fn content(message: AgentMessage) -> from_master::Message {
    use from_master::Message;
    match message {
        AgentMessage::Registered {
            agent,
            master,
            ping_interval,
            ping_timeouts,
            removed_frameworks,
        } => Message::Registered(link::Registered {
            agent_id: agent.to_string(),
            master_id: master.to_string(),
            ping_interval_ms: u32::try_from(ping_interval.as_millis()).unwrap_or(u32::MAX),
            ping_timeouts,
            removed_frameworks: removed_frameworks.iter().map(ToString::to_string).collect(),
        }),
        AgentMessage::Refused { reason, fatal } => {
            Message::Refused(link::Refused { reason, r#final: fatal })
        }
        AgentMessage::RunTask { framework, framework_info, task, role } => {
            Message::RunTask(link::RunTask {
                framework_id: framework.to_string(),
                framework_info,
                task: allocated(&task, &role),
            })
        }
        AgentMessage::KillTask { framework, task, grace } => Message::KillTask(link::KillTask {
            framework_id: framework.to_string(),
            task_id: task.to_string(),
            grace_period_ms: grace.map(millis),
        }),
        AgentMessage::AcknowledgeUpdate { framework, task, uuid } => {
            Message::Acknowledge(link::AcknowledgeUpdate {
                framework_id: framework.to_string(),
                task_id: task.to_string(),
                uuid: Bytes::copy_from_slice(&uuid.0),
            })
        }
        AgentMessage::Ping { sequence } => Message::Ping(link::Ping { sequence }),
        AgentMessage::ShutdownFramework { framework } => {
            Message::ShutdownFramework(link::ShutdownFramework {
                framework_id: framework.to_string(),
            })
        }
        AgentMessage::ExecutorMessage { framework, executor, data } => {
            Message::ExecutorMessage(link::ExecutorMessage {
                framework_id: framework.to_string(),
                executor_id: executor.to_string(),
                data,
            })
        }
        AgentMessage::UpdateFramework { framework, framework_info } => {
            Message::UpdateFramework(link::UpdateFramework {
                framework_id: framework.to_string(),
                framework_info,
            })
        }
    }
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

/// The task with the role of its offers in all its resources, which frameworks may leave out.
fn allocated(raw: &Bytes, role: &Role) -> Bytes {
    let mut task: v1::TaskInfo = kept(raw);
    let executors = task.executor.iter_mut().flat_map(|executor| executor.resources.iter_mut());
    for resource in task.resources.iter_mut().chain(executors) {
        resource
            .allocation_info
            .get_or_insert_default()
            .role
            .get_or_insert_with(|| role.to_string());
    }
    Bytes::from(wire::encode(Encoding::Protobuf, &task))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resource(role: Option<&str>) -> v1::Resource {
        let role = role.map(str::to_owned);
        v1::Resource {
            name: Some("cpus".to_owned()),
            allocation_info: role.map(|role| v1::resource::AllocationInfo { role: Some(role) }),
            ..Default::default()
        }
    }

    #[test]
    fn the_role_is_filled_in_where_the_framework_left_it_out() {
        let task = v1::TaskInfo {
            resources: vec![resource(None), resource(Some("web"))],
            executor: Some(Box::new(v1::ExecutorInfo {
                resources: vec![resource(None)],
                ..Default::default()
            })),
            ..Default::default()
        };
        let raw = Bytes::from(wire::encode(Encoding::Protobuf, &task));
        let role = Role::parse("web").expect("a valid role");
        let filled: v1::TaskInfo = kept(&allocated(&raw, &role));
        let of_executor = filled.executor.map(|executor| executor.resources).unwrap_or_default();
        let roles: Vec<_> = filled
            .resources
            .iter()
            .chain(&of_executor)
            .map(|resource| resource.allocation_info.as_ref().and_then(|info| info.role.clone()))
            .collect();
        assert_eq!(roles, vec![Some("web".to_owned()); 3]);
    }
}
