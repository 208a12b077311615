//! An app as a client sends it: every field optional, nothing defaulted yet.
//!
//! The same type serves create, replace and partial update; what absence means is the business of
//! [`normalise`](crate::api::normalise). Bounds are those of Marathon's schema: what breaks them is
//! "Invalid JSON", before any rule is looked at.

use std::collections::BTreeMap;

use meros_marathon_core::health::ReadinessCheck;
use serde_json::Value;

use super::check::{CheckBody, check};
use super::health_check::{HealthCheckBody, health_check};
use super::reader::{
    At, Fields, MAX_INT, boolean, integer, list, map, nonempty_text, number, one_of, text,
};
use super::readiness_check::readiness_check;
use super::unbuilt::{self, Unbuilt};
use crate::api::ids;

/// The body of an app, field by field.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct AppBody {
    /// Absolute or relative.
    pub(crate) id: Option<String>,
    /// A shell command.
    pub(crate) cmd: Option<String>,
    /// An argument vector.
    pub(crate) args: Option<Vec<String>>,
    /// Cores.
    pub(crate) cpus: Option<f64>,
    /// MiB.
    pub(crate) mem: Option<f64>,
    /// MiB.
    pub(crate) disk: Option<f64>,
    /// How many tasks are wanted.
    pub(crate) instances: Option<i64>,
    /// The executor's path; empty or `//cmd` is the command executor.
    pub(crate) executor: Option<String>,
    /// Who the task runs as.
    pub(crate) user: Option<String>,
    /// Plain variables; those from secrets are in `unbuilt`.
    pub(crate) env: Option<BTreeMap<String, String>>,
    /// Free text for tools.
    pub(crate) labels: Option<BTreeMap<String, String>>,
    /// Field, operator, value.
    pub(crate) constraints: Option<Vec<Vec<String>>>,
    /// What must run before, absolute or relative.
    pub(crate) dependencies: Option<Vec<String>>,
    /// Seconds.
    pub(crate) backoff_seconds: Option<i64>,
    /// At least 1.
    pub(crate) backoff_factor: Option<f64>,
    /// Seconds.
    pub(crate) max_launch_delay_seconds: Option<i64>,
    /// How much may be missing or too many while upgrading.
    pub(crate) upgrade_strategy: Option<UpgradeStrategyBody>,
    /// Ports of the agent's own network.
    pub(crate) port_definitions: Option<Vec<PortBody>>,
    /// The older form of `port_definitions`.
    pub(crate) ports: Option<Vec<i64>>,
    /// Whether the ports asked for are the agent's too.
    pub(crate) require_ports: Option<bool>,
    /// Networks; only the agent's own is built, see [`unbuilt`].
    pub(crate) networks: Option<Vec<NetworkBody>>,
    /// Whose resources are taken.
    pub(crate) accepted_resource_roles: Option<Vec<String>>,
    /// The role that launches.
    pub(crate) role: Option<String>,
    /// Seconds between asking a task to end and killing it.
    pub(crate) task_kill_grace_period_seconds: Option<i64>,
    /// What happens while an agent can't be reached.
    pub(crate) unreachable_strategy: Option<UnreachableBody>,
    /// Which instances are killed first.
    pub(crate) kill_selection: Option<KillSelectionBody>,
    /// How it is told that a task works.
    pub(crate) health_checks: Option<Vec<HealthCheckBody>>,
    /// What is asked of a task only to be shown.
    pub(crate) check: Option<CheckBody>,
    /// How it is told that a new task is ready to serve.
    pub(crate) readiness_checks: Option<Vec<ReadinessCheck>>,
    /// A stored version to go back to.
    pub(crate) version: Option<String>,
    /// Whether any other field than `id` and `version` was sent.
    pub(crate) has_more_than_version: bool,
    /// What was asked for that this version can't do.
    pub(crate) unbuilt: Vec<Unbuilt>,
}

/// `upgradeStrategy`: shares of the wanted instances, 0 to 1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct UpgradeStrategyBody {
    /// What must stay healthy.
    pub(crate) minimum_health_capacity: f64,
    /// What may run beyond.
    pub(crate) maximum_over_capacity: f64,
}

/// One of `portDefinitions`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct PortBody {
    /// 0: any.
    pub(crate) port: i64,
    /// Given as `tcp`, `udp` or `udp,tcp`.
    pub(crate) protocol: Option<ProtocolBody>,
    /// Its name for discovery.
    pub(crate) name: Option<String>,
    /// Free text for tools.
    pub(crate) labels: BTreeMap<String, String>,
}

