//! An app: what a user wants to run, parsed, normalised and valid.
//!
//! [`AppSpec`] is what the core decides on and what the store keeps, under the format number of
//! its row. It is not the JSON of the API: that is a model of its own, which the shell turns into
//! this after it normalised and validated it. A field added here needs `#[serde(default)]`, so that
//! rows written before are still read.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use meros_proto::resources::{Name, Scalar};
use serde::{Deserialize, Serialize};

use crate::health::{HealthCheck, ReadinessCheck, StatusCheck};
use crate::path_id::PathId;
use crate::placement::Constraint;
use crate::version::Version;

/// The definition of an app.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AppSpec {
    /// Its name, absolute.
    pub id: PathId,
    /// A shell command. Excludes `args`.
    pub cmd: Option<String>,
    /// An argument vector, the program first. Excludes `cmd`.
    #[serde(default)]
    pub args: Vec<String>,
    /// CPUs of one instance.
    pub cpus: f64,
    /// Memory of one instance, in MiB.
    pub mem: f64,
    /// Disk of one instance, in MiB.
    pub disk: f64,
    /// GPUs of one instance.
    pub gpus: u32,
    /// How many instances are wanted.
    pub instances: u32,
    /// The executor: empty or `//cmd` for the command executor, else a path.
    #[serde(default)]
    pub executor: String,
    /// The user that tasks run as. `None`: the framework's.
    #[serde(default)]
    pub user: Option<String>,
    /// Environment of the tasks, on top of what Marathon sets.
    #[serde(default)]
    pub env: BTreeMap<String, String>,
    /// Labels, copied to the tasks.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    /// Where instances may run. All must hold.
    #[serde(default)]
    pub constraints: Vec<Constraint>,
    /// Apps and groups that must be there first.
    #[serde(default)]
    pub dependencies: BTreeSet<PathId>,
    /// What is fetched into the sandbox before the start.
    #[serde(default)]
    pub fetch: Vec<Fetch>,
    /// Pauses between failed launches.
    pub backoff: Backoff,
    /// Room for manoeuvre while instances are replaced.
    pub upgrade: UpgradeStrategy,
    /// The ports of a host-network app, in the order of `PORT0`, `PORT1` ...
    #[serde(default)]
    pub ports: Vec<PortDefinition>,
    /// Whether the host ports must be exactly those of `ports`.
    #[serde(default)]
    pub require_ports: bool,
    /// Which instances go first when there are too many.
    #[serde(default)]
    pub kill_selection: KillSelection,
    /// What becomes of instances on an agent that can't be reached.
    pub unreachable: UnreachableStrategy,
    /// Roles whose resources may be used. `None`: the configured default.
    #[serde(default)]
    pub accepted_resource_roles: Option<BTreeSet<String>>,
    /// The role that the instances run under.
    pub role: String,
    /// From SIGTERM to SIGKILL. `None`: Mesos's default.
    #[serde(default)]
    pub kill_grace: Option<Duration>,
    /// Whether tasks get a terminal.
    #[serde(default)]
    pub tty: Option<bool>,
    /// Upper bounds above the requests.
    #[serde(default)]
    pub limits: ResourceLimits,
    /// How it is told that an instance works.
    #[serde(default)]
    pub health_checks: Vec<HealthCheck>,
    /// How it is told, during a deployment, that an instance is ready to serve.
    #[serde(default)]
    pub readiness_checks: Vec<ReadinessCheck>,
    /// What is asked of the tasks only to be shown.
    #[serde(default)]
    pub check: Option<StatusCheck>,
    /// When this definition was made. Stamped by the core: what a caller puts in is ignored.
    #[serde(default)]
    pub version: Version,
    /// When it was last scaled and last changed. Stamped by the core, as `version`.
    #[serde(default)]
    pub version_info: VersionInfo,
}

impl AppSpec {
    /// Whether `other` differs in more than the number of instances and the stamps.
    pub fn config_differs(&self, other: &Self) -> bool {
        let mut same_but_count = other.clone();
        same_but_count.instances = self.instances;
        same_but_count.version = self.version;
        same_but_count.version_info = self.version_info;
        *self != same_but_count
    }

    /// The scalar resources that one instance takes, by name; none that is zero.
    pub fn scalars(&self) -> Vec<(Name, Scalar)> {
        // An amount beyond all bounds fits no offer, as the greatest possible one doesn't.
        let amount = |value| Scalar::from_f64(value).unwrap_or(Scalar::MAX);
        [
            (Name::Cpus, amount(self.cpus)),
            (Name::Mem, amount(self.mem)),
            (Name::Disk, amount(self.disk)),
            (Name::Gpus, Scalar::from(self.gpus)),
        ]
        .into_iter()
        .filter(|(_, amount)| *amount > Scalar::ZERO)
        .collect()
    }
}

/// When an app's definition changed, by kind of change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct VersionInfo {
    /// The version that last changed the number of instances.
    pub last_scaling: Version,
    /// The version that last changed anything else, or restarted the app.
    pub last_config_change: Version,
}

