//! The environment of a task.
//!
//! In this order, later ones winning: what the task is, its host and ports, what the user set.

use super::Launch;

/// Names and values from this length on are left out of the label variables.
const LABEL_NAME_MAX: usize = 493;
/// See [`LABEL_NAME_MAX`].
const LABEL_VALUE_MAX: usize = 512;

/// The variables of a task, in order, each once.
pub(super) fn of(launch: &Launch<'_>) -> Vec<(String, String)> {
    let mut variables = Variables::default();
    context(launch, &mut variables);
    host_and_ports(launch, &mut variables);
    for (name, value) in &launch.spec.env {
        variables.set(name.clone(), value.clone());
    }
    variables.0
}

#[derive(Default)]
struct Variables(Vec<(String, String)>);

impl Variables {
    fn set(&mut self, name: impl Into<String>, value: impl Into<String>) {
        let (name, value) = (name.into(), value.into());
        match self.0.iter_mut().find(|(known, _)| *known == name) {
            Some(variable) => variable.1 = value,
            None => self.0.push((name, value)),
        }
    }
}

fn context(launch: &Launch<'_>, variables: &mut Variables) {
    let spec = launch.spec;
    variables.set("MESOS_TASK_ID", launch.task.id.as_str());
    variables.set("MARATHON_APP_ID", spec.id.as_str());
    variables.set("MARATHON_APP_VERSION", spec.version.to_string());
    // Written as Java writes doubles, with at least one digit after the point.
    variables.set("MARATHON_APP_RESOURCE_CPUS", format!("{:?}", spec.cpus));
    variables.set("MARATHON_APP_RESOURCE_MEM", format!("{:?}", spec.mem));
    variables.set("MARATHON_APP_RESOURCE_DISK", format!("{:?}", spec.disk));
    variables.set("MARATHON_APP_RESOURCE_GPUS", spec.gpus.to_string());
    let labels: Vec<(String, &String)> = spec
        .labels
        .iter()
        .filter(|(key, value)| key.len() < LABEL_NAME_MAX && value.len() < LABEL_VALUE_MAX)
        .map(|(key, value)| (escape(key), value))
        .collect();
    let names: Vec<&str> = labels.iter().map(|(name, _)| name.as_str()).collect();
    variables.set("MARATHON_APP_LABELS", names.join(" "));
    for (name, value) in labels {
        variables.set(format!("MARATHON_APP_LABEL_{name}"), value);
    }
    let enforces = if launch.enforces_role { "TRUE" } else { "FALSE" };
    variables.set("MARATHON_APP_ENFORCE_GROUP_ROLE", enforces);
}

fn host_and_ports(launch: &Launch<'_>, variables: &mut Variables) {
    let prefix = launch.env_prefix;
    let ports = &launch.task.ports;
    variables.set(format!("{prefix}HOST"), &launch.task.agent.hostname);
    for (nth, port) in ports.iter().enumerate() {
        variables.set(format!("{prefix}PORT{nth}"), port.to_string());
    }
    for (definition, port) in launch.spec.ports.iter().zip(ports) {
        let requested = if definition.port == 0 { *port } else { definition.port };
        variables.set(format!("{prefix}PORT_{requested}"), port.to_string());
        if let Some(name) = &definition.name {
            variables.set(format!("{prefix}PORT_{}", name.to_uppercase()), port.to_string());
        }
    }
    if let Some(first) = ports.first() {
        let all: Vec<String> = ports.iter().map(u16::to_string).collect();
        variables.set(format!("{prefix}PORT"), first.to_string());
        variables.set(format!("{prefix}PORTS"), all.join(","));
    }
}

/// Upper case, with one underscore for each run of characters that no variable's name may have.
fn escape(key: &str) -> String {
    let mut name = String::with_capacity(key.len());
    let mut replaced = false;
    for c in key.chars() {
        if c.is_ascii_alphanumeric() || c == '_' {
            name.push(c.to_ascii_uppercase());
            replaced = false;
        } else if !replaced {
            name.push('_');
            replaced = true;
        }
    }
    name
}

