//! The checks that the agent is asked to run.
//!
//! An agent runs one health check a task: the first of the app's that isn't Marathon's own.

use std::time::Duration;

use meros_proto::v1;
use meros_proto::v1::{check_info, health_check};

use crate::apps::AppSpec;
use crate::health::{
    CheckCommand, CheckKind, CheckPort, HealthCheck, HealthCheckKind, StatusCheck,
};

/// So many failures in a row are none: the agent's way to say that nothing is killed.
const NEVER: u32 = u32::MAX;

/// The health check for the agent. `None`: there is none, or the task has no such port.
pub(super) fn health_check(spec: &AppSpec, ports: &[u16]) -> Option<v1::HealthCheck> {
    let check = spec.health_checks.iter().find(|check| !check.kind.is_run_here())?;
    let mut message = timed(check);
    match &check.kind {
        HealthCheckKind::AgentHttp { path, port } => {
            message.r#type = Some(health_check::Type::Http.into());
            message.http = Some(http("http", path.as_deref(), *port, ports)?);
        }
        HealthCheckKind::AgentHttps { path, port } => {
            message.r#type = Some(health_check::Type::Http.into());
            message.http = Some(http("https", path.as_deref(), *port, ports)?);
        }
        HealthCheckKind::AgentTcp { port } => {
            let port = Some(u32::from(port.of(ports)?));
            message.r#type = Some(health_check::Type::Tcp.into());
            message.tcp = Some(health_check::TcpCheckInfo { port, ..Default::default() });
        }
        HealthCheckKind::Command { command } => {
            message.r#type = Some(health_check::Type::Command.into());
            message.command = Some(shell(command));
        }
        HealthCheckKind::Http { .. } | HealthCheckKind::Tcp { .. } => return None,
    }
    Some(message)
}

fn timed(check: &HealthCheck) -> v1::HealthCheck {
    let most = check.max_consecutive_failures;
    v1::HealthCheck {
        delay_seconds: Some(check.delay.as_secs_f64()),
        interval_seconds: Some(check.interval.as_secs_f64()),
        timeout_seconds: Some(check.timeout.as_secs_f64()),
        consecutive_failures: Some(if most == 0 { NEVER } else { most }),
        grace_period_seconds: Some(check.grace_period.as_secs_f64()),
        ..Default::default()
    }
}

fn http(
    scheme: &str,
    path: Option<&str>,
    port: CheckPort,
    ports: &[u16],
) -> Option<health_check::HttpCheckInfo> {
    Some(health_check::HttpCheckInfo {
        scheme: Some(scheme.into()),
        port: Some(u32::from(port.of(ports)?)),
        path: Some(absolute(path)),
        ..Default::default()
    })
}

/// The check that is only shown. `None`: there is none, or the task has no such port.
pub(super) fn status_check(spec: &AppSpec, ports: &[u16]) -> Option<v1::CheckInfo> {
    let StatusCheck { kind, interval, timeout, delay } = spec.check.as_ref()?;
    let mut message = v1::CheckInfo {
        delay_seconds: seconds(*delay),
        interval_seconds: seconds(*interval),
        timeout_seconds: seconds(*timeout),
        ..Default::default()
    };
    match kind {
        CheckKind::Http { path, port } => {
            let port = Some(u32::from(port.of(ports)?));
            let path = Some(absolute(path.as_deref()));
            message.r#type = Some(check_info::Type::Http.into());
            message.http = Some(check_info::Http { port, path });
        }
        CheckKind::Tcp { port } => {
            let port = Some(u32::from(port.of(ports)?));
            message.r#type = Some(check_info::Type::Tcp.into());
            message.tcp = Some(check_info::Tcp { port });
        }
        CheckKind::Command(command) => {
            let command = match command {
                CheckCommand::Shell(command) => shell(command),
                CheckCommand::Argv(argv) => v1::CommandInfo {
                    shell: Some(false),
                    value: argv.first().cloned(),
                    arguments: argv.clone(),
                    ..Default::default()
                },
            };
            message.r#type = Some(check_info::Type::Command.into());
            message.command = Some(check_info::Command { command: Some(command) });
        }
    }
    Some(message)
}

