//! An app as it is shown.
//!
//! Which fields are always there and which are dropped when empty is part of the contract: clients
//! index `labels` and `networks` without looking, and never see the deprecated forms.

use std::collections::{BTreeMap, BTreeSet};

use meros_marathon_core::apps::{
    AppSpec, KillSelection, PortDefinition, UnreachableStrategy, UpgradeStrategy, VersionInfo,
};
use meros_marathon_core::path_id::PathId;
use meros_marathon_core::version::Version;
use serde::{Serialize, Serializer};

use super::check::CheckView;
use super::constraint::ConstraintView;
use super::health_check::HealthCheckView;
use super::number::natural;
use super::readiness_check::ReadinessCheckView;

/// An app's definition.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct AppView<'a> {
    id: &'a PathId,
    #[serde(skip_serializing_if = "Option::is_none")]
    accepted_resource_roles: Option<&'a BTreeSet<String>>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    args: &'a [String],
    #[serde(serialize_with = "natural")]
    backoff_factor: f64,
    backoff_seconds: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    check: Option<CheckView<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cmd: Option<&'a str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    constraints: Vec<ConstraintView<'a>>,
    #[serde(serialize_with = "natural")]
    cpus: f64,
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    dependencies: &'a BTreeSet<PathId>,
    #[serde(serialize_with = "natural")]
    disk: f64,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    env: &'a BTreeMap<String, String>,
    executor: &'a str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    health_checks: Vec<HealthCheckView<'a>>,
    instances: u32,
    kill_selection: KillSelectionView,
    labels: &'a BTreeMap<String, String>,
    max_launch_delay_seconds: u64,
    #[serde(serialize_with = "natural")]
    mem: f64,
    gpus: u32,
    networks: [NetworkView; 1],
    port_definitions: Vec<PortView<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    readiness_checks: Vec<ReadinessCheckView<'a>>,
    require_ports: bool,
    role: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    task_kill_grace_period_seconds: Option<u64>,
    unreachable_strategy: UnreachableView,
    upgrade_strategy: UpgradeView,
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<&'a str>,
    version: Version,
    #[serde(skip_serializing_if = "Option::is_none")]
    version_info: Option<VersionInfoView>,
}

impl<'a> AppView<'a> {
    /// Shows `spec` whole.
    pub(crate) fn new(spec: &'a AppSpec) -> Self {
        Self {
            version_info: Some(VersionInfoView::new(spec.version_info)),
            ..Self::without_version_info(spec)
        }
    }

    /// Shows `spec` as the answer to its creation: without `versionInfo`.
    pub(crate) fn without_version_info(spec: &'a AppSpec) -> Self {
        Self {
            id: &spec.id,
            accepted_resource_roles: spec.accepted_resource_roles.as_ref(),
            args: &spec.args,
            backoff_factor: spec.backoff.factor,
            backoff_seconds: spec.backoff.initial.as_secs(),
            check: spec.check.as_ref().map(CheckView::new),
            cmd: spec.cmd.as_deref(),
            constraints: spec.constraints.iter().map(ConstraintView::new).collect(),
            cpus: spec.cpus,
            dependencies: &spec.dependencies,
            disk: spec.disk,
            env: &spec.env,
            executor: &spec.executor,
            health_checks: spec.health_checks.iter().map(HealthCheckView::new).collect(),
            instances: spec.instances,
            kill_selection: KillSelectionView::new(spec.kill_selection),
            labels: &spec.labels,
            max_launch_delay_seconds: spec.backoff.max.as_secs(),
            mem: spec.mem,
            gpus: spec.gpus,
            networks: [NetworkView { mode: "host" }],
            port_definitions: spec.ports.iter().map(PortView::new).collect(),
            readiness_checks: spec.readiness_checks.iter().map(ReadinessCheckView::new).collect(),
            require_ports: spec.require_ports,
            role: &spec.role,
            task_kill_grace_period_seconds: spec.kill_grace.map(|grace| grace.as_secs()),
            unreachable_strategy: UnreachableView::new(spec.unreachable),
            upgrade_strategy: UpgradeView::new(spec.upgrade),
            user: spec.user.as_deref(),
            version: spec.version,
            version_info: None,
        }
    }
}

#[derive(Serialize)]
struct NetworkView {
    mode: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
enum KillSelectionView {
    YoungestFirst,
    OldestFirst,
}

impl KillSelectionView {
    fn new(selection: KillSelection) -> Self {
        match selection {
            KillSelection::YoungestFirst => Self::YoungestFirst,
            KillSelection::OldestFirst => Self::OldestFirst,
        }
    }
}

#[derive(Serialize)]
struct PortView<'a> {
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    labels: &'a BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    port: u16,
    protocol: &'static str,
}

impl<'a> PortView<'a> {
    fn new(port: &'a PortDefinition) -> Self {
        Self {
            labels: &port.labels,
            name: port.name.as_deref(),
            port: port.port,
            protocol: port.protocol.as_str(),
        }
    }
}

enum UnreachableView {
    Disabled,
    After(UnreachableAfterView),
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct UnreachableAfterView {
    inactive_after_seconds: u64,
    expunge_after_seconds: u64,
}

impl UnreachableView {
    fn new(strategy: UnreachableStrategy) -> Self {
        match strategy {
            UnreachableStrategy::Disabled => Self::Disabled,
            UnreachableStrategy::After { inactive, expunge } => Self::After(UnreachableAfterView {
                inactive_after_seconds: inactive.as_secs(),
                expunge_after_seconds: expunge.as_secs(),
            }),
        }
    }
}

impl Serialize for UnreachableView {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Disabled => serializer.serialize_str("disabled"),
            Self::After(after) => after.serialize(serializer),
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct UpgradeView {
    #[serde(serialize_with = "natural")]
    maximum_over_capacity: f64,
    #[serde(serialize_with = "natural")]
    minimum_health_capacity: f64,
}

impl UpgradeView {
    fn new(strategy: UpgradeStrategy) -> Self {
        Self {
            maximum_over_capacity: strategy.maximum_over_capacity,
            minimum_health_capacity: strategy.minimum_health_capacity,
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct VersionInfoView {
    last_scaling_at: Version,
    last_config_change_at: Version,
}

impl VersionInfoView {
    fn new(info: VersionInfo) -> Self {
        Self { last_scaling_at: info.last_scaling, last_config_change_at: info.last_config_change }
    }
}