/// `protocol` of a port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ProtocolBody {
    /// `tcp`
    Tcp,
    /// `udp`
    Udp,
    /// `udp,tcp`
    UdpTcp,
}

/// One of `networks`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NetworkBody {
    /// How the task is attached.
    pub(crate) mode: NetworkModeBody,
    /// Which network, for `container`.
    pub(crate) name: Option<String>,
    /// Free text for the network.
    pub(crate) labels: BTreeMap<String, String>,
}

/// `mode` of a network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NetworkModeBody {
    /// The agent's own network.
    Host,
    /// A network by name.
    Container,
    /// The bridge of the agent.
    ContainerBridge,
}

/// `unreachableStrategy`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum UnreachableBody {
    /// `"disabled"`: wait for ever.
    Disabled,
    /// Seconds until a replacement is started, and until the lost one is given up.
    After {
        /// Until a replacement is started.
        inactive_after_seconds: i64,
        /// Until the lost one is given up.
        expunge_after_seconds: i64,
    },
}

/// `killSelection`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum KillSelectionBody {
    /// `YOUNGEST_FIRST`
    YoungestFirst,
    /// `OLDEST_FIRST`
    OldestFirst,
}

/// Reads an app that must name itself.
pub(crate) fn named_app(at: At<'_>) -> Option<AppBody> {
    if let Value::Object(_) = at.value() {
        at.fields()?.required("id", |_| Some(()));
    }
    app(at)
}

/// Reads an app that the path may name instead.
pub(crate) fn app(at: At<'_>) -> Option<AppBody> {
    let fields = at.fields()?;
    let (env, secret_env) = env(&fields);
    let mut unbuilt = unbuilt::asked_for(&fields);
    unbuilt.extend(secret_env);
    Some(AppBody {
        id: fields.optional("id", ids::in_json),
        cmd: fields.optional("cmd", nonempty_text),
        args: fields.optional("args", list(text)),
        cpus: fields.optional("cpus", number(0.001, f64::MAX)),
        mem: fields.optional("mem", number(0.0, f64::MAX)),
        disk: fields.optional("disk", number(0.0, f64::MAX)),
        instances: fields.optional("instances", integer(0, MAX_INT)),
        executor: fields.optional("executor", executor),
        user: fields.optional("user", text),
        env,
        labels: fields.optional("labels", map(text)),
        constraints: fields.optional("constraints", list(constraint)),
        dependencies: fields.optional("dependencies", list(ids::in_json)),
        backoff_seconds: fields.optional("backoffSeconds", integer(0, MAX_INT)),
        backoff_factor: fields.optional("backoffFactor", number(1.0, f64::MAX)),
        max_launch_delay_seconds: fields.optional("maxLaunchDelaySeconds", integer(0, MAX_INT)),
        upgrade_strategy: fields.optional("upgradeStrategy", upgrade_strategy),
        port_definitions: fields.optional("portDefinitions", list(port_definition)),
        ports: fields.optional("ports", list(integer(0, 65_535))),
        require_ports: fields.optional("requirePorts", boolean),
        networks: fields.optional("networks", list(network)),
        accepted_resource_roles: fields.optional("acceptedResourceRoles", list(text)),
        role: fields.optional("role", nonempty_text),
        task_kill_grace_period_seconds: fields
            .optional("taskKillGracePeriodSeconds", integer(0, MAX_INT)),
        unreachable_strategy: fields.optional("unreachableStrategy", unreachable_strategy),
        kill_selection: fields.optional(
            "killSelection",
            one_of(&[
                ("YOUNGEST_FIRST", KillSelectionBody::YoungestFirst),
                ("OLDEST_FIRST", KillSelectionBody::OldestFirst),
            ]),
        ),
        health_checks: fields.optional("healthChecks", list(health_check)),
        check: fields.optional("check", check),
        readiness_checks: fields.optional("readinessChecks", list(readiness_check)),
        version: fields.optional("version", text),
        has_more_than_version: fields
            .entries()
            .any(|(name, _)| name != "id" && name != "version" && KNOWN.contains(&name)),
        unbuilt,
    })
}

