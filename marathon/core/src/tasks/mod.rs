//! What Mesos is told of a task: its description, the environment it runs in, and its checks.

use std::time::Duration;

use meros_proto::resources::{ReservationFormat, Resources};
use meros_proto::v1;
use meros_proto::v1::discovery_info::Visibility;

use crate::apps::{AppSpec, Limit};
use crate::instances::Task;

mod checks;
mod env;

/// One launch.
pub(crate) struct Launch<'a> {
    pub(crate) spec: &'a AppSpec,
    pub(crate) task: &'a Task,
    pub(crate) resources: &'a Resources,
    /// Put before `HOST` and `PORT*`.
    pub(crate) env_prefix: &'a str,
    /// Whether the app's top-level group gives it its role.
    pub(crate) enforces_role: bool,
}

/// Describes a task as Marathon does.
pub(crate) fn task_info(launch: &Launch<'_>) -> v1::TaskInfo {
    let Launch { spec, task, resources, .. } = launch;
    let command = command(launch);
    let (command, executor) = match custom_executor(&spec.executor) {
        None => (Some(command), None),
        Some(path) => (None, Some(Box::new(executor(path, launch, command)))),
    };
    v1::TaskInfo {
        name: Some(spec.id.hostname()),
        task_id: Some(task.id.to_proto()),
        agent_id: Some(task.agent.id.to_proto()),
        resources: resources.to_protos(ReservationFormat::Refined),
        executor,
        command,
        kill_policy: spec.kill_grace.map(|grace| v1::KillPolicy { grace_period: duration(grace) }),
        labels: labels(&spec.labels),
        discovery: Some(Box::new(discovery(spec, task))),
        limits: limits(spec),
        health_check: checks::health_check(spec, &task.ports).map(Box::new),
        check: checks::status_check(spec, &task.ports).map(Box::new),
        ..Default::default()
    }
}

fn command(launch: &Launch<'_>) -> v1::CommandInfo {
    let spec = launch.spec;
    let (value, arguments) = match &spec.cmd {
        Some(cmd) => (Some(cmd.clone()), Vec::new()),
        None => (spec.args.first().cloned(), spec.args.clone()),
    };
    let uris = spec.fetch.iter().map(|fetch| v1::command_info::Uri {
        value: Some(fetch.uri.clone()),
        executable: Some(fetch.executable),
        extract: Some(fetch.extract),
        cache: Some(fetch.cache),
        output_file: fetch.dest_path.clone(),
    });
    let variables = env::of(launch).into_iter().map(|(name, value)| v1::environment::Variable {
        name: Some(name),
        value: Some(value),
        ..Default::default()
    });
    v1::CommandInfo {
        uris: uris.collect(),
        environment: Some(v1::Environment { variables: variables.collect() }),
        shell: Some(spec.cmd.is_some()),
        value,
        arguments,
        user: spec.user.clone(),
    }
}

/// The path of an executor that isn't the command executor.
fn custom_executor(executor: &str) -> Option<&str> {
    (!executor.is_empty() && executor != "//cmd").then_some(executor)
}

/// An executor from a path in the sandbox, which is made executable and given the command.
fn executor(path: &str, launch: &Launch<'_>, command: v1::CommandInfo) -> v1::ExecutorInfo {
    let rest = match &launch.spec.cmd {
        Some(cmd) => cmd.clone(),
        None => launch.spec.args.join(" "),
    };
    let id = v1::ExecutorId { value: Some(format!("marathon-{}", launch.task.id)) };
    v1::ExecutorInfo {
        r#type: Some(v1::executor_info::Type::Custom.into()),
        executor_id: Some(id),
        command: Some(v1::CommandInfo {
            shell: Some(true),
            value: Some(format!("chmod ug+rx '{path}' && exec '{path}' {rest}")),
            arguments: Vec::new(),
            ..command
        }),
        ..Default::default()
    }
}

fn discovery(spec: &AppSpec, task: &Task) -> v1::DiscoveryInfo {
    let mut ports = Vec::new();
    for (definition, port) in spec.ports.iter().zip(&task.ports) {
        for transport in definition.protocol.transports() {
            ports.push(v1::Port {
                number: Some(u32::from(*port)),
                name: definition.name.clone(),
                protocol: Some(transport.into()),
                visibility: None,
                labels: labels(&definition.labels),
            });
        }
    }
    v1::DiscoveryInfo {
        visibility: Some(Visibility::Framework.into()),
        name: Some(spec.id.hostname()),
        ports: (!ports.is_empty()).then_some(v1::Ports { ports }),
        ..Default::default()
    }
}

