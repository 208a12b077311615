//! What happened, for those who listen at the event stream.
//!
//! Facts only: how an event looks in JSON is the shell's.

use std::sync::Arc;

use meros_proto::ids::{AgentId, FrameworkId, TaskId};
use meros_proto::time::Timestamp;
use meros_proto::v1::TaskState;

use crate::deployment::{DeploymentId, Plan};
use crate::health::HealthCheck;
use crate::instances::{Condition, InstanceId, IpAddress};
use crate::path_id::PathId;
use crate::version::Version;

/// Something that happened.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// When.
    pub at: Timestamp,
    /// What.
    pub kind: EventKind,
}

/// What happened.
#[derive(Debug, Clone, PartialEq)]
pub enum EventKind {
    /// A task has another state.
    StatusUpdate {
        /// Its agent.
        agent: AgentId,
        /// The task.
        task: TaskId,
        /// Its state.
        state: TaskState,
        /// What the status says beside.
        message: String,
        /// Its app.
        app: PathId,
        /// Its agent's host name.
        host: String,
        /// Its addresses.
        addresses: Vec<IpAddress>,
        /// Its host ports.
        ports: Vec<u16>,
        /// The version of its app.
        version: Version,
    },
    /// An instance has another condition.
    InstanceChanged {
        /// The instance.
        instance: InstanceId,
        /// Its condition now.
        condition: Condition,
        /// Its app.
        app: PathId,
        /// Its agent and that one's host name; none while it is scheduled.
        agent: Option<(AgentId, String)>,
        /// The version of its app.
        version: Version,
    },
    /// An instance's health is another.
    InstanceHealthChanged {
        /// The instance.
        instance: InstanceId,
        /// Its app.
        app: PathId,
        /// The version of its app.
        version: Version,
        /// Its health; `None`: not known.
        healthy: Option<bool>,
    },
    /// A health check begins to be asked.
    AddHealthCheck {
        /// The app.
        app: PathId,
        /// The version of the app that has it.
        version: Version,
        /// The check.
        check: HealthCheck,
    },
    /// A health check is no longer asked.
    RemoveHealthCheck {
        /// The app that had it.
        app: PathId,
    },
    /// A health check failed, and that counts.
    FailedHealthCheck {
        /// The app.
        app: PathId,
        /// The instance.
        instance: InstanceId,
        /// The check.
        check: HealthCheck,
    },
    /// One health check of an instance passes that didn't, or the other way round.
    HealthStatusChanged {
        /// The app.
        app: PathId,
        /// The instance.
        instance: InstanceId,
        /// The version of its app.
        version: Version,
        /// Whether it passes now.
        alive: bool,
    },
    /// An instance's task is killed since a health check failed too often.
    UnhealthyInstanceKill {
        /// The app.
        app: PathId,
        /// The task.
        task: TaskId,
        /// The instance.
        instance: InstanceId,
        /// The version of its app.
        version: Version,
        /// What the check last said.
        reason: String,
        /// Its agent's host name.
        host: String,
        /// Its agent.
        agent: AgentId,
    },
    /// A task ended that belongs to no known instance.
    UnknownInstanceTerminated {
        /// The instance that the task names.
        instance: InstanceId,
        /// The app that it names.
        app: PathId,
        /// How it ended.
        condition: Condition,
    },
    /// All instances of an app that was deleted have ended.
    AppTerminated {
        /// The app.
        app: PathId,
    },
    /// A root was stored.
    GroupChangeSuccess {
        /// The group that was changed.
        group: PathId,
        /// The root's version from now on.
        version: Version,
    },
    /// A root was refused.
    GroupChangeFailed {
        /// The group that would have changed.
        group: PathId,
        /// The root's version, as it stays.
        version: Version,
        /// Why.
        reason: String,
    },
    /// A step of a deployment begins.
    DeploymentInfo {
        /// The deployment.
        plan: Arc<Plan>,
        /// The step, counted from 0.
        step: usize,
    },
    /// A step of a deployment is done.
    DeploymentStepSuccess {
        /// The deployment.
        plan: Arc<Plan>,
        /// The step, counted from 0.
        step: usize,
    },
    /// A step of a deployment was given up.
    DeploymentStepFailure {
        /// The deployment.
        plan: Arc<Plan>,
        /// The step, counted from 0.
        step: usize,
    },
    /// A deployment is done.
    DeploymentSuccess {
        /// Its id.
        id: DeploymentId,
        /// The deployment.
        plan: Arc<Plan>,
    },
    /// A deployment was given up.
    DeploymentFailed {
        /// Its id.
        id: DeploymentId,
        /// The deployment.
        plan: Arc<Plan>,
        /// Why.
        reason: String,
    },
    /// The master took the framework for the first time.
    SchedulerRegistered {
        /// The id that it goes by.
        framework: FrameworkId,
        /// The master's host name.
        master: String,
    },
    /// A master took the framework again.
    SchedulerReregistered {
        /// The master's host name.
        master: String,
    },
    /// The connection to the master is gone.
    SchedulerDisconnected,
}
