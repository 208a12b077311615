//! What must hold after every step.

use std::collections::BTreeMap;

use meros_marathon_core::instances::Goal;
use meros_marathon_core::path_id::PathId;
use meros_marathon_core::view::View;

use crate::world::World;

/// Panics with the name of the first invariant that is broken.
pub(crate) fn check(world: &mut World, step: usize) {
    let view = world.view();
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
    for (app, instances) in &view.instances {
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