fn limits(spec: &AppSpec) -> std::collections::BTreeMap<String, v1::value::Scalar> {
    [("cpus", spec.limits.cpus), ("mem", spec.limits.mem)]
        .into_iter()
        .filter_map(|(name, limit)| {
            let value = match limit? {
                Limit::Amount(amount) => amount,
                Limit::Unlimited => f64::INFINITY,
            };
            Some((name.to_owned(), v1::value::Scalar { value: Some(value) }))
        })
        .collect()
}

fn labels(labels: &std::collections::BTreeMap<String, String>) -> Option<v1::Labels> {
    let all = labels
        .iter()
        .map(|(key, value)| v1::Label { key: Some(key.clone()), value: Some(value.clone()) });
    (!labels.is_empty()).then(|| v1::Labels { labels: all.collect() })
}

fn duration(span: Duration) -> Option<v1::DurationInfo> {
    let nanos = i64::try_from(span.as_nanos()).unwrap_or(i64::MAX);
    Some(v1::DurationInfo { nanoseconds: Some(nanos) })
}

#[cfg(test)]
mod tests {
    use meros_proto::resources::Role;
    use meros_proto::time::Timestamp;

    use super::*;
    use crate::apps::Protocol;
    use crate::apps::tests::app;
    use crate::instances::tests::with_task;
    use crate::instances::{Condition, Instance};

    fn info(spec: AppSpec) -> v1::TaskInfo {
        let mut instance = Instance::clone(&with_task(
            "/shop/db",
            Condition::Provisioned,
            "h1",
            Timestamp::default(),
        ));
        let task = instance.task.as_mut().unwrap();
        task.ports = vec![31001; spec.ports.len()];
        task_info(&Launch {
            spec: &spec,
            task,
            resources: &Resources::parse("cpus:1;mem:64", &Role::star()).unwrap(),
            env_prefix: "",
            enforces_role: false,
        })
    }

    #[test]
    fn a_command_is_run_by_a_shell_and_arguments_are_not() {
        let with_cmd = info(app("/shop/db", 1));
        assert_eq!(with_cmd.name.as_deref(), Some("db.shop"));
        assert_eq!(with_cmd.resources.len(), 2);
        let command = with_cmd.command.unwrap();
        assert_eq!((command.shell, command.value.as_deref()), (Some(true), Some("sleep 1000")));
        assert!(command.arguments.is_empty());

        let mut spec = app("/shop/db", 1);
        spec.cmd = None;
        spec.args = vec!["sleep".into(), "9".into()];
        spec.user = Some("web".into());
        let command = info(spec).command.unwrap();
        assert_eq!((command.shell, command.value.as_deref()), (Some(false), Some("sleep")));
        assert_eq!(command.arguments, ["sleep", "9"]);
        assert_eq!(command.user.as_deref(), Some("web"));
    }

    #[test]
    fn discovery_names_a_port_once_for_each_transport() {
        let mut spec = app("/shop/db", 1);
        spec.ports[0].protocol = Protocol::UdpTcp;
        spec.ports[0].labels.insert("a".into(), "b".into());
        let discovery = info(spec).discovery.unwrap();
        assert_eq!(discovery.name.as_deref(), Some("db.shop"));
        let ports = discovery.ports.unwrap().ports;
        let protocols: Vec<_> =
            ports.iter().map(|port| port.protocol.as_deref().unwrap()).collect();
        assert_eq!(protocols, ["udp", "tcp"]);
        assert!(ports.iter().all(|port| port.number == Some(31001) && port.labels.is_some()));
    }

    #[test]
    fn grace_limits_and_labels_are_passed_on() {
        let mut spec = app("/shop/db", 1);
        spec.kill_grace = Some(Duration::from_secs(7));
        spec.limits.cpus = Some(Limit::Amount(2.0));
        spec.limits.mem = Some(Limit::Unlimited);
        spec.labels.insert("tier".into(), "back".into());
        let info = info(spec);
        let grace = info.kill_policy.unwrap().grace_period.unwrap();
        assert_eq!(grace.nanoseconds, Some(7_000_000_000));
        assert_eq!(info.limits["cpus"].value, Some(2.0));
        assert_eq!(info.limits["mem"].value, Some(f64::INFINITY));
        assert_eq!(info.labels.unwrap().labels[0].key.as_deref(), Some("tier"));
    }

    #[test]
    fn a_custom_executor_is_made_executable_and_gets_the_command() {
        let mut spec = app("/shop/db", 1);
        spec.executor = "/bin/exec".into();
        let info = info(spec);
        assert!(info.command.is_none());
        let executor = info.executor.unwrap();
        let task = info.task_id.unwrap().value.unwrap();
        assert_eq!(executor.executor_id.unwrap().value, Some(format!("marathon-{task}")));
        assert_eq!(
            executor.command.unwrap().value.as_deref(),
            Some("chmod ug+rx '/bin/exec' && exec '/bin/exec' sleep 1000")
        );
    }
}
