//! `/state` and `/containers` as tools have read them for years.

use meros_agent_core::task::{FrameworkSpec, TaskKey};
use meros_agent_core::view::{TaskView, View};
use meros_plugin_api::authz::Action;
use meros_proto::attributes::{AttributeValue, Attributes};
use meros_proto::ids::AgentId;
use meros_proto::resources::{Name, ReservationFormat, Resources, Value as Amount};
use meros_proto::versions::MESOS_VERSION;
use meros_proto::wire::{self, Encoding};
use meros_proto::{task_state, v1};
use serde_json::{Map, Value, json};

use crate::executor::command::executor_of;
use crate::host::Host;
use crate::link::translate::status;
use crate::sandbox::paths;

/// The whole of `/state`. What `permits` refuses is left out.
pub(super) fn state(
    host: &Host,
    view: &View,
    flags: Value,
    permits: impl Fn(Action, &str) -> bool,
) -> Value {
    let resources = &host.resources;
    let visible = view
        .frameworks
        .iter()
        .filter(|framework| permits(Action::ViewFramework, framework.id.as_str()));
    let (mut active, mut completed) = (Vec::new(), Vec::new());
    for framework in visible {
        let shows_tasks = permits(Action::ViewTask, framework.id.as_str());
        let is_active = view.tasks.iter().any(|task| task.spec.key.framework == framework.id);
        let list = if is_active { &mut active } else { &mut completed };
        list.push(framework_object(host, view, framework, shows_tasks));
    }
    json!({
        "version": MESOS_VERSION,
        "build_date": "",
        "build_time": 0.0,
        "build_user": "",
        "start_time": host.started.as_secs_f64(),
        "id": view.agent.as_ref().map_or("", AgentId::as_str),
        "pid": host.pid(),
        "hostname": host.hostname,
        "capabilities": Host::capabilities(),
        "resources": resources_object(resources),
        "reserved_resources": reserved(resources, resources_object),
        "unreserved_resources": resources_object(&resources.unreserved()),
        "reserved_resources_full": reserved(resources, full),
        "unreserved_resources_full": full(&resources.unreserved()),
        "attributes": attributes_object(&host.attributes),
        "master_id": view.master,
        "flags": flags,
        "frameworks": active,
        "completed_frameworks": completed,
    })
}

/// `/containers`: what runs, without statistics.
pub(super) fn containers(host: &Host, view: &View) -> Value {
    let running = view.tasks.iter().filter(|task| task.pid.is_some()).map(|task| {
        json!({
            "container_id": task.container.as_str(),
            "executor_id": task.spec.key.task.as_str(),
            "executor_name": "",
            "framework_id": task.spec.key.framework.as_str(),
            "source": task.spec.key.task.as_str(),
            "status": {
                "container_id": { "value": task.container.as_str() },
                "executor_pid": task.pid,
                "network_infos": [host.network()],
            },
        })
    });
    running.collect()
}

fn framework_object(
    host: &Host,
    view: &View,
    framework: &FrameworkSpec,
    shows_tasks: bool,
) -> Value {
    let info: v1::FrameworkInfo =
        wire::decode(Encoding::Protobuf, &framework.encoded).unwrap_or_default();
    let of = |tasks: &[TaskView], agent: Option<&AgentId>| -> Vec<Value> {
        let own = tasks.iter().filter(|task| task.spec.key.framework == framework.id);
        // Where there is no agent's id there was no task either.
        let known = own.filter(|task| !task.spec.encoded.is_empty()).zip(agent.into_iter().cycle());
        known.map(|(task, agent)| executor_object(host, agent, &info, task)).collect()
    };
    let agent = view.agent.as_ref().filter(|_| shows_tasks);
    let mut object = json!({
        "id": framework.id.as_str(),
        "name": info.name(),
        "user": info.user(),
        "principal": info.principal,
        "failover_timeout": info.failover_timeout(),
        "checkpoint": info.checkpoint(),
        "hostname": info.hostname(),
        "capabilities": capabilities(&info),
        "executors": of(&view.tasks, agent),
        "completed_executors": of(&view.completed, agent),
    });
    if info.roles.is_empty() {
        object["role"] = json!(info.role());
    } else {
        object["roles"] = json!(info.roles);
    }
    object
}

/// A command task has an executor of its own name, which exists in this view only.
fn executor_object(
    host: &Host,
    agent: &AgentId,
    framework: &v1::FrameworkInfo,
    task: &TaskView,
) -> Value {
    let key = &task.spec.key;
    let info: v1::TaskInfo =
        wire::decode(Encoding::Protobuf, &task.spec.encoded).unwrap_or_default();
    let directory =
        paths::run_dir(&host.work_dir, agent, &key.framework, &executor_of(key), &task.container);
    let object = task_object(host, agent, framework, &info, task);
    let over = task_state::is_terminal(task.state);
    let (tasks, completed) = if over { (vec![], vec![object]) } else { (vec![object], vec![]) };
    json!({
        "id": key.task.as_str(),
        "name": executor_name(key, info.command.as_ref()),
        "source": key.task.as_str(),
        "container": task.container.as_str(),
        "directory": directory.to_string_lossy(),
        "resources": resources_object(&task.spec.resources),
        "tasks": tasks,
        "queued_tasks": [],
        "completed_tasks": completed,
    })
}

