//! What a command task's container is given: command, environment, limits.
//!
//! In Mesos a process, the command executor, ran the command; here the launcher does, and the
//! variables that the executor would have handed down are set directly.

use meros_agent_core::effect::Launch;
use meros_agent_core::task::TaskKey;
use meros_proto::ids::ExecutorId;
use meros_proto::resources::{Resources, Scalar};
use meros_proto::wire::{self, DecodeError, Encoding};
use meros_proto::{spans, v1};

use crate::config::Overhead;
use crate::containerizer::{LaunchSpec, Limits};
use crate::host::Host;
use crate::sandbox::paths;

use std::collections::BTreeMap;
use std::time::Duration;

/// Where commands are looked for when nothing else is said, as Mesos's agents have it.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// What the operator decided for all tasks.
#[derive(Debug, Clone)]
pub(crate) struct Terms {
    /// What every task's environment starts with.
    pub(crate) environment: BTreeMap<String, String>,
    pub(crate) overhead: Overhead,
    pub(crate) shutdown_grace: Duration,
}

/// What the containerizer needs to know to start a task.
pub(crate) fn launch_spec(
    host: &Host,
    terms: &Terms,
    launch: &Launch,
) -> Result<LaunchSpec, DecodeError> {
    let task: v1::TaskInfo = wire::decode(Encoding::Protobuf, &launch.task.encoded)?;
    let framework: v1::FrameworkInfo = wire::decode(Encoding::Protobuf, &launch.framework.encoded)?;
    let command = task.command.clone().unwrap_or_default();
    let executor = executor_of(&launch.task.key);
    let sandbox = paths::run_dir(
        &host.work_dir,
        &launch.agent,
        &launch.task.key.framework,
        &executor,
        &launch.container,
    );
    let env = environment(host, terms, launch, &framework, &command, &sandbox.to_string_lossy());
    Ok(LaunchSpec {
        container: launch.container.clone(),
        user: command.user.clone().or(framework.user),
        env,
        limits: limits(&launch.task.resources, &task, terms.overhead),
        command,
        sandbox,
    })
}

/// A command task's executor bears the task's name.
pub(crate) fn executor_of(task: &TaskKey) -> ExecutorId {
    ExecutorId::parse(task.task.as_str()).expect("the rules for ids are the same for both")
}

/// In order; later wins. The task's own variables come last.
fn environment(
    host: &Host,
    terms: &Terms,
    launch: &Launch,
    framework: &v1::FrameworkInfo,
    command: &v1::CommandInfo,
    sandbox: &str,
) -> Vec<(String, String)> {
    let key = &launch.task.key;
    let mut env: Vec<(String, String)> = vec![("PATH".to_owned(), PATH.to_owned())];
    env.extend(terms.environment.iter().map(|(name, value)| (name.clone(), value.clone())));
    let mut set = |name: &str, value: String| env.push((name.to_owned(), value));
    set("MESOS_FRAMEWORK_ID", key.framework.to_string());
    set("MESOS_EXECUTOR_ID", key.task.to_string());
    set("MESOS_SLAVE_ID", launch.agent.to_string());
    set("MESOS_SLAVE_PID", host.pid());
    set("MESOS_AGENT_ENDPOINT", host.address.to_string());
    set("MESOS_DIRECTORY", sandbox.to_owned());
    set("MESOS_SANDBOX", sandbox.to_owned());
    set("MESOS_CONTAINER_IP", host.address.ip().to_string());
    // pymesos takes any text for true, "0" too: unset when false.
    if framework.checkpoint() {
        set("MESOS_CHECKPOINT", "1".to_owned());
    }
    set("MESOS_EXECUTOR_SHUTDOWN_GRACE_PERIOD", spans::text(terms.shutdown_grace));
    if let Some(role) = launch.task.resources.allocations().keys().next() {
        set("MESOS_ALLOCATION_ROLE", role.to_string());
    }
    for variable in command.environment.iter().flat_map(|environment| &environment.variables) {
        set(variable.name(), variable.value().to_owned());
    }
    env
}

/// Requests, or the limits above them that the task names; and the allowance on top.
fn limits(requested: &Resources, task: &v1::TaskInfo, overhead: Overhead) -> Limits {
    let limit = |name: &str, requested: Scalar, allowance: Scalar| {
        let named = task.limits.get(name).map(v1::value::Scalar::value);
        match named {
            Some(infinite) if infinite.is_infinite() => None,
            Some(named) => Some(named + allowance.as_f64()),
            None if requested == Scalar::ZERO => None,
            None => Some(requested.as_f64() + allowance.as_f64()),
        }
    };
    let mem = limit("mem", requested.mem(), overhead.mem);
    Limits {
        cpus: limit("cpus", requested.cpus(), overhead.cpus),
        // A cast of a float saturates.
        mem_bytes: mem.map(|megabytes| (megabytes * 1_048_576.0) as u64),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits_of(resources: &str, limits: &[(&str, f64)]) -> (Option<f64>, Option<u64>) {
        let requested = Resources::parse(resources, &meros_proto::resources::Role::star())
            .expect("valid resources");
        let limits = limits
            .iter()
            .map(|(name, value)| ((*name).to_owned(), v1::value::Scalar { value: Some(*value) }));
        let task = v1::TaskInfo { limits: limits.collect(), ..v1::TaskInfo::default() };
        let scalar = |value| Scalar::from_f64(value).expect("a number");
        let overhead = Overhead { cpus: scalar(0.1), mem: scalar(32.0) };
        let limits = super::limits(&requested, &task, overhead);
        (limits.cpus, limits.mem_bytes)
    }

    #[test]
    fn a_task_may_use_what_it_asked_for_and_what_its_executor_would_have_used() {
        const MB: u64 = 1 << 20;
        assert_eq!(limits_of("cpus:1;mem:64", &[]), (Some(1.1), Some(96 * MB)));
        assert_eq!(limits_of("cpus:1;mem:64", &[("mem", 128.0)]), (Some(1.1), Some(160 * MB)));
        let unlimited = [("mem", f64::INFINITY), ("cpus", f64::INFINITY)];
        assert_eq!(limits_of("cpus:1;mem:64", &unlimited), (None, None));
        assert_eq!(limits_of("disk:5", &[]), (None, None));
    }
}
