//! Task objects.

use std::collections::BTreeMap;
use std::marker::PhantomData;
use std::sync::Arc;

use meros_master_core::{FrameworkView, Snapshot, Status, Task};
use meros_proto::resources::Resources;
use meros_proto::v1;
use prost::Message;
use serde::Serialize;
use serde::ser::Serializer;

use crate::api::legacy::container_status::ContainerStatus;
use crate::api::legacy::encoded::{self, Value};
use crate::api::legacy::labels::LabelList;
use crate::api::legacy::resources::ByName;
use crate::api::wire;

/// A task, read when it is written.
pub(super) struct TaskObject<'a>(pub(super) &'a Task);

#[derive(Serialize)]
struct Fields<'a> {
    id: &'a str,
    name: &'a str,
    framework_id: &'a str,
    /// Empty for command tasks.
    executor_id: &'a str,
    slave_id: &'a str,
    state: &'static str,
    resources: ByName<'a>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    limits: BTreeMap<String, f64>,
    role: &'a str,
    statuses: Statuses<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<&'a str>,
    #[serde(skip_serializing_if = "LabelList::is_empty")]
    labels: LabelList<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    discovery: Option<Decoded<'a, v1::DiscoveryInfo>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    container: Option<Decoded<'a, v1::ContainerInfo>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    health_check: Option<Decoded<'a, v1::HealthCheck>>,
}

/// What is shown of an encoded `v1::TaskInfo`, still encoded.
#[derive(Default)]
struct Shown<'a> {
    command: Option<&'a [u8]>,
    labels: LabelList<'a>,
    discovery: Option<Decoded<'a, v1::DiscoveryInfo>>,
    container: Option<Decoded<'a, v1::ContainerInfo>>,
    health_check: Option<Decoded<'a, v1::HealthCheck>>,
    has_limits: bool,
}

impl<'a> Shown<'a> {
    fn of(task: &'a [u8]) -> Self {
        let mut shown = Self::default();
        for field in encoded::Fields::of(task) {
            let (number, Value::Bytes(bytes)) = field else { continue };
            match number {
                // The executor's command counts when the task has none.
                5 => shown.command = shown.command.or(encoded::bytes(bytes, 7)),
                7 => shown.command = Some(bytes),
                8 => shown.health_check = Some(Decoded::new(bytes)),
                9 => shown.container = Some(Decoded::new(bytes)),
                10 => shown.labels = LabelList::of(bytes),
                11 => shown.discovery = Some(Decoded::new(bytes)),
                15 => shown.has_limits = true,
                _ => {}
            }
        }
        shown
    }
}

impl Serialize for TaskObject<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let task = self.0;
        let shown = Shown::of(&task.raw);
        let limits = match shown.has_limits {
            true => wire::kept::<v1::TaskInfo>(&task.raw).limits,
            false => BTreeMap::new(),
        };
        Fields {
            id: task.id.as_str(),
            name: &task.name,
            framework_id: task.framework.as_str(),
            executor_id: task.executor.as_ref().map_or("", |executor| executor.as_str()),
            slave_id: task.agent.as_str(),
            state: task.state.as_str_name(),
            resources: ByName(&task.resources),
            limits: limits.into_iter().map(|(name, limit)| (name, limit.value())).collect(),
            role: task.role.as_str(),
            statuses: Statuses(&task.statuses),
            user: shown.command.and_then(|command| encoded::bytes(command, 5)).map(encoded::text),
            labels: shown.labels,
            discovery: shown.discovery,
            container: shown.container,
            health_check: shown.health_check,
        }
        .serialize(serializer)
    }
}

/// A message that is decoded when it is written.
struct Decoded<'a, T>(&'a [u8], PhantomData<fn() -> T>);

impl<'a, T> Decoded<'a, T> {
    fn new(encoded: &'a [u8]) -> Self {
        Self(encoded, PhantomData)
    }
}

