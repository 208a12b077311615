//! What the answers to all checks of an instance mean for it.

use super::record::HealthRecord;
use crate::instances::{Condition, Instance};

/// What is known of an instance's health.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It works.
    Healthy,
    /// It is not known yet.
    Unknown,
    /// It doesn't work.
    Unhealthy,
}

/// Whether an instance works. Without health checks a running one does.
pub fn verdict(instance: &Instance) -> Verdict {
    match (instance.condition(), instance.spec.health_checks.is_empty()) {
        (Condition::Running, true) => Verdict::Healthy,
        (Condition::Running, false) => match instance.healthy() {
            Some(true) => Verdict::Healthy,
            Some(false) => Verdict::Unhealthy,
            None => Verdict::Unknown,
        },
        _ => Verdict::Unhealthy,
    }
}

/// Whether a deployment may count an instance as up: healthy, and ready to serve.
pub fn is_up(instance: &Instance) -> bool {
    verdict(instance) == Verdict::Healthy && is_ready(instance)
}

/// Whether all readiness checks of an instance's task have succeeded once.
pub(crate) fn is_ready(instance: &Instance) -> bool {
    let checks = instance.spec.readiness_checks.len();
    let results = instance.task.as_ref().map(|task| &*task.readiness).unwrap_or_default();
    checks == 0 || (results.len() == checks && results.iter().all(|result| result.ready))
}

/// The health that `records` make together, one for each of `checks` checks. `None`: not known.
pub(crate) fn of_records(checks: usize, records: &[HealthRecord]) -> Option<bool> {
    let all_known =
        checks > 0 && records.len() == checks && records.iter().all(HealthRecord::is_known);
    all_known.then(|| records.iter().all(HealthRecord::is_alive))
}

#[cfg(test)]
mod tests {
    use meros_proto::time::Timestamp;

    use super::*;

    #[test]
    fn health_is_known_once_all_checks_are_and_good_when_all_are() {
        let good = || {
            let mut record = HealthRecord::default();
            record.passed(Timestamp::from_millis(1));
            record
        };
        let bad = || {
            let mut record = good();
            record.failed(Timestamp::from_millis(1), "refused");
            record
        };
        let none = HealthRecord::default;
        for (records, health) in [
            (vec![], None),
            (vec![good(), none()], None),
            (vec![bad(), none()], None),
            (vec![good(), bad()], Some(false)),
            (vec![bad(), bad()], Some(false)),
            (vec![good(), good()], Some(true)),
        ] {
            assert_eq!(of_records(2, &records), health, "{records:?}");
        }
        assert_eq!(of_records(0, &[]), None);
    }
}
