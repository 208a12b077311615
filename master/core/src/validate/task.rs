//! A TaskInfo as the core knows it. What is wrong with one becomes TASK_ERROR, the others of the
//! same LAUNCH go on.

use std::sync::Arc;

use bytes::Bytes;
use meros_proto::ids::{AgentId, ExecutorId, TaskId};
use meros_proto::resources::{Resources, Scalar};
use meros_proto::v1;
use meros_proto::wire::{self, Encoding};

use crate::model::{LaunchTask, TaskSpec};
use crate::validate::{check, command, container};

impl LaunchTask {
    /// Takes what the master needs of `info`, or notes why the task is invalid.
    pub fn from_proto(info: &v1::TaskInfo) -> Self {
        let id = info.task_id.as_ref().and_then(|id| id.value.as_deref()).unwrap_or_default();
        Self { id: Arc::from(id), spec: spec(info).map(Box::new) }
    }
}

fn spec(info: &v1::TaskInfo) -> Result<TaskSpec, String> {
    let id = TaskId::from_proto(info.task_id.as_ref()).map_err(|error| error.to_string())?;
    let agent = AgentId::from_proto(info.agent_id.as_ref()).map_err(|error| error.to_string())?;
    let resources = resources(&info.resources)?;
    if resources.is_empty() {
        return Err("Task uses no resources".to_owned());
    }
    let executor = match (&info.command, info.executor.as_deref()) {
        (Some(_), None) => None,
        (None, Some(executor)) => Some(executor_id(executor)?),
        (None, None) | (Some(_), Some(_)) => {
            return Err("Task should have exactly one of CommandInfo or ExecutorInfo".to_owned());
        }
    };
    if let Some(command) = &info.command {
        command::check(command)?;
    }
    if let Some(container) = &info.container {
        container::check(container)?;
    }
    if let Some(health_check) = &info.health_check {
        check::health_check(health_check)?;
    }
    if let Some(check) = &info.check {
        check::check(check)?;
    }
    let grace = info.kill_policy.as_ref().and_then(|policy| policy.grace_period.as_ref());
    not_negative("Task's 'kill_policy.grace_period'", grace)?;
    not_negative("Task's 'max_completion_time'", info.max_completion_time.as_ref())?;
    limits(info, &resources)?;
    Ok(TaskSpec {
        id,
        name: info.name().into(),
        agent,
        resources,
        executor,
        has_limits: !info.limits.is_empty(),
        raw: Bytes::from(wire::encode(Encoding::Protobuf, info)),
    })
}

/// What holds for the resources of a task, whatever is offered.
fn resources(protos: &[v1::Resource]) -> Result<Resources, String> {
    let invalid = |why: String| format!("Task uses invalid resources: {why}");
    let resources = Resources::from_protos(protos).map_err(|error| invalid(error.to_string()))?;
    if !resources.gpus().is_whole() {
        return Err(invalid("The 'gpus' resource must be an unsigned integer".to_owned()));
    }
    for revocable in resources.revocable().iter() {
        let name = revocable.name();
        if resources.iter().any(|other| !other.is_revocable() && other.name() == name) {
            return Err(invalid(format!("Cannot use both revocable and non-revocable '{name}'")));
        }
    }
    Ok(resources)
}

fn executor_id(executor: &v1::ExecutorInfo) -> Result<ExecutorId, String> {
    let grace = executor.shutdown_grace_period.as_ref();
    not_negative("ExecutorInfo's 'shutdown_grace_period'", grace)?;
    ExecutorId::from_proto(executor.executor_id.as_ref()).map_err(|error| error.to_string())
}

fn not_negative(what: &str, duration: Option<&v1::DurationInfo>) -> Result<(), String> {
    match duration {
        Some(duration) if duration.nanoseconds() < 0 => Err(format!("{what} must be non-negative")),
        Some(_) | None => Ok(()),
    }
}