/// A URI to fetch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fetch {
    /// Where it is.
    pub uri: String,
    /// Whether an archive is unpacked.
    pub extract: bool,
    /// Whether it is made executable.
    pub executable: bool,
    /// Whether the agent may keep it for the next time.
    pub cache: bool,
    /// Its path in the sandbox. `None`: the last part of the URI.
    pub dest_path: Option<String>,
}

/// Growing pauses between failed launches.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Backoff {
    /// The first pause.
    pub initial: Duration,
    /// What each further failure multiplies it by. At least 1.
    pub factor: f64,
    /// The longest pause.
    pub max: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Self { initial: Duration::from_secs(1), factor: 1.15, max: Duration::from_secs(300) }
    }
}

/// How far the number of instances may leave the wanted one during an upgrade.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct UpgradeStrategy {
    /// The share of instances that must stay healthy, 0 to 1.
    pub minimum_health_capacity: f64,
    /// The share by which there may be more, 0 to 1.
    pub maximum_over_capacity: f64,
}

impl Default for UpgradeStrategy {
    fn default() -> Self {
        Self { minimum_health_capacity: 1.0, maximum_over_capacity: 1.0 }
    }
}

/// One port of a host-network app.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PortDefinition {
    /// The service port; with `require_ports` also the host port. 0: any, and the core replaces
    /// it by a free service port.
    pub port: u16,
    /// What is spoken on it.
    pub protocol: Protocol,
    /// Its name, for `PORT_<NAME>` and discovery.
    pub name: Option<String>,
    /// Labels, copied to discovery.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
}

/// The transport of a port.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Protocol {
    /// TCP only.
    #[default]
    Tcp,
    /// UDP only.
    Udp,
    /// Both: two ports in discovery, one port number.
    UdpTcp,
}

impl Protocol {
    /// As Marathon writes it: `tcp`, `udp` or `udp,tcp`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
            Self::UdpTcp => "udp,tcp",
        }
    }

    /// The single transports, in the order in which they are written.
    pub fn transports(self) -> impl Iterator<Item = &'static str> {
        self.as_str().split(',')
    }
}

/// Which of several equal instances is stopped first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum KillSelection {
    /// The one that started last.
    #[default]
    YoungestFirst,
    /// The one that started first.
    OldestFirst,
}

/// What becomes of an instance whose agent can't be reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum UnreachableStrategy {
    /// It is waited for, for ever.
    Disabled,
    /// It is replaced, and later given up.
    After {
        /// From the loss of the agent until a replacement is started.
        inactive: Duration,
        /// From the loss of the agent until the instance is forgotten. At least `inactive`.
        expunge: Duration,
    },
}

impl Default for UnreachableStrategy {
    fn default() -> Self {
        Self::After { inactive: Duration::ZERO, expunge: Duration::ZERO }
    }
}

/// Upper bounds of what a task may use.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct ResourceLimits {
    /// Of CPUs. `None`: the request.
    pub cpus: Option<Limit>,
    /// Of memory in MiB. `None`: the request.
    pub mem: Option<Limit>,
}

/// One upper bound.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub enum Limit {
    /// At most this much.
    Amount(f64),
    /// As much as there is.
    Unlimited,
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// An app with one port, for tests to change.
    pub(crate) fn app(id: &str, instances: u32) -> AppSpec {
        AppSpec {
            id: PathId::parse(id).unwrap(),
            cmd: Some("sleep 1000".into()),
            args: Vec::new(),
            cpus: 0.5,
            mem: 64.0,
            disk: 0.0,
            gpus: 0,
            instances,
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
                name: Some("default".into()),
                labels: BTreeMap::new(),
            }],
            require_ports: false,
            kill_selection: KillSelection::default(),
            unreachable: UnreachableStrategy::default(),
            accepted_resource_roles: None,
            role: "*".into(),
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

    #[test]
    fn scaling_is_no_change_of_configuration() {
        let old = app("/a", 1);
        let mut new = app("/a", 5);
        new.version = Version::from_millis(7);
        assert!(!old.config_differs(&new));
        new.env.insert("A".into(), "1".into());
        assert!(old.config_differs(&new));
    }

    #[test]
    fn a_definition_that_was_stored_before_there_were_checks_is_still_read() {
        let spec = app("/a/b", 3);
        let mut stored = serde_json::to_value(&spec).unwrap();
        for field in ["health_checks", "readiness_checks", "check"] {
            stored.as_object_mut().unwrap().remove(field).expect("it is stored");
        }
        assert_eq!(serde_json::from_value::<AppSpec>(stored).unwrap(), spec);
    }

    #[test]
    fn a_definition_reads_back_from_its_stored_form() {
        let mut spec = app("/a/b", 3);
        spec.limits.mem = Some(Limit::Unlimited);
        spec.accepted_resource_roles = Some(BTreeSet::from(["*".into()]));
        let text = serde_json::to_string(&spec).unwrap();
        assert_eq!(serde_json::from_str::<AppSpec>(&text).unwrap(), spec);
    }
}
