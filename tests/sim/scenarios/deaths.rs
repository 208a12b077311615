//! Processes die; what they looked after doesn't.

use super::{calm_cluster, is_at_rest, run, running};
use crate::processes::master::MASTER;
use crate::schedule::Event;
use crate::world::World;

/// Starts what is down.
fn start_all(world: &mut World) {
    let nodes: Vec<_> = world.agents.iter().map(|agent| agent.node).collect();
    for node in nodes.into_iter().chain([MASTER, world.marathon.node]) {
        let now = world.kernel.now();
        world.kernel.schedule.at(now, Event::Start { node });
    }
}

#[test]
fn agents_die_and_their_tasks_run_on() {
    let mut world = calm_cluster(4);
    let before = running(&world);
    let nodes: Vec<_> = world.agents.iter().map(|agent| agent.node).collect();
    nodes.iter().for_each(|node| world.kill(*node, false));
    run(&mut world, 20);
    start_all(&mut world);
    run(&mut world, 30);
    assert_eq!(running(&world), before, "the same tasks");
    is_at_rest(&mut world);
}

#[test]
fn the_master_dies_and_no_task_starts_again() {
    let mut world = calm_cluster(4);
    let before = running(&world);
    world.kill(MASTER, false);
    run(&mut world, 30);
    start_all(&mut world);
    run(&mut world, 60);
    assert_eq!(running(&world), before, "the same tasks");
    is_at_rest(&mut world);
}

#[test]
fn marathon_dies_and_adopts_what_runs() {
    let mut world = calm_cluster(4);
    let before = running(&world);
    let framework = world.marathon.framework();
    world.kill(world.marathon.node, false);
    run(&mut world, 30);
    start_all(&mut world);
    run(&mut world, 30);
    assert_eq!(running(&world), before, "the same tasks");
    assert_eq!(world.marathon.framework(), framework, "under the same id");
    is_at_rest(&mut world);
}

#[test]
fn a_host_reboots_and_its_tasks_are_replaced() {
    let mut world = calm_cluster(4);
    let before = running(&world);
    let nodes: Vec<_> = world.agents.iter().map(|agent| agent.node).collect();
    nodes.iter().for_each(|node| world.kill(*node, true));
    assert!(running(&world).is_empty(), "nothing outlives its host");
    run(&mut world, 10);
    start_all(&mut world);
    run(&mut world, 60);
    let after = running(&world);
    assert_eq!(after.len(), before.len());
    assert!(after.is_disjoint(&before), "none of them again");
    is_at_rest(&mut world);
}

#[test]
fn launchers_die_and_their_tasks_are_replaced() {
    let mut world = calm_cluster(4);
    let before = running(&world);
    for index in 0..world.agents.len() {
        world.agents[index].launcher_killed(&mut world.kernel);
    }
    run(&mut world, 60);
    let after = running(&world);
    assert_eq!(after.len(), before.len());
    assert!(after.is_disjoint(&before), "none of them again");
    is_at_rest(&mut world);
}
