//! A snapshot of Marathon for reading: cheap to take, since records are shared, not copied.
//!
//! What it costs is paid by the next change while somebody still reads it: the map of apps and the
//! map of the changed app's instances are copied then, once a snapshot. While nobody reads, a
//! change drops the snapshot first, and nothing is copied.
//!
//! It is rendered outside the core. What a caller may see of it is filtered there.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use meros_proto::ids::{AgentId, FrameworkId, TaskId};
use meros_proto::time::Timestamp;
use meros_proto::v1::TaskState;

use crate::apps::AppSpec;
use crate::deployment::Plan;
use crate::groups::Root;
use crate::health::ReadinessResult;
use crate::instances::{Instance, InstanceId};
use crate::launch_queue::QueueItem;
use crate::path_id::PathId;
use crate::version::Version;

/// The versions of one app.
pub type VersionsOfApp = Arc<BTreeMap<Version, Arc<AppSpec>>>;

/// The instances of one app.
pub type InstancesOfApp = Arc<BTreeMap<InstanceId, Arc<Instance>>>;

/// All that Marathon knows, at one moment.
#[derive(Debug, Clone, Default)]
pub struct View {
    /// The id that the framework goes by, once it has one.
    pub framework: Option<FrameworkId>,
    /// The master's host name, while connected.
    pub master: Option<String>,
    /// Groups and apps.
    pub root: Arc<Root>,
    /// The versions of each app that are kept, the oldest first, the current one included.
    pub versions: Arc<BTreeMap<PathId, VersionsOfApp>>,
    /// All instances, by app. Apps that are being removed are among them.
    pub instances: Arc<BTreeMap<PathId, InstancesOfApp>>,
    /// Running deployments, the oldest first.
    pub deployments: Vec<DeploymentView>,
    /// What waits to be launched.
    pub queue: Vec<QueueItem>,
    /// The last failure of each app that had one.
    pub failures: Arc<BTreeMap<PathId, Arc<TaskFailure>>>,
}

impl View {
    /// The instances of an app, in the order of their ids.
    pub fn instances_of(&self, app: &PathId) -> impl Iterator<Item = &Arc<Instance>> + use<'_> {
        self.instances.get(app).into_iter().flat_map(|instances| instances.values())
    }

    /// The deployments that change an app.
    pub fn deployments_of(&self, app: &PathId) -> impl Iterator<Item = &DeploymentView> {
        self.deployments.iter().filter(|deployment| deployment.plan.affected.contains_key(app))
    }

    /// What is known of the readiness of an app's tasks, while a deployment changes it.
    pub fn readiness_of(&self, app: &PathId) -> impl Iterator<Item = &ReadinessResult> + use<'_> {
        let deployed = self.deployments_of(app).next().is_some();
        let instances = deployed.then(|| self.instances_of(app)).into_iter().flatten();
        instances.filter_map(|instance| instance.task.as_ref()).flat_map(|task| &task.readiness)
    }

    /// An app as it was at a version that is still kept.
    pub fn app_version(&self, app: &PathId, version: Version) -> Option<&Arc<AppSpec>> {
        self.versions.get(app)?.get(&version)
    }
}

/// A running deployment.
#[derive(Debug, Clone)]
pub struct DeploymentView {
    /// What it does.
    pub plan: Arc<Plan>,
    /// The step under way, counted from 0. None yet: `None`.
    pub step: Option<usize>,
}

/// How a task of an app ended that should not have.
#[derive(Debug, Clone, PartialEq)]
pub struct TaskFailure {
    /// The app.
    pub app: PathId,
    /// The task.
    pub task: TaskId,
    /// How it ended.
    pub state: TaskState,
    /// What its last status says.
    pub message: String,
    /// The host name of its agent.
    pub host: String,
    /// Its agent.
    pub agent: AgentId,
    /// The version of its app.
    pub version: Version,
    /// When it ended.
    pub at: Timestamp,
}

/// How long an app's launches still have to wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DelayLeft {
    /// When launches go on; in the past: they wait for offers only.
    pub until: Timestamp,
    /// The present length of the pause.
    pub length: Duration,
}
