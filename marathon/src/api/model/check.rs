//! `check`: what is asked of a task only to be shown. Read, completed and shown.

use meros_marathon_core::health::{CheckCommand, CheckKind, CheckResult, StatusCheck};
use serde::Serialize;

use super::health_check::{PortBody, PortView};
use super::reader::{
    At, Faults, Fields, MAX_INT, integer, list, nonempty_text, one_of, seconds, text,
};

/// `check` as a client sends it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct CheckBody {
    http: Option<HttpBody>,
    tcp: Option<PortBody>,
    exec: Option<CheckCommand>,
    interval_seconds: Option<i64>,
    timeout_seconds: Option<i64>,
    delay_seconds: Option<i64>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct HttpBody {
    path: Option<String>,
    https: bool,
    port: PortBody,
}

/// Reads a check.
pub(crate) fn check(at: At<'_>) -> Option<CheckBody> {
    let fields = at.fields()?;
    let number = |name| fields.optional(name, integer(0, MAX_INT));
    Some(CheckBody {
        http: fields.optional("http", |at| Some(http(&at.fields()?))),
        tcp: fields.optional("tcp", |at| Some(PortBody::read(&at.fields()?))),
        exec: fields.optional("exec", |at| at.fields()?.required("command", command)),
        interval_seconds: number("intervalSeconds"),
        timeout_seconds: number("timeoutSeconds"),
        delay_seconds: number("delaySeconds"),
    })
}

fn http(fields: &Fields<'_>) -> HttpBody {
    let https = fields.optional("scheme", one_of(&[("HTTP", false), ("HTTPS", true)]));
    HttpBody {
        path: fields.optional("path", text),
        https: https.unwrap_or(false),
        port: PortBody::read(fields),
    }
}

/// `{"shell": ...}` or `{"argv": [...]}`.
fn command(at: At<'_>) -> Option<CheckCommand> {
    let fields = at.fields()?;
    if let Some(argv) = fields.optional("argv", list(text)) {
        return match argv.is_empty() {
            true => at.fault("error.minLength"),
            false => Some(CheckCommand::Argv(argv)),
        };
    }
    fields.required("shell", nonempty_text).map(CheckCommand::Shell)
}

/// The check that `body` describes; what it breaks is noted under `/check`.
pub(crate) fn complete(body: CheckBody, faults: &mut Faults) -> Option<StatusCheck> {
    let kind = match (body.http, body.tcp, body.exec) {
        (Some(HttpBody { https: true, .. }), None, None) => {
            faults.add("/check/http/scheme", "HTTPS is not supported by this version");
            return None;
        }
        (Some(HttpBody { path, port, .. }), None, None) => {
            CheckKind::Http { path, port: port.complete() }
        }
        (None, Some(port), None) => CheckKind::Tcp { port: port.complete() },
        (None, None, Some(command)) => CheckKind::Command(command),
        _ => {
            faults.add("/check", "must have exactly one of http, tcp and exec");
            return None;
        }
    };
    Some(StatusCheck {
        kind,
        interval: seconds(body.interval_seconds.unwrap_or(60)),
        timeout: seconds(body.timeout_seconds.unwrap_or(20)),
        delay: seconds(body.delay_seconds.unwrap_or(15)),
    })
}

/// A check as it is shown.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct CheckView<'a> {
    #[serde(flatten)]
    kind: KindView<'a>,
    interval_seconds: u64,
    timeout_seconds: u64,
    delay_seconds: u64,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
enum KindView<'a> {
    Http {
        #[serde(skip_serializing_if = "Option::is_none")]
        path: Option<&'a str>,
        scheme: &'static str,
        #[serde(flatten)]
        port: PortView,
    },
    Tcp(PortView),
    Exec {
        command: CommandView<'a>,
    },
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
enum CommandView<'a> {
    Shell(&'a str),
    Argv(&'a [String]),
}

impl<'a> CheckView<'a> {
    /// Shows a check.
    pub(crate) fn new(check: &'a StatusCheck) -> Self {
        let kind = match &check.kind {
            CheckKind::Http { path, port } => {
                KindView::Http { path: path.as_deref(), scheme: "HTTP", port: PortView::new(*port) }
            }
            CheckKind::Tcp { port } => KindView::Tcp(PortView::new(*port)),
            CheckKind::Command(CheckCommand::Shell(line)) => {
                KindView::Exec { command: CommandView::Shell(line) }
            }
            CheckKind::Command(CheckCommand::Argv(argv)) => {
                KindView::Exec { command: CommandView::Argv(argv) }
            }
        };
        Self {
            kind,
            interval_seconds: check.interval.as_secs(),
            timeout_seconds: check.timeout.as_secs(),
            delay_seconds: check.delay.as_secs(),
        }
    }
}

/// The result of a task's check, as it is shown.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum CheckResultView {
    /// Of a GET.
    #[serde(rename_all = "camelCase")]
    Http {
        #[serde(skip_serializing_if = "Option::is_none")]
        status_code: Option<u16>,
    },
    /// Of a connection.
    Tcp {
        #[serde(skip_serializing_if = "Option::is_none")]
        succeeded: Option<bool>,
    },
    /// Of a command.
    #[serde(rename_all = "camelCase")]
    Command {
        #[serde(skip_serializing_if = "Option::is_none")]
        exit_code: Option<i32>,
    },
}

impl CheckResultView {
    /// Shows a result.
    pub(crate) fn new(result: CheckResult) -> Self {
        match result {
            CheckResult::Http { status } => Self::Http { status_code: status },
            CheckResult::Tcp { succeeded } => Self::Tcp { succeeded },
            CheckResult::Command { exit_code } => Self::Command { exit_code },
        }
    }
}