impl<T: Message + Default + Serialize> Serialize for Decoded<'_, T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        T::decode(self.0).unwrap_or_default().serialize(serializer)
    }
}

/// Labels stand in older objects as a plain list.
pub(super) fn labels(labels: Option<v1::Labels>) -> Vec<v1::Label> {
    labels.map(|labels| labels.labels).unwrap_or_default()
}

struct Statuses<'a>(&'a [Status]);

impl Serialize for Statuses<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter().map(StatusObject::new))
    }
}

#[derive(Serialize)]
struct StatusObject<'a> {
    state: &'static str,
    timestamp: f64,
    #[serde(skip_serializing_if = "LabelList::is_empty")]
    labels: LabelList<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    container_status: Option<ContainerStatus<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    healthy: Option<bool>,
}

impl<'a> StatusObject<'a> {
    fn new(status: &'a Status) -> Self {
        let details = match status {
            Status::Forwarded { raw, .. } => Some(raw),
            Status::Made(made) => made.details.as_ref(),
        };
        let mut object = Self {
            state: status.state().as_str_name(),
            timestamp: status.timestamp().as_secs_f64(),
            labels: LabelList::default(),
            container_status: None,
            healthy: None,
        };
        for field in details.into_iter().flat_map(|details| encoded::Fields::of(details)) {
            match field {
                (8, Value::Number(healthy)) => object.healthy = Some(healthy != 0),
                (12, Value::Bytes(labels)) => object.labels = LabelList::of(labels),
                (13, Value::Bytes(status)) => {
                    object.container_status = Some(ContainerStatus(status));
                }
                _ => {}
            }
        }
        object
    }
}

/// The executors that a framework's tasks brought, each once an agent.
pub(super) fn executors<'a>(tasks: impl Iterator<Item = &'a Task>) -> Vec<ExecutorObject> {
    let mut executors = BTreeMap::new();
    for task in tasks {
        let Some(executor) = &task.executor else { continue };
        executors.entry((&task.agent, executor)).or_insert_with(|| ExecutorObject::new(task));
    }
    executors.into_values().collect()
}

/// An executor.
#[derive(Serialize)]
pub(super) struct ExecutorObject {
    executor_id: String,
    name: String,
    framework_id: String,
    slave_id: String,
    source: String,
    command: v1::CommandInfo,
    resources: serde_json::Value,
}

impl ExecutorObject {
    fn new(task: &Task) -> Self {
        let info: v1::TaskInfo = wire::kept(&task.raw);
        let executor = info.executor.map(|executor| *executor).unwrap_or_default();
        let resources = Resources::from_protos(&executor.resources).unwrap_or_default();
        Self {
            executor_id: executor.executor_id.map(|id| id.value().to_owned()).unwrap_or_default(),
            name: executor.name.unwrap_or_default(),
            framework_id: task.framework.to_string(),
            slave_id: task.agent.to_string(),
            source: executor.source.unwrap_or_default(),
            command: executor.command.unwrap_or_default(),
            resources: serde_json::to_value(ByName(&resources)).unwrap_or_default(),
        }
    }
}

/// All frameworks, the removed ones last.
pub(super) fn everywhere(snapshot: &Snapshot) -> impl Iterator<Item = &FrameworkView> + Clone {
    snapshot.frameworks.iter().chain(snapshot.completed_frameworks.iter().map(Arc::as_ref))
}

/// All tasks of a framework that are remembered.
pub(super) fn all_tasks(framework: &FrameworkView) -> impl Iterator<Item = &Task> + Clone {
    framework
        .tasks
        .iter()
        .chain(framework.unreachable_tasks.values())
        .chain(framework.completed_tasks.iter())
        .map(Arc::as_ref)
}

#[cfg(test)]
mod tests {
    use super::*;
    use meros_master_core::{LaunchTask, StatusReport};
    use meros_proto::ids::{AgentId, FrameworkId};
    use meros_proto::resources::Role;
    use meros_proto::wire::{self as messages, Encoding};

