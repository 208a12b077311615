//! Task objects, and `/tasks`.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::Arc;

use meros_master_core::{FrameworkView, Snapshot, Status, Task};
use meros_proto::resources::Resources;
use meros_proto::v1;
use meros_shell::http::Query;
use serde::Serialize;
use serde::ser::Serializer;

use crate::api::legacy::resources::ByName;
use crate::api::legacy::sequence::Sequence;
use crate::api::legacy::view::Viewer;
use crate::api::wire;

/// A task, decoded when it is written.
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
    statuses: Vec<StatusObject>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    labels: Vec<v1::Label>,
    #[serde(skip_serializing_if = "Option::is_none")]
    discovery: Option<Box<v1::DiscoveryInfo>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    container: Option<Box<v1::ContainerInfo>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    health_check: Option<Box<v1::HealthCheck>>,
}

impl Serialize for TaskObject<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let task = self.0;
        let info: v1::TaskInfo = wire::kept(&task.raw);
        let of_executor = info.executor.as_ref().and_then(|executor| executor.command.as_ref());
        let command = info.command.as_ref().or(of_executor);
        Fields {
            id: task.id.as_str(),
            name: &task.name,
            framework_id: task.framework.as_str(),
            executor_id: task.executor.as_ref().map_or("", |executor| executor.as_str()),
            slave_id: task.agent.as_str(),
            state: task.state.as_str_name(),
            resources: ByName(&task.resources),
            limits: info.limits.iter().map(|(name, limit)| (name.clone(), limit.value())).collect(),
            role: task.role.as_str(),
            statuses: task.statuses.iter().map(StatusObject::new).collect(),
            user: command.and_then(|command| command.user.clone()),
            labels: labels(info.labels),
            discovery: info.discovery,
            container: info.container,
            health_check: info.health_check,
        }
        .serialize(serializer)
    }
}

/// Labels stand in older objects as a plain list.
pub(super) fn labels(labels: Option<v1::Labels>) -> Vec<v1::Label> {
    labels.map(|labels| labels.labels).unwrap_or_default()
}

#[derive(Serialize)]
struct StatusObject {
    state: &'static str,
    timestamp: f64,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    labels: Vec<v1::Label>,
    #[serde(skip_serializing_if = "Option::is_none")]
    container_status: Option<v1::ContainerStatus>,
    #[serde(skip_serializing_if = "Option::is_none")]
    healthy: Option<bool>,
}

impl StatusObject {
    fn new(status: &Status) -> Self {
        let message = wire::task_status(status);
        Self {
            state: status.state().as_str_name(),
            timestamp: status.timestamp().as_secs_f64(),
            labels: labels(message.labels),
            container_status: message.container_status,
            healthy: message.healthy,
        }
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

/// Which tasks are wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Page {
    framework: Option<String>,
    task: Option<String>,
    oldest_first: bool,
    offset: usize,
    /// `None`: all.
    limit: Option<usize>,
}

impl Page {
    /// Reads the query of `/tasks`. A negative limit means all.
    pub(super) fn from_query(query: &Query) -> Result<Self, String> {
        let number = |name: &str, default: i64| match query.filled(name) {
            None => Ok(default),
            Some(text) => {
                text.parse::<i64>().map_err(|_| format!("Failed to parse '{name}': '{text}'"))
            }
        };
        let oldest_first = match query.filled("order") {
            None | Some("des") => false,
            Some("asc") => true,
            Some(other) => return Err(format!("'order' must be 'asc' or 'des', not '{other}'")),
        };
        Ok(Self {
            framework: query.filled("framework_id").map(str::to_owned),
            task: query.filled("task_id").map(str::to_owned),
            oldest_first,
            offset: usize::try_from(number("offset", 0)?).unwrap_or(0),
            limit: usize::try_from(number("limit", 100)?).ok(),
        })
    }

    fn of<'a>(&self, snapshot: &'a Snapshot, viewer: &Viewer<'_>) -> Vec<&'a Task> {
        let wanted = |wanted: &Option<String>, id: &str| wanted.as_ref().is_none_or(|w| w == id);
        let mut tasks: Vec<&Task> = everywhere(snapshot)
            .filter(|framework| wanted(&self.framework, framework.id.as_str()))
            .filter(|framework| viewer.sees_framework(framework))
            .flat_map(all_tasks)
            .filter(|task| wanted(&self.task, task.id.as_str()) && viewer.sees_task(task))
            .collect();
        let first_heard =
            |task: &&Task| (task.statuses.first().map(Status::timestamp), task.id.clone());
        if self.oldest_first {
            tasks.sort_by_cached_key(first_heard);
        } else {
            tasks.sort_by_cached_key(|task| Reverse(first_heard(task)));
        }
        tasks.into_iter().skip(self.offset).take(self.limit.unwrap_or(usize::MAX)).collect()
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
        .chain(&framework.unreachable_tasks)
        .chain(&framework.completed_tasks)
        .map(Arc::as_ref)
}

/// `/tasks`.
pub(super) struct Tasks<'a>(Vec<&'a Task>);

impl<'a> Tasks<'a> {
    pub(super) fn new(snapshot: &'a Snapshot, viewer: &Viewer<'_>, page: &Page) -> Self {
        Self(page.of(snapshot, viewer))
    }
}

impl Serialize for Tasks<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Body<T> {
            tasks: T,
        }
        let tasks = Sequence(self.0.iter().map(|task| TaskObject(task)));
        Body { tasks }.serialize(serializer)
    }
}