fn shell(command: &str) -> v1::CommandInfo {
    v1::CommandInfo { shell: Some(true), value: Some(command.into()), ..Default::default() }
}

/// A path that begins with a slash.
fn absolute(path: Option<&str>) -> String {
    let path = path.unwrap_or_default();
    if path.starts_with('/') { path.into() } else { format!("/{path}") }
}

fn seconds(span: Duration) -> Option<f64> {
    Some(span.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::apps::tests::app;

    fn with(kinds: Vec<HealthCheckKind>) -> AppSpec {
        let mut spec = app("/a", 1);
        let check = |kind| HealthCheck {
            kind,
            grace_period: Duration::from_secs(30),
            interval: Duration::from_secs(6),
            timeout: Duration::from_millis(500),
            max_consecutive_failures: 0,
            delay: Duration::from_secs(2),
        };
        spec.health_checks = kinds.into_iter().map(check).collect();
        spec
    }

    #[test]
    fn the_agent_gets_the_first_health_check_that_is_not_marathons_with_all_its_times() {
        let port = CheckPort::Index(1);
        let spec = with(vec![
            HealthCheckKind::Tcp { port },
            HealthCheckKind::AgentHttps { path: Some("up".into()), port },
            HealthCheckKind::Command { command: "true".into() },
        ]);
        let check = health_check(&spec, &[31_000, 31_001]).unwrap();
        assert_eq!((check.delay_seconds, check.grace_period_seconds), (Some(2.0), Some(30.0)));
        assert_eq!((check.interval_seconds, check.timeout_seconds), (Some(6.0), Some(0.5)));
        assert_eq!(check.consecutive_failures, Some(u32::MAX), "0 kills nothing");
        assert_eq!((check.r#type(), check.tcp), (health_check::Type::Http, None));
        let http = check.http.unwrap();
        assert_eq!((http.scheme(), http.path(), http.port()), ("https", "/up", 31_001));
        assert_eq!(health_check(&spec, &[31_000]), None, "there is no second port");
    }

    #[test]
    fn each_kind_of_health_check_has_its_body() {
        let port = CheckPort::Number(80);
        let of = |kind| health_check(&with(vec![kind]), &[]);
        let tcp = of(HealthCheckKind::AgentTcp { port }).unwrap();
        assert_eq!((tcp.r#type(), tcp.tcp.unwrap().port()), (health_check::Type::Tcp, 80));
        let http = of(HealthCheckKind::AgentHttp { path: None, port }).unwrap().http.unwrap();
        assert_eq!((http.scheme(), http.path()), ("http", "/"));
        let command = of(HealthCheckKind::Command { command: "true".into() }).unwrap();
        let told = command.command.unwrap();
        assert_eq!((told.shell(), told.value()), (true, "true"));
        let own = HealthCheckKind::Http { https: false, path: None, port, ignore_1xx: false };
        assert_eq!(of(own), None);
    }

    #[test]
    fn a_check_that_is_only_shown_is_passed_on_too() {
        let mut spec = app("/a", 1);
        let of = |spec: &mut AppSpec, kind| {
            let second = Duration::from_secs(1);
            let check = StatusCheck { kind, interval: second, timeout: second, delay: second };
            spec.check = Some(check);
            status_check(spec, &[31_000]).unwrap()
        };
        let port = CheckPort::Index(0);
        assert_eq!(of(&mut spec, CheckKind::Tcp { port }).tcp.unwrap().port(), 31_000);
        let http = of(&mut spec, CheckKind::Http { path: None, port }).http.unwrap();
        assert_eq!((http.path(), http.port()), ("/", 31_000));
        let argv = CheckCommand::Argv(vec!["ls".into(), "-l".into()]);
        let command = of(&mut spec, CheckKind::Command(argv)).command.unwrap().command.unwrap();
        assert_eq!((command.shell(), command.value()), (false, "ls"));
        assert_eq!(command.arguments, ["ls", "-l"]);
        spec.check = None;
        assert_eq!(status_check(&spec, &[]), None);
    }
}
