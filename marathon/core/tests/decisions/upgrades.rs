//! Replacing instances: the bounds of the upgrade strategy, at every step.

use std::time::Duration;

use meros_marathon_core::health;
use meros_marathon_core::input::RootChange;

use crate::world::{World, app, changed, id, put};

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
    let done = world.change(put(changed(spec, 1)), false).unwrap();
    let deadline = world.now.mono + Duration::from_secs(600);
    loop {
        let view = world.view();
        let serving = view
            .instances_of(&id("/a"))
            .filter(|instance| instance.counts() && health::is_up(instance))
            .count();
        let taken = view.instances_of(&id("/a")).filter(|i| i.condition().is_active()).count();
        assert!(serving >= least, "{name}: only {serving} of {least} serve");
        assert!(taken <= most, "{name}: {taken} are there, at most {most} may be");
        if view.deployments.is_empty() {
            break;
        }
        assert!(world.step(deadline), "{name}: never done");
    }
    let running = world.running("/a");
    assert_eq!(running.len(), instances as usize, "{name}");
    assert!(running.iter().all(|instance| instance.spec.version == done.version), "{name}");
    assert_eq!(world.master.tasks.len(), instances as usize, "{name}");
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
