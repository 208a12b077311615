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

use super::{ActionKind, DeploymentId, Plan};
use crate::events::EventKind;
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
    /// Apps whose action of this step is done.
    done: BTreeSet<PathId>,
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
        self.running.push(Deployment { plan, step: None, done: BTreeSet::new() });
        self.running.sort_by_key(|deployment| deployment.plan.version);
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

    /// Does what a deployment can do by now.
    pub(crate) fn advance(&mut self, now: Now, id: &DeploymentId, out: &mut Out) {
        loop {
            let Some(deployment) = self.deployments.find(id) else { return };
            let plan = Arc::clone(&deployment.plan);
            match deployment.step {
                None => self.enter(now, &plan, 0, out),
                Some(step) if step < plan.steps.len() => {
                    if !self.drive(now, &plan, step, out) {
                        return;
                    }
                    let told = Arc::clone(&plan);
                    self.publish(now, EventKind::DeploymentStepSuccess { plan: told, step }, out);
                    self.enter(now, &plan, step + 1, out);
                }
                Some(_) => {
                    self.finish(now, &plan, out);
                    return;
                }
            }
        }
    }

    /// Begins a step.
    fn enter(&mut self, now: Now, plan: &Arc<Plan>, step: usize, out: &mut Out) {
        self.snapshot = None;
        if let Some(deployment) = self.deployments.find_mut(&plan.id) {
            deployment.step = Some(step);
            deployment.done.clear();
        }
        let Some(begun) = plan.steps.get(step) else { return };
        let told = Arc::clone(plan);
        self.publish(now, EventKind::DeploymentInfo { plan: told, step }, out);
        for action in &begun.actions {
            self.begin_action(now, action, out);
        }
    }

    /// Drives all actions of a step. Returns whether all are done.
    fn drive(&mut self, now: Now, plan: &Arc<Plan>, step: usize, out: &mut Out) -> bool {
        for action in &plan.steps[step].actions {
            let done_before = self
                .deployments
                .find(&plan.id)
                .is_some_and(|deployment| deployment.done.contains(&action.app));
            // What was stopped stays so; what was scaled is kept so while others are waited for.
            if done_before && action.kind == ActionKind::Stop {
                continue;
            }
            let target = plan.affected.get(&action.app).and_then(|app| app.after.as_ref());
            if !self.act(now, action, target, out) || done_before {
                continue;
            }
            if let Some(deployment) = self.deployments.find_mut(&plan.id) {
                deployment.done.insert(action.app.clone());
            }
        }
        self.keep_earlier(now, plan, step, out);
        let done = self.deployments.find(&plan.id).map(|deployment| &deployment.done);
        plan.steps[step]
            .actions
            .iter()
            .all(|action| done.is_some_and(|done| done.contains(&action.app)))
    }

    /// Keeps the apps of earlier steps as those left them: they are locked, so nothing else does.
    fn keep_earlier(&mut self, now: Now, plan: &Arc<Plan>, step: usize, out: &mut Out) {
        let earlier = plan.steps[..step].iter().flat_map(|step| &step.actions);
        for action in earlier {
            let brings_up = !matches!(action.kind, ActionKind::Start | ActionKind::Stop);
            let target = plan.affected.get(&action.app).and_then(|app| app.after.as_ref());
            if let (true, None, Some(target)) = (brings_up, plan.action(step, &action.app), target)
            {
                self.keep_count(now, &Arc::clone(target), out);
            }
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