#[cfg(test)]
mod tests {
    use meros_proto::resources::Resources;
    use meros_proto::time::Timestamp;

    use super::*;
    use crate::apps::tests::app;
    use crate::apps::{AppSpec, PortDefinition, Protocol};
    use crate::instances::tests::with_task;
    use crate::instances::{Condition, Instance};
    use crate::version::Version;

    fn env(spec: &AppSpec, ports: &[u16], env_prefix: &str) -> Vec<(String, String)> {
        let mut instance = Instance::clone(&with_task(
            "/shop/db",
            Condition::Provisioned,
            "h1",
            Timestamp::default(),
        ));
        let task = instance.task.as_mut().unwrap();
        task.ports = ports.to_vec();
        let variables = of(&Launch {
            spec,
            task,
            resources: &Resources::new(),
            env_prefix,
            enforces_role: true,
        });
        assert_eq!(variables[0], ("MESOS_TASK_ID".into(), task.id.to_string()));
        variables[1..].to_vec()
    }

    fn port(port: u16, name: Option<&str>) -> PortDefinition {
        PortDefinition {
            port,
            protocol: Protocol::Tcp,
            name: name.map(str::to_owned),
            labels: Default::default(),
        }
    }

    #[test]
    fn a_task_finds_what_it_is_where_it_is_and_what_the_user_set() {
        let mut spec = app("/shop/db", 1);
        spec.version = Version::from_millis(1_393_715_565_123);
        spec.cpus = 1.0;
        spec.mem = 128.5;
        spec.labels.insert("a.b--c".into(), "x".into());
        spec.labels.insert("tier".into(), "back".into());
        spec.ports = vec![port(10_000, Some("http")), port(0, None)];
        spec.env.insert("GREETING".into(), "hello".into());
        spec.env.insert("PORT1".into(), "mine".into());
        let expected = [
            ("MARATHON_APP_ID", "/shop/db"),
            ("MARATHON_APP_VERSION", "2014-03-01T23:12:45.123Z"),
            ("MARATHON_APP_RESOURCE_CPUS", "1.0"),
            ("MARATHON_APP_RESOURCE_MEM", "128.5"),
            ("MARATHON_APP_RESOURCE_DISK", "0.0"),
            ("MARATHON_APP_RESOURCE_GPUS", "0"),
            ("MARATHON_APP_LABELS", "A_B_C TIER"),
            ("MARATHON_APP_LABEL_A_B_C", "x"),
            ("MARATHON_APP_LABEL_TIER", "back"),
            ("MARATHON_APP_ENFORCE_GROUP_ROLE", "TRUE"),
            ("HOST", "h1"),
            ("PORT0", "31001"),
            ("PORT1", "mine"),
            ("PORT_10000", "31001"),
            ("PORT_HTTP", "31001"),
            ("PORT_31002", "31002"),
            ("PORT", "31001"),
            ("PORTS", "31001,31002"),
            ("GREETING", "hello"),
        ];
        let expected = expected.map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(env(&spec, &[31001, 31002], ""), expected);
    }

    #[test]
    fn the_prefix_goes_before_host_and_ports_only() {
        let mut spec = app("/shop/db", 1);
        spec.ports = vec![port(10_000, None)];
        spec.env.insert("A".into(), "1".into());
        let names: Vec<_> =
            env(&spec, &[31001], "X_").into_iter().map(|(name, _)| name).skip(8).collect();
        assert_eq!(names, ["X_HOST", "X_PORT0", "X_PORT_10000", "X_PORT", "X_PORTS", "A"]);
    }

    #[test]
    fn without_ports_there_are_no_port_variables_and_long_labels_are_left_out() {
        let mut spec = app("/shop/db", 1);
        spec.ports.clear();
        spec.labels.insert("k".repeat(LABEL_NAME_MAX), "v".into());
        spec.labels.insert("k".into(), "v".repeat(LABEL_VALUE_MAX));
        let env = env(&spec, &[], "");
        assert!(env.iter().all(|(name, _)| !name.starts_with("PORT")));
        assert!(env.contains(&("MARATHON_APP_LABELS".into(), String::new())));
    }
}