    fn message<T: messages::Wire>(json: serde_json::Value) -> T {
        messages::decode(Encoding::Json, json.to_string().as_bytes()).expect("a complete message")
    }

    fn task(info: &v1::TaskInfo, status: &v1::TaskStatus) -> Task {
        let spec = LaunchTask::from_proto(info).spec.expect("a valid task");
        let status = StatusReport::from_proto(status, Default::default()).expect("a valid status");
        Task {
            id: spec.id,
            name: spec.name,
            framework: FrameworkId::parse("c-0000").expect("a valid id"),
            agent: AgentId::parse("c-S0").expect("a valid id"),
            executor: spec.executor,
            role: Role::star(),
            resources: spec.resources,
            state: status.state,
            statuses: vec![Status::Forwarded {
                state: status.state,
                timestamp: status.timestamp,
                raw: status.kept,
            }],
            raw: spec.raw,
        }
    }

    #[test]
    fn what_is_shown_of_a_task_is_what_its_messages_say() {
        let labels = serde_json::json!([{"key": "a", "value": "1"}, {"key": "b"}]);
        let wanted = serde_json::json!({
            "name": "n", "task_id": {"value": "t"}, "agent_id": {"value": "c-S0"},
            "resources": [{"name": "cpus", "type": "SCALAR", "scalar": {"value": 0.5}}],
            "limits": {"cpus": {"value": 2.0}},
            "command": {"value": "true", "user": "somebody"},
            "labels": {"labels": labels},
            "discovery": {"visibility": "CLUSTER", "name": "d"},
            "container": {"type": "MESOS", "hostname": "h"},
            "health_check": {"type": "TCP", "tcp": {"port": 80}},
        });
        let info: v1::TaskInfo = message(wanted);
        let status: v1::TaskStatus = message(serde_json::json!({
            "task_id": {"value": "t"}, "state": "TASK_RUNNING", "timestamp": 1.5,
            "healthy": false, "labels": {"labels": labels},
            "container_status": {"container_id": {"value": "c"}},
        }));
        let task = task(&info, &status);
        let shown = serde_json::to_value(TaskObject(&task)).expect("it is JSON");
        for (field, value) in [
            ("discovery", serde_json::to_value(&info.discovery)),
            ("container", serde_json::to_value(&info.container)),
            ("health_check", serde_json::to_value(&info.health_check)),
            ("labels", Ok(labels.clone())),
            ("limits", Ok(serde_json::json!({"cpus": 2.0}))),
            ("user", Ok("somebody".into())),
            ("executor_id", Ok("".into())),
            ("state", Ok("TASK_RUNNING".into())),
        ] {
            assert_eq!(shown[field], value.expect("it is JSON"), "{field}");
        }
        assert_eq!(
            shown["statuses"],
            serde_json::json!([{
                "state": "TASK_RUNNING", "timestamp": 1.5, "healthy": false, "labels": labels,
                "container_status": {"container_id": {"value": "c"}},
            }])
        );
    }

    #[test]
    fn the_user_of_a_task_with_an_executor_is_the_executors() {
        let info: v1::TaskInfo = message(serde_json::json!({
            "name": "n", "task_id": {"value": "t"}, "agent_id": {"value": "c-S0"},
            "resources": [{"name": "cpus", "type": "SCALAR", "scalar": {"value": 0.5}}],
            "executor": {"executor_id": {"value": "e"}, "command": {"value": "x", "user": "other"}},
        }));
        let status: v1::TaskStatus =
            message(serde_json::json!({"task_id": {"value": "t"}, "state": "TASK_STARTING"}));
        let shown = serde_json::to_value(TaskObject(&task(&info, &status))).expect("it is JSON");
        assert_eq!((&shown["user"], &shown["executor_id"]), (&"other".into(), &"e".into()));
        for absent in ["labels", "limits", "discovery", "container", "health_check"] {
            assert!(shown.get(absent).is_none(), "{absent}");
        }
    }
}
