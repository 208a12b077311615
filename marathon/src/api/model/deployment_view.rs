//! Deployments as they are shown, in lists and in events.

use meros_marathon_core::deployment::{DeploymentId, Plan, Step};
use meros_marathon_core::output::ChangeDone;
use meros_marathon_core::path_id::PathId;
use meros_marathon_core::version::Version;
use meros_marathon_core::view::{DeploymentView as Deployment, View};
use serde::Serialize;

use super::readiness_check::ReadinessResultView;

/// One of `/v2/deployments`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct DeploymentView<'a> {
    id: &'a str,
    version: Version,
    affected_apps: Vec<&'a PathId>,
    affected_pods: [(); 0],
    steps: Vec<StepView<'a>>,
    current_actions: Vec<CurrentActionView<'a>>,
    current_step: usize,
    total_steps: usize,
}

impl<'a> DeploymentView<'a> {
    /// Shows a deployment that runs in `view`.
    pub(crate) fn new(view: &'a View, deployment: &'a Deployment) -> Self {
        let plan = &deployment.plan;
        let current = deployment.step.and_then(|step| plan.steps.get(step));
        Self {
            id: plan.id.as_str(),
            version: plan.version,
            affected_apps: plan.affected.keys().collect(),
            affected_pods: [],
            steps: plan.steps.iter().map(StepView::new).collect(),
            current_actions: current.map(|step| current_actions(view, step)).unwrap_or_default(),
            current_step: deployment.step.map_or(0, |step| step + 1),
            total_steps: plan.steps.len(),
        }
    }
}

fn current_actions<'a>(view: &'a View, step: &'a Step) -> Vec<CurrentActionView<'a>> {
    let actions = StepView::new(step).actions;
    actions
        .into_iter()
        .map(|action| CurrentActionView {
            readiness_check_results: view
                .readiness_of(action.app)
                .map(ReadinessResultView::new)
                .collect(),
            action,
        })
        .collect()
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct CurrentActionView<'a> {
    #[serde(flatten)]
    action: ActionView<'a>,
    readiness_check_results: Vec<ReadinessResultView<'a>>,
}

/// A plan, as events carry it.
#[derive(Serialize)]
pub(crate) struct PlanView<'a> {
    id: &'a str,
    version: Version,
    steps: Vec<StepView<'a>>,
}

impl<'a> PlanView<'a> {
    /// Shows a plan.
    pub(crate) fn new(plan: &'a Plan) -> Self {
        Self {
            id: plan.id.as_str(),
            version: plan.version,
            steps: plan.steps.iter().map(StepView::new).collect(),
        }
    }
}

/// A step: what is done side by side.
#[derive(Serialize)]
pub(crate) struct StepView<'a> {
    actions: Vec<ActionView<'a>>,
}

impl<'a> StepView<'a> {
    /// Shows a step.
    pub(crate) fn new(step: &'a Step) -> Self {
        let actions = step.actions.iter();
        Self {
            actions: actions
                .map(|action| ActionView { action: action.kind.as_str(), app: &action.app })
                .collect(),
        }
    }

    /// The step of `plan` with that number; none at all when there is no such step.
    pub(crate) fn of_plan(plan: &'a Plan, step: usize) -> Self {
        plan.steps.get(step).map_or(Self { actions: Vec::new() }, Self::new)
    }
}

#[derive(Serialize)]
struct ActionView<'a> {
    action: &'static str,
    app: &'a PathId,
}

/// The answer to a change: which deployment carries it out, and to which version.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct DeploymentResult<'a> {
    version: Version,
    deployment_id: &'a str,
}

impl<'a> DeploymentResult<'a> {
    /// Shows what was taken.
    pub(crate) fn new(done: &'a ChangeDone) -> Self {
        Self { version: done.version, deployment_id: done.deployment.as_str() }
    }
}

/// `{"id": ...}`
#[derive(Serialize)]
pub(crate) struct Identified<'a> {
    id: &'a str,
}

impl<'a> Identified<'a> {
    /// Shows the id only.
    pub(crate) fn new(id: &'a DeploymentId) -> Self {
        Self { id: id.as_str() }
    }
}
