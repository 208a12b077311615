//! When an instance counts as healthy, and as ready.
//!
//! The checks themselves are run by agents; their verdicts arrive in statuses. Deployments ask
//! [`verdict`] only, so a further source of verdicts changes nothing elsewhere.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::instances::{Condition, Instance};

/// How it is told that an instance works.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HealthCheck {
    /// Who asks, and how.
    pub kind: HealthCheckKind,
    /// How long failures don't count after the start, unless it was healthy before.
    pub grace_period: Duration,
    /// From one check to the next.
    pub interval: Duration,
    /// How long one check may take.
    pub timeout: Duration,
    /// How many failures in a row end the task. 0: none does.
    pub max_consecutive_failures: u32,
    /// From the start of the task to the first check (checks run by the agent).
    pub delay: Duration,
}

/// What a health check does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum HealthCheckKind {
    /// A command, run by the agent: healthy when it exits with 0.
    Command {
        /// A shell command.
        command: String,
    },
}

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
    verdict(instance) == Verdict::Healthy
}
