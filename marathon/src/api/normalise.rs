//! From what a client sent to the app that the core decides on.
//!
//! In Marathon's order: deprecated forms are translated first and their misuse is reported alone;
//! then defaults or the old definition fill what is absent, and the rules of [`validate`] are held
//! against the result. Service ports are not chosen here but in the core, which sees all apps at
//! once.

use std::collections::{BTreeMap, BTreeSet};

use meros_marathon_core::apps::{
    AppSpec, Backoff, KillSelection, PortDefinition, Protocol, ResourceLimits, UnreachableStrategy,
    UpgradeStrategy, VersionInfo,
};
use meros_marathon_core::path_id::PathId;
use meros_marathon_core::version::Version;

use super::errors::ApiError;
use super::model::app::{
    AppBody, KillSelectionBody, NetworkModeBody, PortBody, ProtocolBody, UnreachableBody,
};
use super::model::reader::{Faults, count, seconds};
use super::model::{check, constraint, health_check};
use super::{ids, validate};

/// The app `id` as `body` defines it: what is absent takes its default. `role` is the framework's,
/// `existing` the app of that name that is replaced.
///
/// # Errors
/// 422 with every rule that it breaks.
pub(crate) fn complete(
    id: &str,
    body: AppBody,
    role: &str,
    existing: Option<&AppSpec>,
) -> Result<AppSpec, ApiError> {
    let body = without_deprecated(body)?;
    let mut faults = Faults::default();
    ids::check(id, "/id", &mut faults);
    let path = PathId::parse(id).unwrap_or_else(|_| PathId::root());
    let existing = existing.map(|app| app.role.as_str());
    let roles = validate::Roles { framework: role, existing };
    finish(overlay(defaults(path, role), body, &mut faults), &roles, faults)
}

/// `old` with the fields of `body`: a field that is there replaces the whole old value.
///
/// # Errors
/// As [`complete`].
pub(crate) fn changed(old: &AppSpec, body: AppBody, role: &str) -> Result<AppSpec, ApiError> {
    let body = without_deprecated(body)?;
    let mut faults = Faults::default();
    // The last Marathon clears these two when a partial update doesn't name them.
    let base = AppSpec { limits: ResourceLimits::default(), ..old.clone() };
    let roles = validate::Roles { framework: role, existing: Some(&old.role) };
    finish(overlay(base, body, &mut faults), &roles, faults)
}

fn finish(
    spec: AppSpec,
    roles: &validate::Roles<'_>,
    mut faults: Faults,
) -> Result<AppSpec, ApiError> {
    validate::app(&spec, roles, &mut faults);
    if faults.is_empty() { Ok(spec) } else { Err(ApiError::NotValid(faults)) }
}

/// Translates the deprecated forms.
fn without_deprecated(mut body: AppBody) -> Result<AppBody, ApiError> {
    let mut faults = Faults::default();
    if let Some(ports) = body.ports.take() {
        // Older releases showed both, and clients send back what they read.
        let same = |definitions: &Vec<PortBody>| {
            definitions.iter().map(|definition| definition.port).eq(ports.iter().copied())
        };
        if body.port_definitions.as_ref().is_some_and(|definitions| !same(definitions)) {
            faults.add("/", "cannot specify both ports and port definitions");
        }
        let chosen: Vec<_> = ports.iter().filter(|port| **port != 0).collect();
        if chosen.iter().collect::<BTreeSet<_>>().len() < chosen.len() {
            faults.add("/ports", "ports must be unique");
        }
        let definition = |port| PortBody { port, ..PortBody::default() };
        body.port_definitions.get_or_insert_with(|| ports.into_iter().map(definition).collect());
    }
    if faults.is_empty() { Ok(body) } else { Err(ApiError::NotValid(faults)) }
}

/// An app of which only the id is known.
fn defaults(id: PathId, role: &str) -> AppSpec {
    AppSpec {
        id,
        cmd: None,
        args: Vec::new(),
        cpus: 1.0,
        mem: 128.0,
        disk: 0.0,
        gpus: 0,
        instances: 1,
        executor: String::new(),
        user: None,
        env: BTreeMap::new(),
        labels: BTreeMap::new(),
        constraints: Vec::new(),
        dependencies: BTreeSet::new(),
        fetch: Vec::new(),
        backoff: Backoff::default(),
        upgrade: UpgradeStrategy::default(),
        ports: vec![PortDefinition {
            port: 0,
            protocol: Protocol::Tcp,
            name: Some("default".to_owned()),
            labels: BTreeMap::new(),
        }],
        require_ports: false,
        kill_selection: KillSelection::default(),
        unreachable: UnreachableStrategy::default(),
        accepted_resource_roles: None,
        role: role.to_owned(),
        kill_grace: None,
        tty: None,
        limits: ResourceLimits::default(),
        health_checks: Vec::new(),
        readiness_checks: Vec::new(),
        check: None,
        version: Version::default(),
        version_info: VersionInfo::default(),
    }
}

