//! The rules that an app must keep, whoever made it: Marathon's catalogue, for all that is built.
//!
//! Messages and paths are part of the contract. What the whole tree must keep (no cycles, no app
//! inside an app) is checked by the core, where the whole tree is.

use std::collections::BTreeSet;

use meros_marathon_core::apps::{AppSpec, UnreachableStrategy};
use meros_marathon_core::health::{CheckKind, CheckPort, HealthCheckKind};

use super::model::app::NetworkBody;
use super::model::reader::Faults;

/// The label that keeps an app to one instance, also while it is upgraded.
const SINGLE_INSTANCE: &str = "MARATHON_SINGLE_INSTANCE_APP";
/// See [`migration_labels`].
const MIGRATION_VERSION: &str = "DCOS_MIGRATION_API_VERSION";
const MIGRATION_PATH: &str = "DCOS_MIGRATION_API_PATH";
const PACKAGE_NAME: &str = "DCOS_PACKAGE_FRAMEWORK_NAME";

/// Which roles an app may have.
pub(crate) struct Roles<'a> {
    /// The framework's own.
    pub(crate) framework: &'a str,
    /// The one that the app had before.
    pub(crate) existing: Option<&'a str>,
}

/// Notes every rule that `app` breaks.
pub(crate) fn app(app: &AppSpec, roles: &Roles<'_>, faults: &mut Faults) {
    command(app, faults);
    ports(app, faults);
    environment(app, faults);
    accepted_roles(app, faults);
    role(app, roles, faults);
    single_instance(app, faults);
    migration_labels(app, faults);
    unreachable(app, faults);
    health_checks(app, faults);
    check(app, faults);
    readiness_checks(app, faults);
    if app.executor.starts_with("//cmd") || app.executor.is_empty() {
        return;
    }
    faults.add("/executor", "only the command executor is supported by this version");
}

/// Notes what is wrong with networks that are all `host`.
pub(crate) fn host_networks(networks: &[NetworkBody], faults: &mut Faults) {
    if networks.len() > 1 {
        faults.add("/networks", "Host networking may only be specified once");
    }
    for (index, network) in networks.iter().enumerate() {
        if network.name.is_some() {
            faults.add(&format!("/networks({index})/name"), "must be empty for host networking");
        }
        if !network.labels.is_empty() {
            faults.add(&format!("/networks({index})/labels"), "must be empty for host networking");
        }
    }
}

fn command(app: &AppSpec, faults: &mut Faults) {
    if app.cmd.is_some() != app.args.is_empty() {
        faults.add(
            "/",
            "AppDefinition must either contain one of 'cmd' or 'args', and/or a 'container'.",
        );
    }
    if app.cmd.as_ref().is_some_and(|cmd| cmd.chars().count() <= 1) {
        faults.add("/cmd", "must not be an empty string");
    }
}

fn ports(app: &AppSpec, faults: &mut Faults) {
    let mut names = BTreeSet::new();
    let mut numbers = BTreeSet::new();
    for port in &app.ports {
        if port.name.as_ref().is_some_and(|name| !names.insert(name)) {
            faults.add("/portDefinitions", "Port names must be unique.");
        }
        if port.port != 0 && !numbers.insert(port.port) {
            faults.add("/portDefinitions", "Ports must be unique.");
        }
    }
}

fn environment(app: &AppSpec, faults: &mut Faults) {
    if app.env.contains_key("") {
        faults.add("/env", "must not be an empty string");
    }
}

fn accepted_roles(app: &AppSpec, faults: &mut Faults) {
    let Some(accepted) = &app.accepted_resource_roles else { return };
    if accepted.is_empty() {
        faults.add("/acceptedResourceRoles", "must not be empty");
    }
    if accepted.iter().any(|role| role != "*" && *role != app.role) {
        faults.add(
            "/acceptedResourceRoles",
            format!("acceptedResourceRoles can only contain * and {}", app.role),
        );
    }
}

fn role(app: &AppSpec, roles: &Roles<'_>, faults: &mut Faults) {
    if let Some(why) = malformed_role(&app.role) {
        faults.add("/role", why);
    }
    let mut allowed: BTreeSet<&str> = [roles.framework].into();
    if app.id.segments().count() > 1 {
        allowed.extend(app.id.segments().next());
    }
    allowed.extend(roles.existing);
    if !allowed.contains(app.role.as_str()) {
        let allowed: Vec<_> = allowed.into_iter().collect();
        faults.add("/role", format!("got {}, expected one of: {}", app.role, allowed.join(", ")));
    }
}

