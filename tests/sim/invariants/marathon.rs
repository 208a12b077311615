//! Marathon: what it promises its users, judged by what it shows before and after each batch.

use std::collections::{BTreeMap, BTreeSet};

use meros_marathon_core::apps::AppSpec;
use meros_marathon_core::deployment::ActionKind;
use meros_marathon_core::events::EventKind;
use meros_marathon_core::health::{self, Verdict};
use meros_marathon_core::instances::{Goal, Instance, InstanceId};
use meros_marathon_core::output::ChangeDone;
use meros_marathon_core::path_id::PathId;
use meros_marathon_core::version::Version;
use meros_marathon_core::view::View;

use super::Breach;

/// What Marathon has promised.
#[derive(Debug, Default)]
pub(crate) struct MarathonWatch {
    /// The last change that was answered.
    answered: Option<ChangeDone>,
    /// Apps whose upgrade was given up by force: old and new instances stay side by side, until
    /// they are all replaced.
    mixed: BTreeSet<PathId>,
}

impl MarathonWatch {
    /// A user was told that a change is stored.
    pub(crate) fn answered(&mut self, done: ChangeDone) {
        let last = self.answered.as_ref().map_or(Version::default(), |last| last.version);
        if done.version > last {
            self.answered = Some(done);
        }
    }

    /// A user forces a change, while these deployments run, and changes of these apps wait.
    pub(crate) fn forced<'a>(&mut self, view: &'a View, waiting: impl Iterator<Item = &'a PathId>) {
        // Changes that wait before this one may be given up with it.
        let affected = view.deployments.iter().flat_map(|one| one.plan.affected.keys());
        self.mixed.extend(affected.chain(waiting).cloned());
    }

    /// Something happened.
    pub(crate) fn published(&mut self, event: &EventKind) {
        let EventKind::DeploymentSuccess { plan, .. } = event else { return };
        let actions = plan.steps.iter().flat_map(|step| &step.actions);
        for action in actions.filter(|action| action.kind == ActionKind::Restart) {
            self.mixed.remove(&action.app);
        }
    }

    /// Whether an app may have instances of an older configuration for good.
    pub(crate) fn may_be_mixed(&self, app: &PathId) -> bool {
        self.mixed.contains(app)
    }

    /// Marathon starts again. What it has lost is returned.
    pub(crate) fn recovered(&self, view: &View) -> Option<String> {
        let last = self.answered.as_ref()?;
        let root = &view.root;
        if root.version < last.version {
            return Some(format!("root {} was stored, {} is there", last.version, root.version));
        }
        if root.version > last.version {
            return None;
        }
        let lost = last.apps.iter().find(|put| root.apps.get(&put.spec.id) != Some(&put.spec))?;
        Some(format!("{:?} was stored, {:?} is there", lost.spec, root.apps.get(&lost.spec.id)))
    }

    /// Marathon took in a batch. `meddled`: in it a user asked for something.
    pub(crate) fn moved(
        &self,
        before: Option<&View>,
        after: &View,
        meddled: bool,
    ) -> Option<Breach> {
        let overlap = locks_overlap(after);
        let overlap = overlap.map(|how| ("an app is changed by one deployment at most", how));
        overlap
            .or_else(|| {
                let how = beyond_the_goal(after)?;
                Some(("nothing is launched beyond the goal and its over-capacity", how))
            })
            .or_else(|| {
                let how = not_kept(after)?;
                Some(("an app that no deployment changes has the instances it wants", how))
            })
            .or_else(|| {
                let before = before.filter(|_| !meddled)?;
                let how =
                    upgrades(after).find_map(|target| beyond_the_bounds(before, after, target))?;
                Some(("an upgrade keeps to its bounds", how))
            })
    }
}

fn locks_overlap(view: &View) -> Option<String> {
    let mut locked: BTreeMap<&PathId, &str> = BTreeMap::new();
    view.deployments.iter().find_map(|deployment| {
        let id = deployment.plan.id.as_str();
        let mut affected = deployment.plan.affected.keys();
        affected.find_map(|app| {
            let other = locked.insert(app, id)?;
            Some(format!("{app} by {other} and {id}"))
        })
    })
}

