//! When instances are asked whether they work: a timer for each check of each running one.
//!
//! The first time soon after it runs, then once each interval, for as long as it runs and is to
//! run. A check whose answers don't come back is not asked ever more often: as many questions may
//! be under way as fit into its timeout.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use meros_proto::time::Now;

use super::checks::{HealthCheck, HealthCheckKind};
use super::probe::{Probe, ProbeId, ProbeTarget};
use crate::instances::{Condition, Goal, Instance, InstanceId, Task};
use crate::output::Effect;
use crate::state::{Marathon, Out};
use crate::timers::Timer;

/// The longest time from the start of a task to the first question.
const FIRST_WITHIN: Duration = Duration::from_secs(5);
/// The shortest time between two questions of one check, however short its interval.
const LEAST_INTERVAL: Duration = Duration::from_secs(1);

/// Questions under way.
#[derive(Debug, Default)]
pub(crate) struct Probes {
    last: u64,
    asked: BTreeMap<ProbeId, Asked>,
    /// How many are under way of each check of each task.
    under_way: BTreeMap<Asked, u128>,
}

/// Who was asked what.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Asked {
    pub(super) instance: InstanceId,
    /// The number of the task that was asked.
    pub(super) incarnation: u32,
    /// The check, by its place among those of its kind.
    pub(super) at: u32,
    pub(super) what: What,
}

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum What {
    Health,
    Readiness,
}

impl Probes {
    /// Notes a question, and names it.
    pub(super) fn ask(&mut self, asked: Asked) -> ProbeId {
        self.last += 1;
        let id = ProbeId(self.last);
        *self.under_way.entry(asked.clone()).or_default() += 1;
        self.asked.insert(id, asked);
        id
    }

    /// Takes a question out that was answered; none for an answer that nobody waits for.
    pub(super) fn answered(&mut self, id: ProbeId, what: What) -> Option<Asked> {
        if self.asked.get(&id)?.what != what {
            return None;
        }
        let asked = self.asked.remove(&id)?;
        if let Some(under_way) = self.under_way.get_mut(&asked) {
            *under_way -= 1;
            if *under_way == 0 {
                self.under_way.remove(&asked);
            }
        }
        Some(asked)
    }

    /// How often the same is asked already.
    pub(super) fn under_way(&self, asked: &Asked) -> u128 {
        self.under_way.get(asked).copied().unwrap_or(0)
    }
}

impl Marathon {
    /// No check of an instance's task is asked any more.
    pub(crate) fn stop_watching_health(&mut self, instance: &Instance) {
        for (at, _) in (0..).zip(&instance.spec.health_checks) {
            self.timers.cancel(&Timer::HealthCheck(instance.id.clone(), at));
        }
        for (at, _) in (0..).zip(&instance.spec.readiness_checks) {
            self.timers.cancel(&Timer::Readiness(instance.id.clone(), at));
        }
    }

    /// An instance runs: its checks are asked from now on.
    pub(crate) fn watch_health(&mut self, now: Now, instance: &Instance) {
        for (at, check) in (0..).zip(&instance.spec.health_checks) {
            if check.kind.is_run_here() {
                let first = check.interval.min(FIRST_WITHIN);
                self.timers.set(Timer::HealthCheck(instance.id.clone(), at), now.mono + first);
            }
        }
    }

    /// A check of an instance is to be asked.
    pub(crate) fn health_check_due(&mut self, now: Now, id: &InstanceId, at: u32, out: &mut Out) {
        let Some(instance) = self.instances.get(id).map(Arc::clone) else { return };
        let (Some(task), Some(check)) = (&instance.task, nth(&instance, at)) else { return };
        if task.condition != Condition::Running || instance.goal != Goal::Running {
            return;
        }
        let interval = check.interval.max(LEAST_INTERVAL);
        self.timers.set(Timer::HealthCheck(id.clone(), at), now.mono + interval);
        let Some(target) = target(check, task) else {
            self.check_failed(now, &instance, at, "there is no such port", out);
            return;
        };
        let incarnation = instance.incarnation;
        let asked = Asked { instance: id.clone(), incarnation, at, what: What::Health };
        let most = check.timeout.as_nanos().div_ceil(interval.as_nanos()).max(1);
        if self.probes.under_way(&asked) < most {
            let id = self.probes.ask(asked);
            out.effect(Effect::Probe(Probe { id, target, timeout: check.timeout }));
        }
    }
}

