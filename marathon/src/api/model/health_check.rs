//! `healthChecks`: read, completed and shown.

use meros_marathon_core::health::{CheckPort, HealthCheck, HealthCheckKind, HealthRecord};
use meros_proto::time::Timestamp;
use serde::Serialize;

use super::reader::{
    At, Faults, Fields, MAX_INT, boolean, count, integer, nonempty_text, one_of, seconds, text,
};
use super::task_view::optional_stamp;

/// One of `healthChecks` as a client sends it, absent fields at their defaults.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct HealthCheckBody {
    protocol: ProtocolBody,
    path: Option<String>,
    port: PortBody,
    command: Option<String>,
    ignore_1xx: bool,
    v6: bool,
    grace_period_seconds: i64,
    interval_seconds: i64,
    timeout_seconds: i64,
    delay_seconds: i64,
    max_consecutive_failures: i64,
}

/// `protocol`: the first three are run by Marathon, the others by the agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ProtocolBody {
    Http,
    Https,
    Tcp,
    Command,
    MesosHttp,
    MesosHttps,
    MesosTcp,
}

const PROTOCOLS: &[(&str, ProtocolBody)] = &[
    ("HTTP", ProtocolBody::Http),
    ("HTTPS", ProtocolBody::Https),
    ("TCP", ProtocolBody::Tcp),
    ("COMMAND", ProtocolBody::Command),
    ("MESOS_HTTP", ProtocolBody::MesosHttp),
    ("MESOS_HTTPS", ProtocolBody::MesosHttps),
    ("MESOS_TCP", ProtocolBody::MesosTcp),
];

/// `port` and `portIndex`: a number goes before a place among the app's ports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PortBody {
    port: Option<i64>,
    port_index: Option<i64>,
}

impl PortBody {
    /// Reads both from the fields of a check.
    pub(crate) fn read(fields: &Fields<'_>) -> Self {
        Self {
            port: fields.optional("port", integer(0, 65_535)),
            port_index: fields.optional("portIndex", integer(0, 65_535)),
        }
    }

    /// The port that is meant; where neither is named, the first of the app's.
    pub(crate) fn complete(self) -> CheckPort {
        match self.port.and_then(|port| u16::try_from(port).ok()) {
            Some(number) => CheckPort::Number(number),
            None => CheckPort::Index(self.port_index.map_or(0, count)),
        }
    }
}

/// Reads one check.
pub(crate) fn health_check(at: At<'_>) -> Option<HealthCheckBody> {
    let fields = at.fields()?;
    let number =
        |name, min, default| fields.optional(name, integer(min, MAX_INT)).unwrap_or(default);
    let command = |at: At<'_>| at.fields()?.required("value", nonempty_text);
    Some(HealthCheckBody {
        protocol: fields.optional("protocol", one_of(PROTOCOLS)).unwrap_or(ProtocolBody::Http),
        path: fields.optional("path", text),
        port: PortBody::read(&fields),
        command: fields.optional("command", command),
        ignore_1xx: fields.optional("ignoreHttp1xx", boolean).unwrap_or(false),
        v6: fields
            .optional("ipProtocol", one_of(&[("IPv4", false), ("IPv6", true)]))
            .unwrap_or(false),
        grace_period_seconds: number("gracePeriodSeconds", 0, 300),
        interval_seconds: number("intervalSeconds", 0, 60),
        timeout_seconds: number("timeoutSeconds", 1, 20),
        delay_seconds: number("delaySeconds", 0, 15),
        max_consecutive_failures: number("maxConsecutiveFailures", 0, 3),
    })
}

/// Completes all of an app's, each once; those that break a rule are noted under `/healthChecks(N)`.
pub(crate) fn complete_all(given: Vec<HealthCheckBody>, faults: &mut Faults) -> Vec<HealthCheck> {
    let mut checks = Vec::with_capacity(given.len());
    for (index, body) in given.into_iter().enumerate() {
        let path = format!("/healthChecks({index})");
        if let Some(check) = complete(body, &path, faults)
            && !checks.contains(&check)
        {
            checks.push(check);
        }
    }
    checks
}

