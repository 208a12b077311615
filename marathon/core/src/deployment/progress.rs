//! Deployments under way: which step each is at, and what it locks.
//!
//! ```text
//! started → step 1 → step 2 → … → done       told: info, step success, …, success
//!               └────── stopped                    step failure, failed
//! ```
//! An app is locked by at most one deployment, from its start to its end.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use meros_proto::time::Now;

use super::{Action, ActionKind, DeploymentId, Plan};
use crate::apps::AppSpec;
use crate::events::EventKind;
use crate::instances::Instance;
use crate::path_id::PathId;
use crate::records::Record;
use crate::state::{Marathon, Out};
use crate::view::DeploymentView;

/// What a deployment that is stopped is said to have died of.
const CANCELLED: &str = "The upgrade has been cancelled";

/// All deployments under way.
#[derive(Debug, Default)]
pub(crate) struct Deployments {
    /// The oldest first.
    running: Vec<Deployment>,
    locks: BTreeMap<PathId, DeploymentId>,
}

#[derive(Debug)]
struct Deployment {
    plan: Arc<Plan>,
    /// The step under way, once the first has begun.
    step: Option<usize>,
    /// Apps whose action of this step isn't done.
    open: BTreeSet<PathId>,
    /// What is done to each app: steps, and places in them, in order.
    actions: BTreeMap<PathId, Vec<(usize, usize)>>,
}

impl Deployment {
    fn of(plan: Arc<Plan>) -> Self {
        let mut actions: BTreeMap<PathId, Vec<(usize, usize)>> = BTreeMap::new();
        for (nth, step) in plan.steps.iter().enumerate() {
            for (at, action) in step.actions.iter().enumerate() {
                actions.entry(action.app.clone()).or_default().push((nth, at));
            }
        }
        Self { plan, step: None, open: BTreeSet::new(), actions }
    }

    /// The last action on an app that has begun: its step, and its place there.
    fn last_begun(&self, app: &PathId) -> Option<(usize, usize)> {
        let under_way = self.step?;
        self.actions.get(app)?.iter().rev().find(|(step, _)| *step <= under_way).copied()
    }
}

impl Deployments {
    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.running.len()
    }

    /// The deployment that changes an app.
    pub(crate) fn lock_of(&self, app: &PathId) -> Option<&DeploymentId> {
        self.locks.get(app)
    }

    /// How many apps are locked.
    pub(crate) fn locks(&self) -> usize {
        self.locks.len()
    }

    /// Those that change an app that `plan` would change, too; the oldest first.
    pub(crate) fn conflicting(&self, plan: &Plan) -> Vec<DeploymentId> {
        let locked = |deployment: &&Deployment| {
            plan.affected.keys().any(|app| deployment.plan.affected.contains_key(app))
        };
        let conflicting = self.running.iter().filter(locked);
        conflicting.map(|deployment| deployment.plan.id.clone()).collect()
    }

    /// For showing.
    pub(crate) fn views(&self) -> Vec<DeploymentView> {
        let view = |deployment: &Deployment| DeploymentView {
            plan: Arc::clone(&deployment.plan),
            step: deployment.step,
        };
        self.running.iter().map(view).collect()
    }

    /// What a deployment does.
    pub(crate) fn plan(&self, id: &DeploymentId) -> Option<&Arc<Plan>> {
        self.find(id).map(|deployment| &deployment.plan)
    }

    /// Takes in a deployment that is to begin, or to begin anew.
    pub(crate) fn add(&mut self, plan: Arc<Plan>) {
        for app in plan.affected.keys() {
            self.locks.insert(app.clone(), plan.id.clone());
        }
        self.running.push(Deployment::of(plan));
        self.running.sort_by_key(|deployment| deployment.plan.version);
    }

    /// Whether a deployment waits for an instance to come up, rather than to go.
    pub(crate) fn brings_up(&self, instance: &Instance) -> bool {
        let deployment = self.locks.get(instance.id.app()).and_then(|id| self.find(id));
        let Some(deployment) = deployment else { return false };
        let change = deployment.plan.affected.get(instance.id.app());
        let target = change.and_then(|change| change.after.as_ref());
        let action = deployment.last_begun(instance.id.app());
        let action = action.map(|(step, at)| &deployment.plan.steps[step].actions[at].kind);
        target.is_some_and(|target| {
            action != Some(&ActionKind::Restart) || instance.spec.version >= target.version
        })
    }

    fn find(&self, id: &DeploymentId) -> Option<&Deployment> {
        self.running.iter().find(|deployment| deployment.plan.id == *id)
    }

    fn find_mut(&mut self, id: &DeploymentId) -> Option<&mut Deployment> {
        self.running.iter_mut().find(|deployment| deployment.plan.id == *id)
    }

    fn remove(&mut self, id: &DeploymentId) -> Option<Deployment> {
        let at = self.running.iter().position(|deployment| deployment.plan.id == *id)?;
        let deployment = self.running.remove(at);
        for app in deployment.plan.affected.keys() {
            self.locks.remove(app);
        }
        Some(deployment)
    }
}