/// A check of an instance, by its place.
pub(super) fn nth(instance: &Instance, at: u32) -> Option<&HealthCheck> {
    instance.spec.health_checks.get(usize::try_from(at).ok()?)
}

/// Whom a check asks of a task. `None`: the task has no such port, or its agent asks.
fn target(check: &HealthCheck, task: &Task) -> Option<ProbeTarget> {
    let host = &task.agent.hostname;
    match &check.kind {
        HealthCheckKind::Http { https, path, port, ignore_1xx } => {
            let port = port.of(&task.ports)?;
            let url = url(*https, host, port, path.as_deref().unwrap_or_default());
            Some(ProbeTarget::Http { url, ignore_1xx: *ignore_1xx && !https })
        }
        HealthCheckKind::Tcp { port } => {
            Some(ProbeTarget::Tcp { host: host.clone(), port: port.of(&task.ports)? })
        }
        _ => None,
    }
}

/// Where a path of a task is. An address of IPv6 stands in brackets.
pub(super) fn url(https: bool, host: &str, port: u16, path: &str) -> String {
    let scheme = if https { "https" } else { "http" };
    let slash = if path.starts_with('/') { "" } else { "/" };
    match host.contains(':') {
        true => format!("{scheme}://[{host}]:{port}{slash}{path}"),
        false => format!("{scheme}://{host}:{port}{slash}{path}"),
    }
}

#[cfg(test)]
mod tests {
    use meros_proto::time::Timestamp;

    use super::*;
    use crate::health::CheckPort;
    use crate::instances::tests::with_task;

    fn check(kind: HealthCheckKind) -> HealthCheck {
        HealthCheck {
            kind,
            grace_period: Duration::from_secs(300),
            interval: Duration::from_secs(60),
            timeout: Duration::from_secs(20),
            max_consecutive_failures: 3,
            delay: Duration::from_secs(15),
        }
    }

    #[test]
    fn a_check_asks_the_agents_host_on_its_own_port_or_one_of_the_tasks() {
        let instance = with_task("/a", Condition::Running, "h1", Timestamp::default());
        let mut task = instance.task.clone().unwrap();
        task.ports = vec![31_000, 31_001];
        let http = |https, path: Option<&str>, port, ignore_1xx| {
            check(HealthCheckKind::Http { https, path: path.map(str::to_owned), port, ignore_1xx })
        };
        let url = |url: &str, ignore_1xx| Some(ProbeTarget::Http { url: url.into(), ignore_1xx });
        let (first, second, third) =
            (CheckPort::Index(0), CheckPort::Index(1), CheckPort::Index(2));
        for (check, expected) in [
            (http(false, None, first, false), url("http://h1:31000/", false)),
            (http(false, Some(""), first, true), url("http://h1:31000/", true)),
            (http(false, Some("up"), second, false), url("http://h1:31001/up", false)),
            (http(true, Some("/a?b=c"), second, true), url("https://h1:31001/a?b=c", false)),
            (http(false, None, CheckPort::Number(80), false), url("http://h1:80/", false)),
            (http(false, None, third, false), None),
        ] {
            assert_eq!(target(&check, &task), expected, "{check:?}");
        }
        let tcp = check(HealthCheckKind::Tcp { port: first });
        let expected = ProbeTarget::Tcp { host: "h1".into(), port: 31_000 };
        assert_eq!(target(&tcp, &task), Some(expected));
        task.agent.hostname = "fe80::1".into();
        assert_eq!(
            target(&http(false, None, first, false), &task),
            url("http://[fe80::1]:31000/", false)
        );
    }

    #[test]
    fn an_answer_is_taken_once_and_only_for_what_was_asked() {
        let instance = with_task("/a", Condition::Running, "h1", Timestamp::default());
        let asked = |what| Asked { instance: instance.id.clone(), incarnation: 1, at: 0, what };
        let mut probes = Probes::default();
        let id = probes.ask(asked(What::Health));
        assert_eq!(probes.under_way(&asked(What::Health)), 1);
        assert_eq!(probes.answered(id, What::Readiness), None);
        assert_eq!(probes.answered(id, What::Health), Some(asked(What::Health)));
        assert_eq!(probes.answered(id, What::Health), None);
        assert_eq!(probes.under_way(&asked(What::Health)), 0);
        assert_ne!(probes.ask(asked(What::Readiness)), id);
    }
}
