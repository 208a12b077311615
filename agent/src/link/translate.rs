//! The stream's messages to the core's words and back.

use std::time::Duration;

use bytes::Bytes;
use meros_agent_core::effect::{Registration, StatusUpdate, ToMaster};
use meros_agent_core::input::FromMaster;
use meros_agent_core::status::Update;
use meros_agent_core::task::{FrameworkSpec, TaskKey, TaskSpec};
use meros_proto::ids::{AgentId, ContainerId, FrameworkId, TaskId};
use meros_proto::link::{self, from_agent, from_master};
use meros_proto::v1;
use meros_proto::versions::{MEROS_VERSION, MESOS_VERSION, PROTOCOL_MAX, PROTOCOL_MIN};
use meros_proto::wire::{self, Encoding};

use crate::host::Host;

/// A master that says nothing of pings is given as long as Mesos's: 5 times 15 s.
const SILENCE: Duration = Duration::from_secs(75);

pub(super) fn hello() -> link::FromAgent {
    said(from_agent::Message::Hello(link::Hello {
        protocol_min: PROTOCOL_MIN,
        protocol_max: PROTOCOL_MAX,
        version: MEROS_VERSION.to_owned(),
        features: Vec::new(),
    }))
}

pub(super) fn to_master(host: &Host, message: ToMaster) -> link::FromAgent {
    said(match message {
        ToMaster::Register(registration) => {
            from_agent::Message::Register(register(host, &registration))
        }
        ToMaster::Update(update) => from_agent::Message::Update(status_update(host, &update)),
        ToMaster::Pong { sequence } => from_agent::Message::Pong(link::Pong { sequence }),
        ToMaster::Unregister { reason } => {
            from_agent::Message::Unregister(link::Unregister { reason })
        }
    })
}

/// `Ok(None)`: a message that this agent has no use for. The error is for the log.
pub(super) fn from_master(message: link::FromMaster) -> Result<Option<FromMaster>, String> {
    let message = message.message.ok_or("an empty message")?;
    heard(message).map_err(|error| error.to_string())
}

fn heard(message: from_master::Message) -> Result<Option<FromMaster>, Box<dyn std::error::Error>> {
    use from_master::Message;
    Ok(Some(match message {
        Message::Registered(registered) => {
            let pings = registered.ping_interval_ms.saturating_mul(registered.ping_timeouts);
            let silence = Duration::from_millis(u64::from(pings));
            let removed = registered.removed_frameworks.iter();
            FromMaster::Registered {
                agent: AgentId::parse(&registered.agent_id)?,
                master: registered.master_id,
                silence: if silence.is_zero() { SILENCE } else { silence },
                removed: removed.map(|id| FrameworkId::parse(id)).collect::<Result<_, _>>()?,
            }
        }
        Message::Refused(refused) => {
            FromMaster::Refused { reason: refused.reason, is_final: refused.r#final }
        }
        Message::RunTask(run) => {
            let id = FrameworkId::parse(&run.framework_id)?;
            FromMaster::Run {
                framework: FrameworkSpec::parse(id.clone(), run.framework_info)?,
                task: TaskSpec::parse(id, run.task)?,
            }
        }
        Message::KillTask(kill) => FromMaster::Kill {
            task: key(&kill.framework_id, &kill.task_id)?,
            grace: kill.grace_period_ms.map(Duration::from_millis),
        },
        Message::Acknowledge(acknowledge) => FromMaster::Acknowledge {
            task: key(&acknowledge.framework_id, &acknowledge.task_id)?,
            uuid: acknowledge.uuid,
        },
        Message::Ping(ping) => FromMaster::Ping { sequence: ping.sequence },
        Message::ShutdownFramework(shutdown) => {
            FromMaster::ShutdownFramework(FrameworkId::parse(&shutdown.framework_id)?)
        }
        Message::UpdateFramework(update) => {
            let id = FrameworkId::parse(&update.framework_id)?;
            FromMaster::UpdateFramework(FrameworkSpec::parse(id, update.framework_info)?)
        }
        // There are no executors to pass it to, and Hello has been said.
        Message::ExecutorMessage(_) | Message::Hello(_) => return Ok(None),
    }))
}

fn key(framework: &str, task: &str) -> Result<TaskKey, meros_proto::ids::IdError> {
    Ok(TaskKey { framework: FrameworkId::parse(framework)?, task: TaskId::parse(task)? })
}

fn register(host: &Host, registration: &Registration) -> link::Register {
    let info = host.info(registration.agent.as_ref());
    let agent = registration.agent.as_ref();
    let tasks = registration.tasks.iter().map(|task| {
        let latest = task.latest.as_ref();
        let status =
            latest.map(|update| status(host, agent, &task.spec.key, &task.container, update));
        let state = status.as_ref().map_or(v1::TaskState::TaskStaging, v1::TaskStatus::state);
        link::TaskReport {
            framework_id: task.spec.key.framework.to_string(),
            task: task.spec.encoded.clone(),
            state: state as i32,
            status: status.map(|status| encoded(&status)).unwrap_or_default(),
        }
    });
    let frameworks = registration.frameworks.iter().map(|framework| link::FrameworkReport {
        framework_id: framework.id.to_string(),
        framework_info: framework.encoded.clone(),
    });
    link::Register {
        agent_info: encoded(&info),
        boot_id: host.boot_id.clone(),
        pid: host.pid(),
        version: MESOS_VERSION.to_owned(),
        capabilities: Host::capabilities(),
        tasks: tasks.collect(),
        frameworks: frameworks.collect(),
        incarnation: host.incarnation.clone(),
    }
}

fn status_update(host: &Host, update: &StatusUpdate) -> link::StatusUpdate {
    let status = status(host, Some(&update.agent), &update.task, &update.container, &update.update);
    link::StatusUpdate {
        framework_id: update.task.framework.to_string(),
        status: encoded(&status),
        latest_state: update.latest as i32,
    }
}

/// The whole status: the core's part, and where the task is.
pub(crate) fn status(
    host: &Host,
    agent: Option<&AgentId>,
    task: &TaskKey,
    container: &ContainerId,
    update: &Update,
) -> v1::TaskStatus {
    v1::TaskStatus {
        agent_id: agent.map(AgentId::to_proto),
        // The command executor that the agent stands in for bears its task's name.
        executor_id: Some(v1::ExecutorId { value: Some(task.task.to_string()) }),
        container_status: Some(v1::ContainerStatus {
            container_id: Some(container.to_proto()),
            network_infos: vec![host.network()],
            ..Default::default()
        }),
        ..update.to_proto(task)
    }
}

fn encoded<T: wire::Wire>(message: &T) -> Bytes {
    Bytes::from(wire::encode(Encoding::Protobuf, message))
}

fn said(message: from_agent::Message) -> link::FromAgent {
    link::FromAgent { message: Some(message) }
}
