//! What a task may ask for by Mesos's contract and doesn't get here yet.
//!
//! Such a task is answered with TASK_ERROR before anything of it starts: running it without what it
//! asked for would be worse than not running it.

use meros_proto::v1;
use meros_proto::v1::container_info::Type as ContainerType;
use meros_proto::v1::environment::variable::Type as VariableType;

/// What of `task` this agent can't do; `None` when it can do everything.
pub(crate) fn unbuilt(task: &v1::TaskInfo) -> Option<String> {
    if task.executor.is_some() {
        return Some(said("executors other than the command executor"));
    }
    let Some(command) = &task.command else {
        return Some("The task has neither a command nor an executor".to_owned());
    };
    let container = task.container.as_deref();
    let asked = [
        (!command.uris.is_empty(), "fetching of URIs"),
        (has_secret(command), "secrets in the environment"),
        (checked_by(task).any(|command| !command.uris.is_empty()), "URIs of check commands"),
        (checked_by(task).any(has_secret), "secrets in the environment"),
        (has_gpus(task), "GPUs"),
        (has_volumes(task), "persistent volumes"),
    ];
    let first = asked.iter().find(|(is_asked, _)| *is_asked).map(|(_, what)| said(what));
    first.or_else(|| container.and_then(unbuilt_container))
}

fn unbuilt_container(container: &v1::ContainerInfo) -> Option<String> {
    if container.r#type() == ContainerType::Docker {
        return Some(said("Docker containers"));
    }
    let image = container.mesos.as_ref().is_some_and(|mesos| mesos.image.is_some());
    // An entry that names no network and maps no port asks for the host's network.
    let own_network = container.network_infos.iter().any(|network| {
        network.name.is_some() || !network.port_mappings.is_empty() || !network.groups.is_empty()
    });
    let asked = [
        (image, "container images"),
        (!container.volumes.is_empty(), "volumes"),
        (own_network, "container networks"),
        (container.hostname.is_some(), "host names of containers"),
        (container.linux_info.is_some(), "Linux options of containers"),
        (container.rlimit_info.is_some(), "resource limits (rlimits)"),
        (container.tty_info.is_some(), "terminals"),
    ];
    asked.iter().find(|(is_asked, _)| *is_asked).map(|(_, what)| said(what))
}

/// The commands of its checks.
fn checked_by(task: &v1::TaskInfo) -> impl Iterator<Item = &v1::CommandInfo> {
    let health = task.health_check.as_ref().and_then(|check| check.command.as_ref());
    let check = task.check.as_ref().and_then(|check| check.command.as_ref());
    health.into_iter().chain(check.and_then(|check| check.command.as_ref()))
}

fn has_secret(command: &v1::CommandInfo) -> bool {
    let variables = command.environment.iter().flat_map(|environment| &environment.variables);
    variables.into_iter().any(|variable| variable.r#type() == VariableType::Secret)
}

fn has_gpus(task: &v1::TaskInfo) -> bool {
    task.resources.iter().any(|resource| resource.name() == "gpus")
}

fn has_volumes(task: &v1::TaskInfo) -> bool {
    task.resources.iter().any(|resource| {
        resource.disk.as_ref().is_some_and(|disk| {
            disk.persistence.is_some() || disk.volume.is_some() || disk.source.is_some()
        })
    })
}

fn said(what: &str) -> String {
    format!("This agent does not support {what} yet")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn command() -> v1::TaskInfo {
        let command = v1::CommandInfo { value: Some("true".to_owned()), ..Default::default() };
        v1::TaskInfo { command: Some(command), ..Default::default() }
    }

    fn in_container(container: v1::ContainerInfo) -> v1::TaskInfo {
        v1::TaskInfo { container: Some(Box::new(container)), ..command() }
    }

    fn mesos() -> v1::ContainerInfo {
        let r#type = Some(ContainerType::Mesos as i32);
        v1::ContainerInfo { r#type, ..Default::default() }
    }

    fn with_health_check(checking: v1::CommandInfo) -> v1::TaskInfo {
        let check = v1::HealthCheck { command: Some(checking), ..Default::default() };
        v1::TaskInfo { health_check: Some(Box::new(check)), ..command() }
    }

    #[test]
    fn a_plain_command_is_taken_with_and_without_a_mesos_container_around_it() {
        assert_eq!(unbuilt(&command()), None);
        assert_eq!(unbuilt(&in_container(mesos())), None);
        let host = v1::ContainerInfo { network_infos: vec![Default::default()], ..mesos() };
        assert_eq!(unbuilt(&in_container(host)), None);
    }

    #[test]
    fn what_is_not_built_is_named() {
        let uri =
            v1::command_info::Uri { value: "http://x/y".to_owned().into(), ..Default::default() };
        let fetching = v1::CommandInfo { uris: vec![uri], ..Default::default() };
        let secret = Some(VariableType::Secret as i32);
        let variable = v1::environment::Variable { r#type: secret, ..Default::default() };
        let environment = Some(v1::Environment { variables: vec![variable] });
        let secretive = v1::CommandInfo { environment, ..Default::default() };
        let docker = v1::ContainerInfo { r#type: Some(ContainerType::Docker as i32), ..mesos() };
        let volumes = v1::ContainerInfo { volumes: vec![Default::default()], ..mesos() };
        for (task, what) in [
            (v1::TaskInfo { command: Some(fetching.clone()), ..command() }, "fetching of URIs"),
            (v1::TaskInfo { executor: Some(Box::default()), ..command() }, "executors"),
            (with_health_check(fetching), "URIs of check commands"),
            (with_health_check(secretive), "secrets"),
            (in_container(docker), "Docker"),
            (in_container(volumes), "volumes"),
            (v1::TaskInfo::default(), "neither a command nor an executor"),
        ] {
            let said = unbuilt(&task).expect(what);
            assert!(said.contains(what), "{said}");
        }
    }
}