/// Limits may be infinite, and only raise what is asked for.
fn limits(info: &v1::TaskInfo, resources: &Resources) -> Result<(), String> {
    for (name, limit) in &info.limits {
        let requested = match name.as_str() {
            "cpus" => resources.cpus(),
            "mem" => resources.mem(),
            _ => return Err(format!("Setting resource limits for '{name}' is not supported")),
        };
        if requested == Scalar::ZERO {
            return Err(format!("Limit for '{name}' is set without a request for it"));
        }
        let limit = limit.value();
        // Written so that NaN, which is less than nothing, is refused too.
        let enough = limit >= requested.as_f64();
        if !enough {
            return Err(format!("Limit {limit} for '{name}' is less than the request {requested}"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scalar(name: &str, value: f64) -> v1::Resource {
        v1::Resource {
            name: Some(name.to_owned()),
            r#type: Some(v1::value::Type::Scalar.into()),
            scalar: Some(v1::value::Scalar { value: Some(value) }),
            ..Default::default()
        }
    }

    fn task() -> v1::TaskInfo {
        v1::TaskInfo {
            name: Some("web".to_owned()),
            task_id: Some(v1::TaskId { value: Some("web.1".to_owned()) }),
            agent_id: Some(v1::AgentId { value: Some("m-S0".to_owned()) }),
            resources: vec![scalar("cpus", 1.0), scalar("mem", 32.0)],
            command: Some(v1::CommandInfo {
                value: Some("sleep 1".to_owned()),
                ..Default::default()
            }),
            ..Default::default()
        }
    }

    fn with(change: impl FnOnce(&mut v1::TaskInfo)) -> v1::TaskInfo {
        let mut info = task();
        change(&mut info);
        info
    }

    #[test]
    fn a_task_of_a_command_and_resources_is_valid() {
        let task = LaunchTask::from_proto(&task());
        assert_eq!(&*task.id, "web.1");
        let spec = task.spec.expect("it is valid");
        assert_eq!(spec.agent.as_str(), "m-S0");
        assert_eq!(spec.resources.cpus(), Scalar::from_millis(1_000));
        assert_eq!(spec.executor, None);
    }

    #[test]
    fn an_invalid_task_keeps_its_id_and_says_what_is_wrong() {
        let limit = |name: &str, value: f64| {
            let limit = v1::value::Scalar { value: Some(value) };
            with(|task| task.limits = [(name.to_owned(), limit)].into())
        };
        let nanos = |nanoseconds| v1::DurationInfo { nanoseconds: Some(nanoseconds) };
        for (info, fault) in [
            (with(|task| task.task_id = Some(v1::TaskId { value: Some("a/b".to_owned()) })), "a/b"),
            (with(|task| task.resources.clear()), "no resources"),
            (with(|task| task.resources = vec![scalar("cpus", 0.0001)]), "no resources"),
            (with(|task| task.resources = vec![scalar("cpus", -1.0)]), "invalid resources"),
            (with(|task| task.resources = vec![scalar("cpus", f64::NAN)]), "invalid resources"),
            (with(|task| task.resources = vec![scalar("gpus", 0.5)]), "'gpus'"),
            (
                with(|task| {
                    let revocable = Some(v1::resource::RevocableInfo::default());
                    task.resources.push(v1::Resource { revocable, ..scalar("cpus", 1.0) });
                }),
                "both revocable and non-revocable 'cpus'",
            ),
            (with(|task| task.command = None), "exactly one of"),
            (with(|task| task.executor = Some(Box::default())), "exactly one of"),
            (
                with(|task| {
                    task.kill_policy = Some(v1::KillPolicy { grace_period: Some(nanos(-1)) });
                }),
                "grace_period",
            ),
            (with(|task| task.max_completion_time = Some(nanos(-1))), "max_completion_time"),
            (limit("disk", 1.0), "'disk' is not supported"),
            (limit("mem", 31.0), "less than the request 32"),
            (limit("mem", f64::NAN), "less than the request 32"),
        ] {
            let task = LaunchTask::from_proto(&info);
            assert_eq!(Some(&*task.id), info.task_id.as_ref().and_then(|id| id.value.as_deref()));
            let error = task.spec.expect_err(fault);
            assert!(error.contains(fault), "{error} should name {fault}");
        }
        for infinite in [limit("mem", f64::INFINITY), limit("cpus", 1.0)] {
            assert!(LaunchTask::from_proto(&infinite).spec.is_ok());
        }
    }
}
