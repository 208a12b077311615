//! What must hold after every step.

use std::collections::BTreeMap;

use meros_marathon_core::apps::AppSpec;
use meros_marathon_core::deployment::ActionKind;
use meros_marathon_core::health::{self, Verdict};
use meros_marathon_core::instances::{Goal, Instance};
use meros_marathon_core::path_id::PathId;
use meros_marathon_core::view::View;

use crate::world::World;

/// Panics with the name of the first invariant that is broken.
pub(crate) fn check(world: &mut World, step: usize) {
    let view = world.view();
    if let Some(name) = world.marathon.broken_invariant() {
        panic!("seed {} step {step}: {name}", world.seed);
    }
    let broken = [
        ("an app is changed by one deployment at most", locks_overlap(&view)),
        ("nothing is launched beyond the goal and its over-capacity", beyond_the_goal(&view)),
        ("every instance names its app and its task", misnamed(&view)),
        ("an app that no deployment changes has the instances it wants", not_kept(&view)),
    ];
    for (name, what) in broken {
        if let Some(what) = what {
            panic!("seed {} step {step}: {name}: {what}", world.seed);
        }
    }
}

/// Panics when a step that took the world from `before` to what it is now left the bounds of an
/// upgrade. Not for steps in which somebody killed tasks, or Marathon was restarted.
pub(crate) fn check_upgrades(world: &mut World, step: usize, before: &View) {
    let after = world.view();
    let restarts = after.deployments.iter().flat_map(|deployment| {
        let step = deployment.step.and_then(|step| deployment.plan.steps.get(step));
        let actions = step.into_iter().flat_map(|step| &step.actions);
        actions
            .filter(|action| action.kind == ActionKind::Restart)
            .filter_map(|action| deployment.plan.affected[&action.app].after.as_ref())
    });
    for target in restarts {
        if let Some(what) = beyond_the_bounds(before, &after, target) {
            panic!("seed {} step {step}: an upgrade keeps to its bounds: {what}", world.seed);
        }
    }
}

fn beyond_the_bounds(before: &View, after: &View, target: &AppSpec) -> Option<String> {
    let app = &target.id;
    let n = f64::from(target.instances);
    let least = (n * target.upgrade.minimum_health_capacity).ceil() as usize;
    let most = (n * (1.0 + target.upgrade.maximum_over_capacity)).floor() as usize;
    let most = if least == most { most + 1 } else { most };
    let was = |instance: &Instance| before.instances.get(app)?.get(&instance.id).cloned();
    let is_old = |instance: &Instance| instance.spec.version < target.version;
    let healthy = |instance: &Instance| health::verdict(instance) == Verdict::Healthy;
    let sentenced = |instance: &Instance| {
        instance.goal == Goal::Decommissioned
            && was(instance).is_some_and(|before| before.goal == Goal::Running)
    };
    let (mut serving, mut healthy_goes, mut added) = (0, false, false);
    let (mut old_active, mut started) = (0, 0);
    for instance in after.instances_of(app) {
        match is_old(instance) {
            true => {
                serving += usize::from(instance.counts() && healthy(instance));
                healthy_goes |= healthy(instance) && sentenced(instance);
                old_active += usize::from(instance.condition().is_active());
            }
            false => {
                serving += usize::from(instance.counts() && health::is_up(instance));
                added |= was(instance).is_none();
                started += usize::from(instance.counts());
            }
        }
    }
    if healthy_goes && serving < least {
        return Some(format!("{app}: a healthy one goes, {serving} of {least} are left"));
    }
    (added && old_active + started > most)
        .then(|| format!("{app}: {old_active} old and {started} new, at most {most} may be"))
}

fn locks_overlap(view: &View) -> Option<String> {
    let mut locked: BTreeMap<&PathId, &str> = BTreeMap::new();
    for deployment in &view.deployments {
        for app in deployment.plan.affected.keys() {
            if let Some(other) = locked.insert(app, deployment.plan.id.as_str()) {
                return Some(format!("{app} by {other} and {}", deployment.plan.id));
            }
        }
    }
    None
}

fn beyond_the_goal(view: &View) -> Option<String> {
    view.instances.iter().find_map(|(app, instances)| {
        let to_stay = instances.values().filter(|instance| instance.counts()).count();
        let bound = match view.deployments_of(app).next() {
            None => view.root.apps.get(app).map_or(0, |spec| spec.instances as usize),
            Some(deployment) => {
                let change = &deployment.plan.affected[app];
                let old = instances.values().filter(|instance| instance.counts());
                let target = change.after.as_ref();
                let version = target.map(|target| target.version);
                let old = old.filter(|instance| Some(instance.spec.version) < version).count();
                target.map_or(to_stay, |target| {
                    let n = target.instances as usize;
                    let over = (n as f64 * (1.0 + target.upgrade.maximum_over_capacity)) as usize;
                    // Before its step, an app is as it was.
                    (over + 1).max(old).max(n)
                })
            }
        };
        (to_stay > bound).then(|| format!("{app} has {to_stay}, at most {bound}"))
    })
}

fn misnamed(view: &View) -> Option<String> {
    for (app, instances) in view.instances.iter() {
        for (id, instance) in instances.iter() {
            let task = instance.task.as_ref().map(|task| &task.id);
            let named = *id == instance.id
                && id.app() == app
                && instance.spec.id == *app
                && task.is_none_or(|task| *task == id.task(instance.incarnation));
            if !named {
                return Some(format!("{instance:?}"));
            }
        }
    }
    None
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
    let strays = view.instances.iter().find(|(app, instances)| {
        !view.root.apps.contains_key(*app)
            && view.deployments_of(app).next().is_none()
            && instances.values().any(|instance| instance.goal == Goal::Running)
    });
    strays.map(|(app, _)| format!("{app} is gone and still wanted"))
}
