//! Single faults, each told as a story: what a seed may or may not happen to do.

mod deaths;
mod strays;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use meros_agent_core::task::TaskKey;
use meros_marathon_core::input::{Expect, Input, PutApp, RootChange};
use meros_proto::caller::Caller;

use crate::invariants::rest;
use crate::users;
use crate::world::{Setting, World};

/// A cluster in which nothing goes wrong by itself, with an app of `instances` that run.
fn calm_cluster(instances: u32) -> World {
    let mut world = World::calm(Setting { seed: 7, shown: false, look_every: 1 });
    world.batches.iter_mut().for_each(|batch| batch.winding_down = true);
    run(&mut world, 5);
    let mut spec = users::plain_app("/app");
    spec.instances = instances;
    let put = PutApp { spec: Arc::new(spec), expect: Expect::Absent };
    let change = RootChange::PutApps(vec![put]);
    let caller = Caller::default();
    let ask = |reply| Input::Change { caller, reply, force: false, change };
    world.marathon.ask(&mut world.kernel, ask);
    run(&mut world, 15);
    assert_eq!(running(&world).len(), instances as usize, "they run");
    world
}

/// Lets seconds pass.
#[track_caller]
fn run(world: &mut World, seconds: u64) {
    if let Err(broken) = world.run_for(Duration::from_secs(seconds)) {
        panic!("{}: {}", broken.invariant, broken.how);
    }
}

/// The app's tasks that have a process.
fn running(world: &World) -> BTreeSet<TaskKey> {
    let launchers = world.agents.iter().map(|agent| &agent.launcher);
    let keys = launchers.flat_map(|launcher| launcher.running().map(|(_, key)| key.clone()));
    keys.filter(|key| key.task.as_str().starts_with("app.")).collect()
}

/// Everybody agrees with everybody.
#[track_caller]
fn is_at_rest(world: &mut World) {
    assert_eq!(rest::unrest(world), None);
}
