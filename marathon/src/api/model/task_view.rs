//! A task as it is shown.

use meros_marathon_core::health::HealthRecord;
use meros_marathon_core::instances::{Condition, Instance, IpAddress, Task};
use meros_marathon_core::path_id::PathId;
use meros_marathon_core::version::Version;
use meros_proto::time::Timestamp;
use serde::{Serialize, Serializer};

use super::check::CheckResultView;
use super::health_check::HealthResultView;

/// A task. Lists are always there: clients index them without looking.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct TaskView<'a> {
    id: &'a str,
    app_id: &'a PathId,
    host: &'a str,
    slave_id: &'a str,
    state: &'static str,
    version: Version,
    #[serde(serialize_with = "stamp")]
    staged_at: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "optional_stamp")]
    started_at: Option<Timestamp>,
    ports: &'a [u16],
    #[serde(skip_serializing_if = "Option::is_none")]
    service_ports: Option<Vec<u16>>,
    ip_addresses: Vec<IpAddressView<'a>>,
    health_check_results: Vec<HealthResultView<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    check_result: Option<CheckResultView>,
    local_volumes: [(); 0],
    #[serde(skip_serializing_if = "Option::is_none")]
    region: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    zone: Option<&'a str>,
    role: &'a str,
}

impl<'a> TaskView<'a> {
    /// The task of `instance`; an instance that waits for an offer has none.
    pub(crate) fn new(instance: &'a Instance) -> Option<Self> {
        instance.task.as_ref().map(|task| Self::of(instance, task))
    }

    /// The same with the service ports of its app, as `/v2/tasks` has it.
    pub(crate) fn with_service_ports(instance: &'a Instance) -> Option<Self> {
        let service_ports = instance.spec.ports.iter().map(|port| port.port).collect();
        Some(Self { service_ports: Some(service_ports), ..Self::new(instance)? })
    }

    fn of(instance: &'a Instance, task: &'a Task) -> Self {
        Self {
            id: task.id.as_str(),
            app_id: &instance.spec.id,
            host: &task.agent.hostname,
            slave_id: task.agent.id.as_str(),
            state: task.condition.task_state().as_str_name(),
            version: instance.spec.version,
            staged_at: task.staged_at,
            started_at: task.started_at,
            ports: &task.ports,
            service_ports: None,
            ip_addresses: task.addresses.iter().map(IpAddressView::new).collect(),
            health_check_results: task
                .health
                .iter()
                .filter_map(|record| HealthResultView::new(record, instance.id.as_str()))
                .collect(),
            check_result: task.check.map(CheckResultView::new),
            local_volumes: [],
            region: task.agent.region.as_deref(),
            zone: task.agent.zone.as_deref(),
            role: &instance.spec.role,
        }
    }
}

/// An address of a task.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct IpAddressView<'a> {
    ip_address: &'a str,
    protocol: &'static str,
}

impl<'a> IpAddressView<'a> {
    /// Shows one address.
    pub(crate) fn new(ip: &'a IpAddress) -> Self {
        Self { ip_address: &ip.address, protocol: if ip.v6 { "IPv6" } else { "IPv4" } }
    }
}

/// How many instances are in which state.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    /// Launched, not yet started.
    pub(crate) staged: usize,
    /// Running.
    pub(crate) running: usize,
    /// With health checks that all pass.
    pub(crate) healthy: usize,
    /// With health checks of which one fails.
    pub(crate) unhealthy: usize,
}

impl Counts {
    /// Counts `instances`. Those that only wait for an offer don't count.
    pub(crate) fn of<'a>(instances: impl Iterator<Item = &'a Instance>) -> Self {
        let mut counts = Self::default();
        for instance in instances {
            match instance.condition() {
                Condition::Provisioned | Condition::Staging => counts.staged += 1,
                Condition::Running => counts.running += 1,
                _ => {}
            }
            match alive(instance) {
                Some(true) => counts.healthy += 1,
                Some(false) => counts.unhealthy += 1,
                None => {}
            }
        }
        counts
    }
}

/// Whether all checks pass of which anything is known. `None`: nothing is known.
fn alive(instance: &Instance) -> Option<bool> {
    let records = instance.task.iter().flat_map(|task| &task.health);
    let mut known = records.filter(|record| record.is_known()).peekable();
    known.peek()?;
    Some(known.all(HealthRecord::is_alive))
}

/// Writes a moment as clients parse it.
pub(crate) fn stamp<S: Serializer>(at: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(at)
}

/// The same for a moment that may not have come.
pub(crate) fn optional_stamp<S: Serializer>(
    at: &Option<Timestamp>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    match at {
        Some(at) => serializer.collect_str(at),
        None => serializer.serialize_none(),
    }
}
