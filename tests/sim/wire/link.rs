//! The stream between an agent and the master.

use std::time::Duration;

use bytes::Bytes;
use meros_agent_core::effect::{Registration, StatusUpdate, ToMaster};
use meros_agent_core::input::FromMaster;
use meros_agent_core::status::Update;
use meros_agent_core::task::{FrameworkSpec, TaskKey, TaskSpec};
use meros_master_core as master;
use meros_master_core::{AgentMessage, AgentRegister, AgentSpec, LinkRef, StatusReport};
use meros_proto::caller::Caller;
use meros_proto::ids::{AgentId, ContainerId, FrameworkId, TaskId};
use meros_proto::link::{self, FromAgent, from_agent, from_master};
use meros_proto::resources::{ReservationFormat, Resources};
use meros_proto::v1;
use prost::Message;

use super::{decoded, encoded};

/// What an agent says of its host.
#[derive(Debug, Clone)]
pub(crate) struct Host {
    pub(crate) name: String,
    pub(crate) rack: String,
    pub(crate) resources: Resources,
    pub(crate) boot_id: String,
    pub(crate) incarnation: String,
}

const CAPABILITIES: [&str; 5] = [
    "MULTI_ROLE",
    "HIERARCHICAL_ROLE",
    "RESERVATION_REFINEMENT",
    "AGENT_OPERATION_FEEDBACK",
    "TASK_RESOURCE_LIMITS",
];

/// The first message each way.
pub(crate) fn hello() -> Bytes {
    said(from_agent::Message::Hello(link::Hello::default()))
}

/// See [`hello`].
pub(crate) fn hello_back() -> Bytes {
    told(from_master::Message::Hello(link::Hello::default()))
}

/// What the agent's core says, as bytes.
pub(crate) fn to_master(host: &Host, message: ToMaster) -> Bytes {
    said(match message {
        ToMaster::Register(registration) => {
            from_agent::Message::Register(register(host, &registration))
        }
        ToMaster::Update(update) => from_agent::Message::Update(status_update(&update)),
        ToMaster::Pong { sequence } => from_agent::Message::Pong(link::Pong { sequence }),
        ToMaster::Unregister { reason } => {
            from_agent::Message::Unregister(link::Unregister { reason })
        }
    })
}