fn executor_name(key: &TaskKey, command: Option<&v1::CommandInfo>) -> String {
    let line = match command {
        Some(command) if command.shell() => format!("sh -c '{}'", shortened(command.value())),
        Some(command) => shortened(&command.arguments.join(" ")),
        None => String::new(),
    };
    format!("Command Executor (Task: {}) (Command: {line})", key.task)
}

fn shortened(text: &str) -> String {
    match text.char_indices().nth(15) {
        Some(_) => text.chars().take(12).chain("...".chars()).collect(),
        None => text.to_owned(),
    }
}

fn task_object(
    host: &Host,
    agent: &AgentId,
    framework: &v1::FrameworkInfo,
    info: &v1::TaskInfo,
    task: &TaskView,
) -> Value {
    let key = &task.spec.key;
    let statuses = task.updates.iter().map(|update| {
        let status = status(host, Some(agent), key, &task.container, update);
        let mut object = json!({
            "state": status.state().as_str_name(),
            "timestamp": status.timestamp(),
            "container_status": status.container_status,
        });
        if let Some(healthy) = status.healthy {
            object["healthy"] = json!(healthy);
        }
        object
    });
    let role = task.spec.resources.allocations().keys().next().map(ToString::to_string);
    let mut object = json!({
        "id": key.task.as_str(),
        "name": info.name(),
        "framework_id": key.framework.as_str(),
        "executor_id": "",
        "slave_id": agent.as_str(),
        "state": task.state.as_str_name(),
        "resources": resources_object(&task.spec.resources),
        "role": role.unwrap_or_else(|| framework.role().to_owned()),
        "statuses": statuses.collect::<Value>(),
    });
    if let Some(check) = &info.health_check {
        object["health_check"] = json!(check);
    }
    let user = info.command.as_ref().and_then(|command| command.user.as_deref());
    if let Some(user) = user.or(framework.user.as_deref()) {
        object["user"] = json!(user);
    }
    if let Some(labels) = &info.labels {
        object["labels"] = json!(labels.labels);
    }
    if let Some(discovery) = &info.discovery {
        object["discovery"] = json!(discovery);
    }
    if let Some(container) = &info.container {
        object["container"] = json!(container);
    }
    object
}

fn capabilities(info: &v1::FrameworkInfo) -> Vec<&'static str> {
    info.capabilities.iter().map(|capability| capability.r#type().as_str_name()).collect()
}

/// cpus, mem, disk and gpus always, others by name, ranges and sets as text.
fn resources_object(resources: &Resources) -> Value {
    let firm = resources.non_revocable();
    let mut object = Map::new();
    for name in [Name::Cpus, Name::Gpus, Name::Mem, Name::Disk] {
        object.insert(name.to_string(), json!(firm.scalar(name.as_str()).as_f64()));
    }
    sum_up(&mut object, &firm, "");
    sum_up(&mut object, &resources.revocable(), "_revocable");
    Value::Object(object)
}

fn sum_up(object: &mut Map<String, Value>, resources: &Resources, suffix: &str) {
    for name in resources.names() {
        let named = resources.named(name);
        let value = match named.iter().next().map(|resource| resource.value()) {
            None => continue,
            Some(Amount::Scalar(_)) => json!(named.scalar(name.as_str()).as_f64()),
            Some(Amount::Ranges(_)) if *name == Name::Ports => json!(named.ports().to_string()),
            Some(other) => json!(other.to_string()),
        };
        object.insert(format!("{name}{suffix}"), value);
    }
}

fn reserved(resources: &Resources, show: impl Fn(&Resources) -> Value) -> Value {
    let by_role = resources.reservations();
    Value::Object(by_role.iter().map(|(role, held)| (role.to_string(), show(held))).collect())
}

fn full(resources: &Resources) -> Value {
    json!(resources.to_protos(ReservationFormat::Refined))
}

fn attributes_object(attributes: &Attributes) -> Value {
    let values = attributes.iter().map(|attribute| {
        let value = match &attribute.value {
            AttributeValue::Scalar(scalar) => json!(scalar.as_f64()),
            AttributeValue::Ranges(ranges) => json!(ranges.to_string()),
            AttributeValue::Text(text) => json!(&**text),
        };
        (attribute.name.to_string(), value)
    });
    Value::Object(values.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resources_have_their_usual_names_always_and_ports_as_text() {
        let resources = Resources::parse(
            "cpus:1.5;ports:[31000-31002];bugs:{a,b}",
            &meros_proto::resources::Role::star(),
        );
        let object = resources_object(&resources.expect("valid resources"));
        let expected = json!({
            "cpus": 1.5, "gpus": 0.0, "mem": 0.0, "disk": 0.0,
            "ports": "[31000-31002]", "bugs": "{a, b}",
        });
        assert_eq!(object, expected);
    }

    #[test]
    fn long_commands_are_shortened_in_the_name_of_their_executor() {
        let key = TaskKey {
            framework: meros_proto::ids::FrameworkId::parse("f").expect("an id"),
            task: meros_proto::ids::TaskId::parse("web.1").expect("an id"),
        };
        let command =
            v1::CommandInfo { value: Some("sleep 100000000000".to_owned()), ..Default::default() };
        assert_eq!(
            executor_name(&key, Some(&command)),
            "Command Executor (Task: web.1) (Command: sh -c 'sleep 100000...')"
        );
    }
}