impl Marathon {
    /// Begins a deployment. One that changes nothing is done at once.
    pub(crate) fn start_deployment(&mut self, now: Now, plan: Plan, out: &mut Out) {
        self.snapshot = None;
        let plan = Arc::new(plan);
        if plan.steps.is_empty() {
            let id = plan.id.clone();
            self.publish(now, EventKind::DeploymentSuccess { id, plan }, out);
            return;
        }
        out.persist(Record::Deployment(Arc::clone(&plan)));
        self.dirty.extend(plan.affected.keys().cloned());
        self.deployments.add(plan);
    }

    /// Gives a deployment up where it is. What it did stays; its apps are kept as they are now
    /// wanted to be.
    pub(crate) fn stop_deployment(&mut self, now: Now, id: &DeploymentId, out: &mut Out) {
        self.snapshot = None;
        let Some(Deployment { plan, step, .. }) = self.deployments.remove(id) else { return };
        out.persist(Record::DeploymentGone(id.clone()));
        self.dirty.extend(plan.affected.keys().cloned());
        if let Some(step) = step {
            let plan = Arc::clone(&plan);
            self.publish(now, EventKind::DeploymentStepFailure { plan, step }, out);
        }
        let failed = EventKind::DeploymentFailed { id: id.clone(), plan, reason: CANCELLED.into() };
        self.publish(now, failed, out);
    }

    /// Does what a deployment can do by now for an app that something happened to.
    pub(crate) fn advance(&mut self, now: Now, id: &DeploymentId, app: &PathId, out: &mut Out) {
        let Some(deployment) = self.deployments.find(id) else { return };
        let plan = Arc::clone(&deployment.plan);
        let Some(step) = deployment.step else {
            self.enter(now, &plan, 0, out);
            return;
        };
        if let Some((begun, at)) = deployment.last_begun(app) {
            self.drive(now, &plan, begun == step, &plan.steps[begun].actions[at], out);
        }
        if self.deployments.find(id).is_some_and(|deployment| deployment.open.is_empty()) {
            let told = Arc::clone(&plan);
            self.publish(now, EventKind::DeploymentStepSuccess { plan: told, step }, out);
            self.enter(now, &plan, step + 1, out);
        }
    }

    /// Begins a step; after the last one, the deployment is done.
    fn enter(&mut self, now: Now, plan: &Arc<Plan>, step: usize, out: &mut Out) {
        self.snapshot = None;
        let Some(begun) = plan.steps.get(step) else {
            self.finish(now, plan, out);
            return;
        };
        let apps = || begun.actions.iter().map(|action| action.app.clone());
        if let Some(deployment) = self.deployments.find_mut(&plan.id) {
            deployment.step = Some(step);
            deployment.open = apps().collect();
        }
        let told = Arc::clone(plan);
        self.publish(now, EventKind::DeploymentInfo { plan: told, step }, out);
        for action in &begun.actions {
            self.begin_action(now, action, target_of(plan, &action.app), out);
        }
        self.dirty.extend(apps());
    }

    /// Drives an action. One of an earlier step is done: its app is kept as it left it, since it
    /// is locked, and nothing else does.
    fn drive(
        &mut self,
        now: Now,
        plan: &Arc<Plan>,
        of_this_step: bool,
        action: &Action,
        out: &mut Out,
    ) {
        let target = target_of(plan, &action.app);
        let is_open = |deployment: &Deployment| deployment.open.contains(&action.app);
        let open = of_this_step && self.deployments.find(&plan.id).is_some_and(is_open);
        match (&action.kind, target) {
            _ if open => {
                if self.act(now, action, target, out)
                    && let Some(deployment) = self.deployments.find_mut(&plan.id)
                {
                    deployment.open.remove(&action.app);
                }
            }
            (ActionKind::Scale { .. } | ActionKind::Restart, Some(target)) => {
                self.keep_count(now, target, out);
            }
            // What was stopped stays so, and what was only started has nothing to keep.
            _ => {}
        }
    }

    fn finish(&mut self, now: Now, plan: &Arc<Plan>, out: &mut Out) {
        self.snapshot = None;
        let id = plan.id.clone();
        self.deployments.remove(&id);
        out.persist(Record::DeploymentGone(id.clone()));
        self.dirty.extend(plan.affected.keys().cloned());
        self.publish(now, EventKind::DeploymentSuccess { id, plan: Arc::clone(plan) }, out);
    }
}

fn target_of<'a>(plan: &'a Plan, app: &PathId) -> Option<&'a Arc<AppSpec>> {
    plan.affected.get(app).and_then(|change| change.after.as_ref())
}
