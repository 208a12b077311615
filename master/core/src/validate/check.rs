//! Health checks and checks: the type is set and has its own body, times are not negative.

use meros_proto::v1;

use crate::validate::command;

/// What is wrong with a health check, if anything. One without a type is of the body that it has.
pub(super) fn health_check(check: &v1::HealthCheck) -> Result<(), String> {
    use v1::health_check::Type;
    let kind = match check.r#type {
        None if check.command.is_some() => Type::Command,
        None if check.http.is_some() => Type::Http,
        _ => check.r#type(),
    };
    match kind {
        Type::Command => command_body("HealthCheck", check.command.as_ref())?,
        Type::Http => {
            let http =
                check.http.as_ref().ok_or("Expecting 'http' to be set for HTTP health check")?;
            http_path("HTTP health check", http.path.as_deref())?;
            if let Some(scheme) = &http.scheme
                && !matches!(scheme.as_str(), "http" | "https")
            {
                return Err(format!("Unsupported HTTP health check scheme: '{scheme}'"));
            }
        }
        Type::Tcp if check.tcp.is_none() => {
            return Err("Expecting 'tcp' to be set for TCP health check".to_owned());
        }
        Type::Tcp => {}
        Type::Unknown => return Err("HealthCheck must specify 'type'".to_owned()),
    }
    times(&[
        ("delay_seconds", check.delay_seconds()),
        ("grace_period_seconds", check.grace_period_seconds()),
        ("interval_seconds", check.interval_seconds()),
        ("timeout_seconds", check.timeout_seconds()),
    ])
}

/// What is wrong with a check, if anything.
pub(super) fn check(check: &v1::CheckInfo) -> Result<(), String> {
    use v1::check_info::Type;
    match check.r#type() {
        Type::Command => {
            let command = check.command.as_ref().and_then(|body| body.command.as_ref());
            command_body("CheckInfo", command)?;
        }
        Type::Http => {
            let http = check.http.as_ref().ok_or("Expecting 'http' to be set for HTTP check")?;
            http_path("HTTP check", http.path.as_deref())?;
        }
        Type::Tcp if check.tcp.is_none() => {
            return Err("Expecting 'tcp' to be set for TCP check".to_owned());
        }
        Type::Tcp => {}
        Type::Unknown => return Err("CheckInfo must specify 'type'".to_owned()),
    }
    times(&[
        ("delay_seconds", check.delay_seconds()),
        ("interval_seconds", check.interval_seconds()),
        ("timeout_seconds", check.timeout_seconds()),
    ])
}

fn command_body(what: &str, command: Option<&v1::CommandInfo>) -> Result<(), String> {
    let command = command.ok_or_else(|| format!("{what} of type COMMAND must have a command"))?;
    if command.value.is_none() {
        return Err(format!("{what}'s command must contain a value"));
    }
    command::check(command)
}

fn http_path(what: &str, path: Option<&str>) -> Result<(), String> {
    match path {
        Some(path) if !path.starts_with('/') => {
            Err(format!("The path '{path}' of {what} must start with '/'"))
        }
        Some(_) | None => Ok(()),
    }
}

fn times(times: &[(&str, f64)]) -> Result<(), String> {
    match times.iter().find(|(_, seconds)| seconds.is_nan() || *seconds < 0.0) {
        Some((name, _)) => Err(format!("Expecting '{name}' to be non-negative")),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn http(path: &str, scheme: &str) -> v1::HealthCheck {
        v1::HealthCheck {
            r#type: Some(v1::health_check::Type::Http.into()),
            http: Some(v1::health_check::HttpCheckInfo {
                port: Some(80),
                path: Some(path.to_owned()),
                scheme: Some(scheme.to_owned()),
                ..Default::default()
            }),
            ..Default::default()
        }
    }

    #[test]
    fn a_health_check_has_the_body_of_its_type() {
        let run = v1::CommandInfo { value: Some("true".to_owned()), ..Default::default() };
        let untyped = v1::HealthCheck { command: Some(run), ..Default::default() };
        let empty =
            v1::HealthCheck { command: Some(v1::CommandInfo::default()), ..Default::default() };
        let tcp = v1::HealthCheck {
            r#type: Some(v1::health_check::Type::Tcp.into()),
            ..Default::default()
        };
        let infer_http = v1::HealthCheck { r#type: None, ..http("/", "http") };
        for (check, valid) in [
            (http("/health", "http"), true),
            (http("health", "http"), false),
            (http("/health", "ftp"), false),
            (v1::HealthCheck { http: None, ..http("/", "http") }, false),
            (untyped, true),
            (infer_http, true),
            (empty, false),
            (tcp, false),
            (v1::HealthCheck::default(), false),
            (v1::HealthCheck { delay_seconds: Some(-1.0), ..http("/", "http") }, false),
            (v1::HealthCheck { timeout_seconds: Some(f64::NAN), ..http("/", "http") }, false),
        ] {
            assert_eq!(health_check(&check).is_ok(), valid, "{check:?}");
        }
    }

    #[test]
    fn a_check_has_the_body_of_its_type() {
        let tcp = v1::CheckInfo {
            r#type: Some(v1::check_info::Type::Tcp.into()),
            tcp: Some(v1::check_info::Tcp { port: Some(80) }),
            ..Default::default()
        };
        for (info, valid) in [
            (tcp.clone(), true),
            (v1::CheckInfo { tcp: None, ..tcp.clone() }, false),
            (v1::CheckInfo { interval_seconds: Some(-0.5), ..tcp }, false),
            (v1::CheckInfo::default(), false),
        ] {
            assert_eq!(check(&info).is_ok(), valid, "{info:?}");
        }
    }
}