/// Mesos's rules on the names of roles.
fn malformed_role(role: &str) -> Option<&'static str> {
    match role {
        "" => Some("must not be empty"),
        "." | ".." => Some("must not be '.' or '..'"),
        _ if role.starts_with('-') => Some("must not start with '-'"),
        _ if role.chars().any(|c| c.is_whitespace() || c.is_control() || c == '/') => {
            Some("must not contain whitespace, control characters or '/'")
        }
        _ => None,
    }
}

fn single_instance(app: &AppSpec, faults: &mut Faults) {
    if app.labels.get(SINGLE_INSTANCE).map(String::as_str) != Some("true") {
        return;
    }
    if app.instances > 1 {
        faults.add("/instances", format!("got {}, expected 1 or less", app.instances));
    }
    for (field, share) in [
        ("minimumHealthCapacity", app.upgrade.minimum_health_capacity),
        ("maximumOverCapacity", app.upgrade.maximum_over_capacity),
    ] {
        if share != 0.0 {
            faults
                .add(&format!("/upgradeStrategy/{field}"), format!("got {share:?}, expected 0.0"));
        }
    }
}

fn migration_labels(app: &AppSpec, faults: &mut Faults) {
    let Some(version) = app.labels.get(MIGRATION_VERSION) else { return };
    if version != "v1" {
        faults.add("/labels", format!("{MIGRATION_VERSION} must be set to v1"));
    }
    for wanted in [PACKAGE_NAME, MIGRATION_PATH] {
        if app.labels.get(wanted).is_none_or(String::is_empty) {
            faults
                .add("/labels", format!("{wanted} must be set together with {MIGRATION_VERSION}"));
        }
    }
}

fn unreachable(app: &AppSpec, faults: &mut Faults) {
    if let UnreachableStrategy::After { inactive, expunge } = app.unreachable
        && inactive > expunge
    {
        faults.add(
            "/unreachableStrategy",
            "inactiveAfterSeconds must be less than or equal to expungeAfterSeconds",
        );
    }
}

fn health_checks(app: &AppSpec, faults: &mut Faults) {
    for (index, check) in app.health_checks.iter().enumerate() {
        if !has_port(app, port_of(&check.kind)) {
            faults.add(
                &format!("/healthChecks({index})"),
                "Health check port indices must address an element of the ports array or container \
                 port mappings.",
            );
        }
    }
    let asks = |kind: &HealthCheckKind| {
        !kind.is_run_here() && !matches!(kind, HealthCheckKind::Command { .. })
    };
    if app.health_checks.iter().filter(|check| asks(&check.kind)).count() > 1 {
        faults.add("/", "AppDefinition can contain at most one Mesos health check");
    }
}

/// Whether `port` is of its own, or one of the app's.
fn has_port(app: &AppSpec, port: Option<CheckPort>) -> bool {
    match port {
        Some(CheckPort::Index(index)) => {
            usize::try_from(index).is_ok_and(|index| index < app.ports.len())
        }
        Some(CheckPort::Number(_)) | None => true,
    }
}

fn port_of(kind: &HealthCheckKind) -> Option<CheckPort> {
    match kind {
        HealthCheckKind::Http { port, .. }
        | HealthCheckKind::Tcp { port }
        | HealthCheckKind::AgentHttp { port, .. }
        | HealthCheckKind::AgentHttps { port, .. }
        | HealthCheckKind::AgentTcp { port } => Some(*port),
        HealthCheckKind::Command { .. } => None,
    }
}

fn check(app: &AppSpec, faults: &mut Faults) {
    let port = app.check.as_ref().and_then(|check| match &check.kind {
        CheckKind::Http { port, .. } | CheckKind::Tcp { port } => Some(*port),
        CheckKind::Command(_) => None,
    });
    if !has_port(app, port) {
        faults.add(
            "/check",
            "Check port indices must address an element of the ports array or container port \
             mappings.",
        );
    }
}

fn readiness_checks(app: &AppSpec, faults: &mut Faults) {
    let count = app.readiness_checks.len();
    if count > 1 {
        faults.add("/readinessChecks", format!("got {count}, expected 1 or less"));
    }
    for (index, check) in app.readiness_checks.iter().enumerate() {
        let path = format!("/readinessChecks({index})");
        if !app.ports.iter().any(|port| port.name.as_ref() == Some(&check.port_name)) {
            faults.add(
                &format!("{path}/portName"),
                format!("No port definition reference for portName {}", check.port_name),
            );
        }
        let (timeout, interval) = (check.timeout.as_secs(), check.interval.as_secs());
        if timeout >= interval {
            faults.add(
                &format!("{path}/timeoutSeconds"),
                format!("got {timeout}, expected less than {interval}"),
            );
        }
    }
}