/// Puts the fields of `body` over those of `base`.
fn overlay(base: AppSpec, body: AppBody, faults: &mut Faults) -> AppSpec {
    for unbuilt in &body.unbuilt {
        unbuilt.note(faults);
    }
    if let Some(networks) = &body.networks {
        let foreign = networks.iter().any(|network| network.mode != NetworkModeBody::Host);
        if foreign {
            faults.add("/networks", "only host networking is supported by this version");
        } else {
            validate::host_networks(networks, faults);
        }
    }
    let constraints = body.constraints.map(|given| constraint::parse_all(&given, faults));
    let health_checks = body.health_checks.map(|given| health_check::complete_all(given, faults));
    let check = body.check.map(|given| check::complete(given, faults));
    let group = ids::parent(base.id.as_str()).to_owned();
    let dependencies = body.dependencies.map(|given| dependencies(&given, &group, faults));
    AppSpec {
        cmd: body.cmd.or(base.cmd),
        args: body.args.unwrap_or(base.args),
        cpus: body.cpus.unwrap_or(base.cpus),
        mem: body.mem.unwrap_or(base.mem),
        disk: body.disk.unwrap_or(base.disk),
        instances: body.instances.map_or(base.instances, count),
        executor: body.executor.unwrap_or(base.executor),
        user: body.user.or(base.user),
        env: body.env.unwrap_or(base.env),
        labels: body.labels.unwrap_or(base.labels),
        constraints: constraints.unwrap_or(base.constraints),
        dependencies: dependencies.unwrap_or(base.dependencies),
        backoff: Backoff {
            initial: body.backoff_seconds.map_or(base.backoff.initial, seconds),
            factor: body.backoff_factor.unwrap_or(base.backoff.factor),
            max: body.max_launch_delay_seconds.map_or(base.backoff.max, seconds),
        },
        upgrade: body.upgrade_strategy.map_or(base.upgrade, |given| UpgradeStrategy {
            minimum_health_capacity: given.minimum_health_capacity,
            maximum_over_capacity: given.maximum_over_capacity,
        }),
        ports: body
            .port_definitions
            .map_or(base.ports, |given| given.into_iter().map(port_definition).collect()),
        require_ports: body.require_ports.unwrap_or(base.require_ports),
        kill_selection: body.kill_selection.map_or(base.kill_selection, |given| match given {
            KillSelectionBody::YoungestFirst => KillSelection::YoungestFirst,
            KillSelectionBody::OldestFirst => KillSelection::OldestFirst,
        }),
        unreachable: body.unreachable_strategy.map_or(base.unreachable, |given| match given {
            UnreachableBody::Disabled => UnreachableStrategy::Disabled,
            UnreachableBody::After { inactive_after_seconds, expunge_after_seconds } => {
                UnreachableStrategy::After {
                    inactive: seconds(inactive_after_seconds),
                    expunge: seconds(expunge_after_seconds),
                }
            }
        }),
        accepted_resource_roles: body
            .accepted_resource_roles
            .map(|given| given.into_iter().collect())
            .or(base.accepted_resource_roles),
        role: body.role.unwrap_or(base.role),
        check: check.unwrap_or(base.check),
        health_checks: health_checks.unwrap_or(base.health_checks),
        readiness_checks: body.readiness_checks.unwrap_or(base.readiness_checks),
        kill_grace: body.task_kill_grace_period_seconds.map(seconds).or(base.kill_grace),
        ..base
    }
}

fn port_definition(given: PortBody) -> PortDefinition {
    PortDefinition {
        port: u16::try_from(given.port).unwrap_or(u16::MAX),
        protocol: match given.protocol {
            None | Some(ProtocolBody::Tcp) => Protocol::Tcp,
            Some(ProtocolBody::Udp) => Protocol::Udp,
            Some(ProtocolBody::UdpTcp) => Protocol::UdpTcp,
        },
        name: given.name,
        labels: given.labels,
    }
}

fn dependencies(given: &[String], group: &str, faults: &mut Faults) -> BTreeSet<PathId> {
    let mut parsed = BTreeSet::new();
    for (index, id) in given.iter().enumerate() {
        let absolute = ids::absolute(id, group);
        match PathId::parse(&absolute) {
            Ok(path) => drop(parsed.insert(path)),
            Err(_) => ids::check(&absolute, &format!("/dependencies({index})"), faults),
        }
    }
    parsed
}
