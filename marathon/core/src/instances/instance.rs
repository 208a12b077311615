//! An instance and its task: the records that are kept, and what can be read off them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use meros_proto::ids::{AgentId, TaskId};
use meros_proto::time::{Mono, Timestamp};

use super::condition::Condition;
use super::instance_id::InstanceId;
use crate::apps::AppSpec;
use crate::health::{self, CheckResult, HealthRecord, ReadinessResult};

/// One of the instances that an app wants.
#[derive(Debug, Clone, PartialEq)]
pub struct Instance {
    /// Its name.
    pub id: InstanceId,
    /// The definition that it runs. May be older than the app's current one.
    pub spec: Arc<AppSpec>,
    /// What is wanted of it.
    pub goal: Goal,
    /// How often it was launched; the number of its task, once it has one.
    pub incarnation: u32,
    /// Since when it is in its condition.
    pub since: Timestamp,
    /// Its task. `None`: it is scheduled.
    pub task: Option<Task>,
}

/// What is wanted of an instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum Goal {
    /// To run: a task that ends is replaced.
    Running,
    /// To end, and then to be forgotten.
    Decommissioned,
}

/// A task that was launched and has not ended, as far as is known.
#[derive(Debug, Clone, PartialEq)]
pub struct Task {
    /// Its name.
    pub id: TaskId,
    /// What it does: never scheduled, never terminal.
    pub condition: Condition,
    /// Where it runs.
    pub agent: Agent,
    /// Its host ports, in the order of the app's.
    pub ports: Vec<u16>,
    /// When its launch was decided.
    pub staged_at: Timestamp,
    /// When it was first seen running.
    pub started_at: Option<Timestamp>,
    /// When its agent was lost, while it is unreachable.
    pub unreachable_since: Option<Timestamp>,
    /// What its agent last said of its health.
    pub agent_healthy: Option<bool>,
    /// Its addresses, as its last status told them.
    pub addresses: Vec<IpAddress>,
    /// The result of the check that is only shown.
    pub check: Option<CheckResult>,
    /// What is known of its health checks, in the order of its definition's; empty: nothing yet.
    /// Not on record.
    pub health: Vec<HealthRecord>,
    /// What is known of its readiness, in the order of its definition's checks; empty: nothing
    /// yet. Not on record.
    pub readiness: Vec<ReadinessResult>,
    /// For how long it has run, once it does. Not on record.
    pub run_time: Option<RunTime>,
}

/// For how long a task has run, by the clock that nobody sets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RunTime {
    since: Mono,
    before: Duration,
}

impl RunTime {
    /// Counts from `since` on, when it had run for `before` already.
    pub(crate) fn counted(since: Mono, before: Duration) -> Self {
        Self { since, before }
    }

    /// For how long it has run at `now`.
    pub fn at(&self, now: Mono) -> Duration {
        now.since(self.since).saturating_add(self.before)
    }
}

/// An agent, as its offers describe it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Agent {
    /// Its id.
    pub id: AgentId,
    /// Its host name.
    pub hostname: String,
    /// Its region, where it has one.
    pub region: Option<String>,
    /// Its zone, where it has one.
    pub zone: Option<String>,
    /// Its attributes in the text form of constraints; the first where a name repeats.
    pub attributes: BTreeMap<String, String>,
}

/// An address of a task.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct IpAddress {
    /// The address.
    pub address: String,
    /// Whether it is an IPv6 address.
    pub v6: bool,
}

impl Instance {
    /// What its task is doing.
    pub fn condition(&self) -> Condition {
        self.task.as_ref().map_or(Condition::Scheduled, |task| task.condition)
    }

    /// What its health checks say together. `None`: it has none, or one has said nothing yet.
    pub fn healthy(&self) -> Option<bool> {
        let task = self.task.as_ref()?;
        health::of_records(self.spec.health_checks.len(), &task.health)
    }

    /// Whether it counts towards the number of instances that its app wants.
    pub fn counts(&self) -> bool {
        self.goal == Goal::Running && self.condition() != Condition::UnreachableInactive
    }

    /// Whether it waits for an offer.
    pub fn is_scheduled(&self) -> bool {
        self.goal == Goal::Running && self.task.is_none()
    }

    /// When its running task started, or was launched.
    pub fn active_since(&self) -> Option<Timestamp> {
        self.task.as_ref().map(|task| task.started_at.unwrap_or(task.staged_at))
    }

    /// The grace between SIGTERM and SIGKILL that its definition asks for.
    pub fn kill_grace(&self) -> Option<Duration> {
        self.spec.kill_grace
    }
}