fn beyond_the_goal(view: &View) -> Option<String> {
    view.instances.iter().find_map(|(app, instances)| {
        let to_stay = instances.values().filter(|instance| instance.counts()).count();
        let bound = match view.deployments_of(app).next() {
            None => view.root.apps.get(app).map_or(0, |spec| spec.instances as usize),
            Some(deployment) => {
                let change = deployment.plan.affected.get(app)?;
                // What is being removed shrinks, and does nothing else.
                let target = change.after.as_ref()?;
                let is_old = |instance: &&std::sync::Arc<Instance>| {
                    instance.counts() && instance.spec.version < target.version
                };
                let old = instances.values().filter(is_old).count();
                let wanted = target.instances as usize;
                // Before its step, an app is as it was.
                most_of(target).max(old).max(wanted)
            }
        };
        (to_stay > bound).then(|| format!("{app} has {to_stay}, at most {bound}"))
    })
}

fn least_of(target: &AppSpec) -> usize {
    (f64::from(target.instances) * target.upgrade.minimum_health_capacity).ceil() as usize
}

/// With one more where there would be no room at all.
fn most_of(target: &AppSpec) -> usize {
    let over = 1.0 + target.upgrade.maximum_over_capacity;
    let most = (f64::from(target.instances) * over).floor() as usize;
    if most == least_of(target) { most + 1 } else { most }
}

fn not_kept(view: &View) -> Option<String> {
    let unlocked =
        view.root.apps.values().filter(|spec| view.deployments_of(&spec.id).next().is_none());
    for spec in unlocked {
        let counted = view.instances_of(&spec.id).filter(|instance| instance.counts()).count();
        if counted != spec.instances as usize {
            return Some(format!("{} has {counted} of {}", spec.id, spec.instances));
        }
    }
    let stray = view.instances.iter().find(|(app, instances)| {
        !view.root.apps.contains_key(*app)
            && view.deployments_of(app).next().is_none()
            && instances.values().any(|instance| instance.goal == Goal::Running)
    });
    stray.map(|(app, _)| format!("{app} is gone and still wanted"))
}

/// The apps that are being replaced right now.
fn upgrades(view: &View) -> impl Iterator<Item = &AppSpec> {
    view.deployments.iter().flat_map(|deployment| {
        let step = deployment.step.and_then(|step| deployment.plan.steps.get(step));
        let actions = step.into_iter().flat_map(|step| &step.actions);
        actions
            .filter(|action| action.kind == ActionKind::Restart)
            .filter_map(|action| deployment.plan.affected.get(&action.app)?.after.as_deref())
    })
}

/// Whether Marathon itself took an app below its least or above its most: what fails by itself is
/// none of its doing.
fn beyond_the_bounds(before: &View, after: &View, target: &AppSpec) -> Option<String> {
    let app = &target.id;
    let (least, most) = (least_of(target), most_of(target));
    let was = |id: &InstanceId| before.instances.get(app)?.get(id).cloned();
    let is_healthy = |instance: &Instance| health::verdict(instance) == Verdict::Healthy;
    let (mut serving, mut healthy_goes, mut added, mut active) = (0, false, false, 0);
    for instance in after.instances_of(app) {
        let old = instance.spec.version < target.version;
        let up = if old { is_healthy(instance) } else { health::is_up(instance) };
        serving += usize::from(instance.counts() && up);
        let earlier = was(&instance.id);
        added |= !old && earlier.is_none();
        let sentenced = instance.goal == Goal::Decommissioned
            && earlier.is_some_and(|earlier| earlier.goal == Goal::Running);
        healthy_goes |= old && sentenced && is_healthy(instance);
        let is_there = if old { instance.condition().is_active() } else { instance.counts() };
        active += usize::from(is_there);
    }
    let surplus = after.instances_of(app).filter(|one| one.counts()).count() > most;
    if healthy_goes && serving < least && !surplus {
        return Some(format!("{app}: a healthy one goes, {serving} of {least} are left"));
    }
    (added && active > most).then(|| format!("{app}: {active} are there, at most {most} may be"))
}
