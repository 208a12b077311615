//! What a task asks to be looked at, read from its `HealthCheck` and `CheckInfo`.

use std::time::Duration;

use meros_proto::v1;
use meros_proto::v1::network_info::Protocol;

use super::watch::Purpose;

/// No span is longer: a year stands for ever.
const SPAN_MAX: Duration = Duration::from_secs(365 * 86_400);

/// Everything that is looked at in one task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Terms {
    /// `TaskInfo.health_check`.
    pub health: Option<HealthTerms>,
    /// `TaskInfo.check`.
    pub check: Option<CheckTerms>,
}

/// A look whose failures end the task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HealthTerms {
    /// What is looked at.
    pub how: How,
    /// When.
    pub pace: Pace,
    /// Until the first success, failures within so long of the start don't count.
    pub grace: Duration,
    /// So many failures in a row end the task.
    pub failures_max: u32,
}

/// A look whose result is told, and nothing else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckTerms {
    /// What is looked at.
    pub how: How,
    /// When.
    pub pace: Pace,
}

/// What is looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum How {
    /// The exit status of a command that runs beside the task; it stands in the `TaskInfo`.
    Command,
    /// The status of the answer to a GET on the task's host.
    Http {
        /// With TLS; whose certificate it is doesn't matter.
        https: bool,
        /// Where.
        port: u16,
        /// What, with its query; begins with `/` or is empty.
        path: String,
        /// Over IPv6.
        ipv6: bool,
    },
    /// Whether a connection can be made.
    Tcp {
        /// Where.
        port: u16,
        /// Over IPv6.
        ipv6: bool,
    },
}

/// When a task is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// From the task's start to the first look.
    pub delay: Duration,
    /// From an answer to the next look.
    pub interval: Duration,
    /// How long an answer may take; `None`: for ever.
    pub timeout: Option<Duration>,
}

impl Terms {
    /// Reads a task's checks; `None` of one without.
    ///
    /// # Errors
    /// Why they can't be carried out, for the framework. The master lets none of these through.
    pub fn of(task: &v1::TaskInfo) -> Result<Option<Self>, String> {
        let health = task.health_check.as_deref().map(HealthTerms::of).transpose()?;
        let check = task.check.as_deref().map(CheckTerms::of).transpose()?;
        let terms = Self { health, check };
        Ok((terms.health.is_some() || terms.check.is_some()).then_some(terms))
    }
}

impl Terms {
    /// What one of them looks at, and when.
    pub(super) fn of_purpose(&self, purpose: Purpose) -> Option<(&How, Pace)> {
        match purpose {
            Purpose::Health => self.health.as_ref().map(|terms| (&terms.how, terms.pace)),
            Purpose::Check => self.check.as_ref().map(|terms| (&terms.how, terms.pace)),
        }
    }
}

impl HealthTerms {
    fn of(check: &v1::HealthCheck) -> Result<Self, String> {
        use v1::health_check::Type;
        // Before there were types, the body told.
        let kind = match check.r#type {
            None if check.command.is_some() => Type::Command,
            None if check.http.is_some() => Type::Http,
            _ => check.r#type(),
        };
        let how = match (kind, &check.http, &check.tcp) {
            (Type::Command, ..) if check.command.is_some() => How::Command,
            (Type::Http, Some(http), _) => How::Http {
                https: http.scheme() == "https",
                port: port(http.port())?,
                path: http.path().to_owned(),
                ipv6: http.protocol() == Protocol::IPv6,
            },
            (Type::Tcp, _, Some(tcp)) => {
                How::Tcp { port: port(tcp.port())?, ipv6: tcp.protocol() == Protocol::IPv6 }
            }
            _ => return Err("The task's health check has no type, or not what it needs".to_owned()),
        };
        let pace =
            Pace::of(check.delay_seconds(), check.interval_seconds(), check.timeout_seconds());
        let (grace, failures_max) =
            (span(check.grace_period_seconds()), check.consecutive_failures());
        Ok(Self { how, pace, grace, failures_max })
    }
}

impl CheckTerms {
    fn of(check: &v1::CheckInfo) -> Result<Self, String> {
        use v1::check_info::Type;
        let command = check.command.as_ref().and_then(|body| body.command.as_ref());
        let how = match (check.r#type(), &check.http, &check.tcp) {
            (Type::Command, ..) if command.is_some() => How::Command,
            (Type::Http, Some(http), _) => How::Http {
                https: false,
                port: port(http.port())?,
                path: http.path().to_owned(),
                ipv6: false,
            },
            (Type::Tcp, _, Some(tcp)) => How::Tcp { port: port(tcp.port())?, ipv6: false },
            _ => return Err("The task's check has no type, or not what it needs".to_owned()),
        };
        let pace =
            Pace::of(check.delay_seconds(), check.interval_seconds(), check.timeout_seconds());
        Ok(Self { how, pace })
    }
}

impl Pace {
    fn of(delay: f64, interval: f64, timeout: f64) -> Self {
        let timeout = Some(span(timeout)).filter(|timeout| !timeout.is_zero());
        Self { delay: span(delay), interval: span(interval), timeout }
    }
}

fn port(number: u32) -> Result<u16, String> {
    let port = u16::try_from(number).ok().filter(|port| *port != 0);
    port.ok_or_else(|| format!("A check of the task names {number}, which is no port"))
}

/// Negative spans are refused by the master; here they count as none.
fn span(seconds: f64) -> Duration {
    if seconds.is_nan() || seconds <= 0.0 {
        return Duration::ZERO;
    }
    Duration::try_from_secs_f64(seconds).unwrap_or(SPAN_MAX).min(SPAN_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_said_is_as_mesos_has_it() {
        let http = v1::health_check::HttpCheckInfo { port: Some(80), ..Default::default() };
        let check = v1::HealthCheck { http: Some(http), ..Default::default() };
        let terms = HealthTerms::of(&check).expect("valid");
        let seconds = Duration::from_secs;
        let pace = Pace { delay: seconds(15), interval: seconds(10), timeout: Some(seconds(20)) };
        let how = How::Http { https: false, port: 80, path: String::new(), ipv6: false };
        assert_eq!(terms, HealthTerms { how, pace, grace: seconds(10), failures_max: 3 });
    }

    #[test]
    fn a_timeout_of_nothing_is_none_and_spans_have_an_end() {
        let pace = Pace::of(-1.0, f64::INFINITY, 0.0);
        assert_eq!(pace, Pace { delay: Duration::ZERO, interval: SPAN_MAX, timeout: None });
        assert_eq!(Pace::of(0.25, 0.0, f64::NAN).delay, Duration::from_millis(250));
    }

    #[test]
    fn what_can_not_be_looked_at_is_said() {
        let tcp = |port| v1::health_check::TcpCheckInfo { port: Some(port), ..Default::default() };
        let r#type = Some(v1::health_check::Type::Tcp as i32);
        let check = |tcp| v1::HealthCheck { r#type, tcp, ..Default::default() };
        assert!(HealthTerms::of(&check(Some(tcp(70_000)))).is_err());
        assert!(HealthTerms::of(&check(Some(tcp(0)))).is_err());
        assert!(HealthTerms::of(&check(None)).is_err());
        assert!(HealthTerms::of(&v1::HealthCheck::default()).is_err());
        assert!(CheckTerms::of(&v1::CheckInfo::default()).is_err());
        assert!(HealthTerms::of(&check(Some(tcp(80)))).is_ok());
    }
}