fn register(host: &Host, registration: &Registration) -> link::Register {
    let agent = registration.agent.as_ref();
    let info = v1::AgentInfo {
        hostname: Some(host.name.clone()),
        port: Some(5051),
        resources: host.resources.to_protos(ReservationFormat::Refined),
        attributes: vec![v1::Attribute {
            name: Some("rack".to_owned()),
            r#type: Some(v1::value::Type::Text.into()),
            text: Some(v1::value::Text { value: Some(host.rack.clone()) }),
            ..v1::Attribute::default()
        }],
        id: agent.map(AgentId::to_proto),
        ..v1::AgentInfo::default()
    };
    let tasks = registration.tasks.iter().map(|task| {
        let latest = task.latest.as_ref();
        let status = latest.map(|update| status(agent, &task.spec.key, &task.container, update));
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
        pid: format!("slave(1)@{}:5051", host.name),
        version: "1.11.0".to_owned(),
        capabilities: CAPABILITIES.map(str::to_owned).to_vec(),
        tasks: tasks.collect(),
        frameworks: frameworks.collect(),
        incarnation: host.incarnation.clone(),
    }
}

fn status_update(update: &StatusUpdate) -> link::StatusUpdate {
    let status = status(Some(&update.agent), &update.task, &update.container, &update.update);
    link::StatusUpdate {
        framework_id: update.task.framework.to_string(),
        status: encoded(&status),
        latest_state: update.latest as i32,
    }
}

fn status(
    agent: Option<&AgentId>,
    task: &TaskKey,
    container: &ContainerId,
    update: &Update,
) -> v1::TaskStatus {
    v1::TaskStatus {
        agent_id: agent.map(AgentId::to_proto),
        executor_id: Some(v1::ExecutorId { value: Some(task.task.to_string()) }),
        container_status: Some(v1::ContainerStatus {
            container_id: Some(container.to_proto()),
            ..v1::ContainerStatus::default()
        }),
        ..update.to_proto(task)
    }
}

/// What the master hears of an agent. `None`: a hello.
///
/// # Errors
/// It makes no sense.
pub(crate) fn from_agent(bytes: &[u8], link: LinkRef) -> Result<Option<master::Input>, String> {
    use from_agent::Message as Said;
    let message = FromAgent::decode(bytes).map_err(|error| error.to_string())?;
    Ok(Some(match message.message.ok_or("an empty message")? {
        Said::Hello(_) => return Ok(None),
        Said::Register(register) => {
            master::Input::AgentRegister(Box::new(registration(register, link)?))
        }
        Said::Update(update) => master::Input::AgentUpdate {
            link,
            framework: framework(&update.framework_id)?,
            status: Box::new(report(update.status)?),
            latest_state: state(update.latest_state)?,
        },
        Said::Pong(pong) => master::Input::AgentPong { link, sequence: pong.sequence },
        Said::Unregister(unregister) => {
            master::Input::AgentUnregister { link, reason: unregister.reason }
        }
        Said::ExecutorMessage(_) | Said::ExecutorExited(_) => {
            return Err("there are no executors".to_owned());
        }
    }))
}

fn registration(register: link::Register, link: LinkRef) -> Result<AgentRegister, String> {
    let info: v1::AgentInfo = decoded(&register.agent_info)?;
    let spec =
        AgentSpec::from_proto(&info, &register.pid, &register.version, register.capabilities);
    let tasks = register.tasks.into_iter().map(|task| {
        let status = match task.status.is_empty() {
            true => None,
            false => Some(report(task.status)?),
        };
        let info: v1::TaskInfo = decoded(&task.task)?;
        let (framework, latest) = (framework(&task.framework_id)?, state(task.state)?);
        master::TaskReport::from_proto(framework, &info, &task.task, latest, status)
            .map_err(|error| error.to_string())
    });
    let frameworks = register.frameworks.into_iter().map(|one| {
        let info: v1::FrameworkInfo = decoded(&one.framework_info)?;
        let spec = master::FrameworkSpec::from_proto(&info, &[]);
        let spec = spec.map_err(|error| error.to_string())?;
        Ok(master::FrameworkReport { id: framework(&one.framework_id)?, spec })
    });
    Ok(AgentRegister {
        caller: Caller::default(),
        link,
        agent_id: AgentSpec::given_id(&info).map_err(|error| error.to_string())?,
        spec: spec.map_err(|error| error.to_string())?,
        boot_id: register.boot_id,
        incarnation: register.incarnation,
        tasks: tasks.collect::<Result<_, String>>()?,
        frameworks: frameworks.collect::<Result<_, String>>()?,
    })
}

fn report(raw: Bytes) -> Result<StatusReport, String> {
    let status: v1::TaskStatus = decoded(&raw)?;
    StatusReport::from_proto(&status, raw).map_err(|error| error.to_string())
}

fn framework(id: &str) -> Result<FrameworkId, String> {
    FrameworkId::parse(id).map_err(|error| error.to_string())
}

fn state(number: i32) -> Result<v1::TaskState, String> {
    v1::TaskState::try_from(number).map_err(|error| error.to_string())
}

/// What the master's core says to an agent, as bytes.
pub(crate) fn to_agent(message: AgentMessage) -> Bytes {
    use from_master::Message as Told;
    told(match message {
        AgentMessage::Registered {
            agent,
            master,
            ping_interval,
            ping_timeouts,
            removed_frameworks,
        } => Told::Registered(link::Registered {
            agent_id: agent.to_string(),
            master_id: master.to_string(),
            ping_interval_ms: u32::try_from(ping_interval.as_millis()).unwrap_or(u32::MAX),
            ping_timeouts,
            removed_frameworks: removed_frameworks.iter().map(ToString::to_string).collect(),
        }),
        AgentMessage::Refused { reason, fatal } => {
            Told::Refused(link::Refused { reason, r#final: fatal })
        }
        AgentMessage::RunTask { framework, framework_info, task, role } => {
            let mut info = v1::TaskInfo::decode(task).unwrap_or_default();
            for resource in &mut info.resources {
                let allocation = resource.allocation_info.get_or_insert_default();
                allocation.role.get_or_insert_with(|| role.to_string());
            }
            let framework_id = framework.to_string();
            Told::RunTask(link::RunTask { framework_id, framework_info, task: encoded(&info) })
        }
        AgentMessage::KillTask { framework, task, grace } => Told::KillTask(link::KillTask {
            framework_id: framework.to_string(),
            task_id: task.to_string(),
            grace_period_ms: grace
                .map(|grace| u64::try_from(grace.as_millis()).unwrap_or(u64::MAX)),
        }),
        AgentMessage::AcknowledgeUpdate { framework, task, uuid } => {
            Told::Acknowledge(link::AcknowledgeUpdate {
                framework_id: framework.to_string(),
                task_id: task.to_string(),
                uuid: Bytes::copy_from_slice(&uuid.0),
            })
        }
        AgentMessage::Ping { sequence } => Told::Ping(link::Ping { sequence }),
        AgentMessage::ShutdownFramework { framework } => {
            Told::ShutdownFramework(link::ShutdownFramework { framework_id: framework.to_string() })
        }
        AgentMessage::ExecutorMessage { framework, executor, data } => {
            Told::ExecutorMessage(link::ExecutorMessage {
                framework_id: framework.to_string(),
                executor_id: executor.to_string(),
                data,
            })
        }
        AgentMessage::UpdateFramework { framework, framework_info } => {
            let framework_id = framework.to_string();
            Told::UpdateFramework(link::UpdateFramework { framework_id, framework_info })
        }
    })
}

/// What an agent hears of the master. `None`: a hello.
///
/// # Errors
/// It makes no sense.
pub(crate) fn from_master(bytes: &[u8]) -> Result<Option<FromMaster>, String> {
    let message = link::FromMaster::decode(bytes).map_err(|error| error.to_string())?;
    heard(message.message.ok_or("an empty message")?).map_err(|error| error.to_string())
}

fn heard(message: from_master::Message) -> Result<Option<FromMaster>, Box<dyn std::error::Error>> {
    use from_master::Message as Told;
    Ok(Some(match message {
        Told::Hello(_) | Told::ExecutorMessage(_) => return Ok(None),
        Told::Registered(registered) => {
            let silence = registered.ping_interval_ms.saturating_mul(registered.ping_timeouts);
            let removed = registered.removed_frameworks.iter();
            FromMaster::Registered {
                agent: AgentId::parse(&registered.agent_id)?,
                master: registered.master_id,
                silence: Duration::from_millis(u64::from(silence)),
                removed: removed.map(|id| FrameworkId::parse(id)).collect::<Result<_, _>>()?,
            }
        }
        Told::Refused(refused) => {
            FromMaster::Refused { reason: refused.reason, is_final: refused.r#final }
        }
        Told::RunTask(run) => {
            let id = FrameworkId::parse(&run.framework_id)?;
            FromMaster::Run {
                framework: FrameworkSpec::parse(id.clone(), run.framework_info)?,
                task: TaskSpec::parse(id, run.task)?,
            }
        }
        Told::KillTask(kill) => FromMaster::Kill {
            task: key(&kill.framework_id, &kill.task_id)?,
            grace: kill.grace_period_ms.map(Duration::from_millis),
        },
        Told::Acknowledge(acknowledge) => FromMaster::Acknowledge {
            task: key(&acknowledge.framework_id, &acknowledge.task_id)?,
            uuid: acknowledge.uuid,
        },
        Told::Ping(ping) => FromMaster::Ping { sequence: ping.sequence },
        Told::ShutdownFramework(shutdown) => {
            FromMaster::ShutdownFramework(FrameworkId::parse(&shutdown.framework_id)?)
        }
        Told::UpdateFramework(update) => {
            let id = FrameworkId::parse(&update.framework_id)?;
            FromMaster::UpdateFramework(FrameworkSpec::parse(id, update.framework_info)?)
        }
    }))
}

fn key(framework: &str, task: &str) -> Result<TaskKey, meros_proto::ids::IdError> {
    Ok(TaskKey { framework: FrameworkId::parse(framework)?, task: TaskId::parse(task)? })
}

fn said(message: from_agent::Message) -> Bytes {
    Bytes::from(link::FromAgent { message: Some(message) }.encode_to_vec())
}

fn told(message: from_master::Message) -> Bytes {
    Bytes::from(link::FromMaster { message: Some(message) }.encode_to_vec())
}
