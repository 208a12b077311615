//! Replacing instances: the bounds of the upgrade strategy, at every step.

use std::time::Duration;

use meros_marathon_core::health::{self, Verdict};
use meros_marathon_core::input::RootChange;
use meros_marathon_core::instances::Instance;
use meros_marathon_core::output::ChangeDone;
use meros_marathon_core::version::Version;
use meros_proto::v1::TaskState;

use crate::health::http;
use crate::readiness::ready_check;
use crate::world::{World, app, changed, id, put, task_of};

/// Replaces all instances of an app, watching the bounds.
#[track_caller]
fn check(instances: u32, min_health: f64, over: f64, seed: u64) {
    let mut world = World::new(seed, 5);
    let mut spec = app("/a", instances);
    spec.upgrade.minimum_health_capacity = min_health;
    spec.upgrade.maximum_over_capacity = over;
    world.put(spec.clone()).unwrap();
    world.run_until_deployed();
    let name = format!("n={instances} mhc={min_health} moc={over} seed={seed}");

    let n = f64::from(instances);
    let least = (n * min_health).ceil() as usize;
    let most = (n * (1.0 + over)).floor() as usize;
    let most = if least == most { most + 1 } else { most };
    let done = watch(&mut world, put(changed(spec, 1)), least, most, &name);
    let running = world.running("/a");
    assert_eq!(running.len(), instances as usize, "{name}");
    assert!(running.iter().all(|instance| instance.spec.version == done.version), "{name}");
    assert_eq!(world.master.tasks.len(), instances as usize, "{name}");
}

/// Makes a change, and watches until it is deployed that at least so many instances of `/a` serve,
/// and at most so many are there.
#[track_caller]
fn watch(
    world: &mut World,
    change: RootChange,
    least: usize,
    most: usize,
    name: &str,
) -> ChangeDone {
    let done = world.change(change, false).unwrap();
    let deadline = world.now.mono + Duration::from_secs(3_600);
    loop {
        let view = world.view();
        let serving = view
            .instances_of(&id("/a"))
            .filter(|instance| instance.counts() && serves(instance, done.version))
            .count();
        let taken = view.instances_of(&id("/a")).filter(|i| i.condition().is_active()).count();
        assert!(serving >= least, "{name}: only {serving} of {least} serve");
        assert!(taken <= most, "{name}: {taken} are there, at most {most} may be");
        if view.deployments.is_empty() {
            return done;
        }
        assert!(world.step(deadline), "{name}: never done");
    }
}

/// Whether an instance serves users: a new one has to be ready, too.
fn serves(instance: &Instance, version: Version) -> bool {
    match instance.spec.version < version {
        true => health::verdict(instance) == Verdict::Healthy,
        false => health::is_up(instance),
    }
}

#[test]
fn an_upgrade_never_leaves_the_bounds_of_its_strategy() {
    for (instances, min_health, over) in [
        (4, 1.0, 1.0),
        (4, 0.5, 0.0),
        (10, 0.8, 0.2),
        (3, 1.0, 0.0),
        (1, 0.0, 0.0),
        (1, 1.0, 0.0),
        (1, 1.0, 1.0),
        (5, 0.5, 0.5),
        (7, 0.0, 1.0),
    ] {
        for seed in 0..5 {
            check(instances, min_health, over, seed);
        }
    }
}

#[test]
fn a_restart_replaces_every_instance_of_the_same_definition() {
    let mut world = World::new(1, 3);
    world.put(app("/a", 3)).unwrap();
    world.run_until_deployed();
    let before: Vec<_> = world.running("/a").iter().map(|instance| instance.id.clone()).collect();
    world.change(RootChange::RestartApp(id("/a")), false).unwrap();
    world.run_until_deployed();
    let after: Vec<_> = world.running("/a").iter().map(|instance| instance.id.clone()).collect();
    assert_eq!(after.len(), 3);
    assert!(after.iter().all(|id| !before.contains(id)));
}

#[test]
fn an_app_that_never_ran_is_replaced_without_waiting() {
    let mut world = World::new(1, 3);
    let mut huge = app("/a", 3);
    huge.cpus = 1_000.0;
    huge.upgrade.maximum_over_capacity = 0.0;
    world.put(huge).unwrap();
    world.run_for(Duration::from_secs(5));
    let mut small = app("/a", 3);
    small.upgrade.maximum_over_capacity = 0.0;
    world.change(put(small), true).unwrap();
    world.run_until_deployed();
    assert_eq!(world.running("/a").len(), 3);
}

#[test]
fn an_upgrade_that_overtakes_another_ends_with_the_last_one() {
    let mut world = World::new(1, 4);
    world.put(app("/a", 4)).unwrap();
    world.run_until_deployed();
    for nth in 1..5 {
        world.change(put(changed(app("/a", 4), nth)), true).unwrap();
        world.run_for(Duration::from_millis(150));
    }
    world.run_until_deployed();
    let running = world.running("/a");
    assert_eq!(running.len(), 4);
    assert!(running.iter().all(|instance| instance.spec.env["CHANGE"] == "4"));
    assert_eq!(world.master.tasks.len(), 4);
}

#[test]
fn old_instances_that_end_by_themselves_count_as_replaced() {
    let mut world = World::new(1, 3);
    let mut spec = app("/a", 3);
    spec.upgrade.maximum_over_capacity = 0.0;
    world.put(spec.clone()).unwrap();
    world.run_until_deployed();
    let old: Vec<_> = world.running("/a").iter().map(|instance| task_of(instance)).collect();
    world.master.behaviour.sluggish = Duration::from_secs(1_000_000);
    let done = world.change(put(changed(spec, 1)), false).unwrap();
    world.run_for(Duration::from_secs(1));
    assert_eq!(world.master.launched.len(), 4, "one more than wanted for a while");
    let now = world.now;
    for task in &old[..2] {
        world.master.becomes(now, task, TaskState::TaskFailed, None);
    }
    world.run_for(Duration::from_secs(1));
    assert_eq!(world.take_kills(), [], "nothing is healthy that could be spared");
    let view = world.view();
    let new = view.instances_of(&id("/a")).filter(|i| i.spec.version == done.version).count();
    assert_eq!(new, 3, "they freed room, and aren't started again");
}

#[test]
fn an_upgrade_of_an_app_with_checks_keeps_to_its_bounds_by_health_and_readiness() {
    for seed in 0..20 {
        let mut spec = app("/a", 5);
        spec.health_checks = vec![http()];
        spec.readiness_checks = vec![ready_check()];
        spec.upgrade.minimum_health_capacity = 0.6;
        spec.upgrade.maximum_over_capacity = 0.2;
        let mut world = World::new(seed, 4);
        world.put(spec.clone()).unwrap();
        world.run_until_deployed();
        world.services.manners.unready = 0.7;
        world.services.manners.sluggish = Duration::from_secs(3);
        watch(&mut world, put(changed(spec, 1)), 3, 6, &format!("seed {seed}"));
    }
}

#[test]
fn more_instances_than_wanted_go_first_when_an_upgrade_also_shrinks_an_app() {
    let mut world = World::new(1, 4);
    world.put(app("/a", 6)).unwrap();
    world.run_until_deployed();
    world.take_kills();
    world.change(put(changed(app("/a", 2), 1)), false).unwrap();
    assert_eq!(world.take_kills().len(), 4, "killed at once");
    assert_eq!(world.master.launched.len(), 6, "nothing is started before they have ended");
    world.run_until_deployed();
    assert_eq!(world.running("/a").len(), 2);
}