/// Every field that may be sent: what isn't here is ignored as if it weren't there.
const KNOWN: &[&str] = &[
    "acceptedResourceRoles",
    "args",
    "backoffFactor",
    "backoffSeconds",
    "check",
    "cmd",
    "constraints",
    "container",
    "cpus",
    "dependencies",
    "disk",
    "env",
    "executor",
    "executorResources",
    "fetch",
    "gpus",
    "healthChecks",
    "instances",
    "ipAddress",
    "killSelection",
    "labels",
    "maxLaunchDelaySeconds",
    "mem",
    "networks",
    "portDefinitions",
    "ports",
    "readinessChecks",
    "requirePorts",
    "residency",
    "resourceLimits",
    "role",
    "secrets",
    "taskKillGracePeriodSeconds",
    "tty",
    "unreachableStrategy",
    "upgradeStrategy",
    "uris",
    "user",
];

/// Plain variables apart, and those that name a secret.
fn env(fields: &Fields<'_>) -> (Option<BTreeMap<String, String>>, Vec<Unbuilt>) {
    let mut plain = BTreeMap::new();
    let mut secret = Vec::new();
    let Some(variables) = fields.optional("env", |at| at.fields()) else {
        return (None, secret);
    };
    for (name, at) in variables.entries() {
        if at.value().is_object() {
            let reference = at.fields();
            let named = reference.and_then(|reference| reference.required("secret", text));
            secret.extend(named.map(|_| Unbuilt::new(format!("/env/{name}"))));
        } else if let Some(value) = text(at) {
            plain.insert(name.to_owned(), value);
        }
    }
    (Some(plain), secret)
}

/// `//cmd`, a path, or nothing.
fn executor(at: At<'_>) -> Option<String> {
    let executor = text(at.clone())?;
    let path = executor.strip_prefix('/').unwrap_or(&executor);
    let fits = executor.is_empty()
        || executor.starts_with("//cmd")
        || path.split('/').all(|segment| !segment.is_empty());
    if fits { Some(executor) } else { at.fault("error.pattern") }
}

fn constraint(at: At<'_>) -> Option<Vec<String>> {
    let parts = list(text)(at.clone())?;
    match parts.len() {
        0 | 1 => at.fault("error.minLength"),
        2 | 3 => Some(parts),
        _ => at.fault("error.maxLength"),
    }
}

fn upgrade_strategy(at: At<'_>) -> Option<UpgradeStrategyBody> {
    let fields = at.fields()?;
    let minimum = fields.required("minimumHealthCapacity", number(0.0, 1.0));
    let maximum = fields.required("maximumOverCapacity", number(0.0, 1.0));
    Some(UpgradeStrategyBody { minimum_health_capacity: minimum?, maximum_over_capacity: maximum? })
}

fn port_definition(at: At<'_>) -> Option<PortBody> {
    let fields = at.fields()?;
    Some(PortBody {
        port: fields.optional("port", integer(0, 65_535)).unwrap_or(0),
        protocol: fields.optional("protocol", one_of(PROTOCOLS)),
        name: fields.optional("name", port_name),
        labels: fields.optional("labels", map(text)).unwrap_or_default(),
    })
}

const PROTOCOLS: &[(&str, ProtocolBody)] = &[
    ("tcp", ProtocolBody::Tcp),
    ("udp", ProtocolBody::Udp),
    ("udp,tcp", ProtocolBody::UdpTcp),
    ("tcp,udp", ProtocolBody::UdpTcp),
];

/// A name as RFC 6335 has it for services: letters, digits and inner dashes.
fn port_name(at: At<'_>) -> Option<String> {
    let name = text(at.clone())?;
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    let fits = !name.is_empty()
        && name.bytes().all(plain)
        && !name.starts_with('-')
        && !name.ends_with('-');
    if fits { Some(name) } else { at.fault("error.pattern") }
}

fn network(at: At<'_>) -> Option<NetworkBody> {
    let fields = at.fields()?;
    let mode = one_of(&[
        ("host", NetworkModeBody::Host),
        ("container", NetworkModeBody::Container),
        ("container/bridge", NetworkModeBody::ContainerBridge),
    ]);
    Some(NetworkBody {
        mode: fields.optional("mode", mode).unwrap_or(NetworkModeBody::Container),
        name: fields.optional("name", text),
        labels: fields.optional("labels", map(text)).unwrap_or_default(),
    })
}

fn unreachable_strategy(at: At<'_>) -> Option<UnreachableBody> {
    if at.value().is_string() {
        return one_of(&[("disabled", UnreachableBody::Disabled)])(at);
    }
    let fields = at.fields()?;
    let seconds = |name| fields.optional(name, integer(0, MAX_INT)).unwrap_or(0);
    Some(UnreachableBody::After {
        inactive_after_seconds: seconds("inactiveAfterSeconds"),
        expunge_after_seconds: seconds("expungeAfterSeconds"),
    })
}