fn complete(body: HealthCheckBody, path: &str, faults: &mut Faults) -> Option<HealthCheck> {
    if body.v6 {
        faults.add(&format!("{path}/ipProtocol"), "IPv6 is only supported for Docker containers");
    }
    if body.protocol != ProtocolBody::Command && body.command.is_some() {
        faults.add(&format!("{path}/command"), "may only be set for protocol COMMAND");
    }
    let port = body.port.complete();
    let kind = match body.protocol {
        ProtocolBody::Http | ProtocolBody::Https => HealthCheckKind::Http {
            https: body.protocol == ProtocolBody::Https,
            path: body.path,
            port,
            ignore_1xx: body.ignore_1xx,
        },
        ProtocolBody::Tcp => HealthCheckKind::Tcp { port },
        ProtocolBody::MesosHttp => HealthCheckKind::AgentHttp { path: body.path, port },
        ProtocolBody::MesosHttps => HealthCheckKind::AgentHttps { path: body.path, port },
        ProtocolBody::MesosTcp => HealthCheckKind::AgentTcp { port },
        ProtocolBody::Command => match body.command {
            Some(command) => HealthCheckKind::Command { command },
            None => {
                faults.add(&format!("{path}/command"), "must be set for protocol COMMAND");
                return None;
            }
        },
    };
    Some(HealthCheck {
        kind,
        grace_period: seconds(body.grace_period_seconds),
        interval: seconds(body.interval_seconds),
        timeout: seconds(body.timeout_seconds),
        max_consecutive_failures: count(body.max_consecutive_failures),
        delay: seconds(body.delay_seconds),
    })
}

/// A check as it is shown.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct HealthCheckView<'a> {
    protocol: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    command: Option<CommandView<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    path: Option<&'a str>,
    #[serde(flatten)]
    port: Option<PortView>,
    #[serde(rename = "ignoreHttp1xx", skip_serializing_if = "Option::is_none")]
    ignore_1xx: Option<bool>,
    ip_protocol: &'static str,
    grace_period_seconds: u64,
    interval_seconds: u64,
    timeout_seconds: u64,
    max_consecutive_failures: u32,
    delay_seconds: u64,
}

#[derive(Serialize)]
struct CommandView<'a> {
    value: &'a str,
}

/// `port` or `portIndex`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum PortView {
    Port(u16),
    PortIndex(u32),
}

impl PortView {
    /// Shows one.
    pub(crate) fn new(port: CheckPort) -> Self {
        match port {
            CheckPort::Number(number) => Self::Port(number),
            CheckPort::Index(index) => Self::PortIndex(index),
        }
    }
}

impl<'a> HealthCheckView<'a> {
    /// Shows one check.
    pub(crate) fn new(check: &'a HealthCheck) -> Self {
        let plain = |protocol, port: Option<CheckPort>| Self {
            protocol,
            command: None,
            path: None,
            port: port.map(PortView::new),
            ignore_1xx: None,
            ip_protocol: "IPv4",
            grace_period_seconds: check.grace_period.as_secs(),
            interval_seconds: check.interval.as_secs(),
            timeout_seconds: check.timeout.as_secs(),
            max_consecutive_failures: check.max_consecutive_failures,
            delay_seconds: check.delay.as_secs(),
        };
        match &check.kind {
            HealthCheckKind::Http { https, path, port, ignore_1xx } => Self {
                path: path.as_deref(),
                ignore_1xx: Some(*ignore_1xx),
                ..plain(if *https { "HTTPS" } else { "HTTP" }, Some(*port))
            },
            HealthCheckKind::Tcp { port } => plain("TCP", Some(*port)),
            HealthCheckKind::AgentHttp { path, port } => {
                Self { path: path.as_deref(), ..plain("MESOS_HTTP", Some(*port)) }
            }
            HealthCheckKind::AgentHttps { path, port } => {
                Self { path: path.as_deref(), ..plain("MESOS_HTTPS", Some(*port)) }
            }
            HealthCheckKind::AgentTcp { port } => plain("MESOS_TCP", Some(*port)),
            HealthCheckKind::Command { command } => {
                Self { command: Some(CommandView { value: command }), ..plain("COMMAND", None) }
            }
        }
    }
}

/// What is known of one check of a task.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct HealthResultView<'a> {
    alive: bool,
    consecutive_failures: u32,
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "optional_stamp")]
    first_success: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "optional_stamp")]
    last_success: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "optional_stamp")]
    last_failure: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_failure_cause: Option<&'a str>,
    instance_id: &'a str,
}

impl<'a> HealthResultView<'a> {
    /// Shows what `record` says of `instance`, unless that is nothing yet.
    pub(crate) fn new(record: &'a HealthRecord, instance: &'a str) -> Option<Self> {
        record.is_known().then(|| Self {
            alive: record.is_alive(),
            consecutive_failures: record.consecutive_failures,
            first_success: record.first_success,
            last_success: record.last_success,
            last_failure: record.last_failure,
            last_failure_cause: record.last_failure_cause.as_deref(),
            instance_id: instance,
        })
    }
}
