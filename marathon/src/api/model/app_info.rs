//! An app with what goes on around it: counts, tasks, deployments, its last failure.

use meros_marathon_core::apps::AppSpec;
use meros_marathon_core::instances::Instance;
use meros_marathon_core::path_id::PathId;
use meros_marathon_core::version::Version;
use meros_marathon_core::view::{TaskFailure, View};
use meros_proto::time::Timestamp;
use serde::Serialize;

use super::app_view::AppView;
use super::deployment_view::Identified;
use super::readiness_check::ReadinessResultView;
use super::task_stats::TaskStatsView;
use super::task_view::{Counts, TaskView, stamp};
use crate::api::embed::Embed;

/// An app and what was asked to be embedded.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct AppInfoView<'a> {
    #[serde(flatten)]
    app: AppView<'a>,
    #[serde(flatten)]
    counts: Option<CountsView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    deployments: Option<Vec<Identified<'a>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    readiness_check_results: Option<Vec<ReadinessResultView<'a>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tasks: Option<Vec<TaskView<'a>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_task_failure: Option<TaskFailureView<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tasks_stats: Option<TaskStatsView>,
}

impl<'a> AppInfoView<'a> {
    /// Shows `spec` as `view` has it.
    pub(crate) fn new(view: &'a View, spec: &'a AppSpec, embed: Embed, now: Timestamp) -> Self {
        let instances = || view.instances_of(&spec.id).map(AsRef::as_ref);
        let failure = embed.last_task_failure.then(|| view.failures.get(&spec.id)).flatten();
        Self {
            app: AppView::new(spec),
            counts: embed.counts.then(|| CountsView::new(Counts::of(instances()))),
            deployments: embed.deployments.then(|| {
                view.deployments_of(&spec.id)
                    .map(|deployment| Identified::new(&deployment.plan.id))
                    .collect()
            }),
            readiness_check_results: embed
                .readiness
                .then(|| view.readiness_of(&spec.id).map(ReadinessResultView::new).collect()),
            tasks: embed.tasks.then(|| instances().filter_map(TaskView::new).collect()),
            last_task_failure: failure.map(|failure| TaskFailureView::new(failure)),
            tasks_stats: embed
                .task_stats
                .then(|| TaskStatsView::new(spec, &instances().collect::<Vec<&Instance>>(), now)),
        }
    }

    /// Shows `spec` as the answer to its creation: nothing runs yet.
    pub(crate) fn created(spec: &'a AppSpec, deployment: Identified<'a>) -> Self {
        Self {
            app: AppView::without_version_info(spec),
            counts: Some(CountsView::new(Counts::default())),
            deployments: Some(vec![deployment]),
            readiness_check_results: None,
            tasks: Some(Vec::new()),
            last_task_failure: None,
            tasks_stats: None,
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct CountsView {
    tasks_staged: usize,
    tasks_running: usize,
    tasks_healthy: usize,
    tasks_unhealthy: usize,
}

impl CountsView {
    fn new(counts: Counts) -> Self {
        Self {
            tasks_staged: counts.staged,
            tasks_running: counts.running,
            tasks_healthy: counts.healthy,
            tasks_unhealthy: counts.unhealthy,
        }
    }
}

/// How the last task of an app ended that should not have.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct TaskFailureView<'a> {
    app_id: &'a PathId,
    host: &'a str,
    message: &'a str,
    state: &'static str,
    task_id: &'a str,
    #[serde(serialize_with = "stamp")]
    timestamp: Timestamp,
    version: Version,
    slave_id: &'a str,
}

impl<'a> TaskFailureView<'a> {
    fn new(failure: &'a TaskFailure) -> Self {
        Self {
            app_id: &failure.app,
            host: &failure.host,
            message: &failure.message,
            state: failure.state.as_str_name(),
            task_id: failure.task.as_str(),
            timestamp: failure.at,
            version: failure.version,
            slave_id: failure.agent.as_str(),
        }
    }
}
