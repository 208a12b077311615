//! Agents that are lost: waited for, made up for, given up, and come back.

use std::time::Duration;

use meros_marathon_core::apps::{KillSelection, UnreachableStrategy};
use meros_marathon_core::instances::Condition;

use crate::world::{World, app, id, task_of};

/// A world with one instance of `/a` on the only agent, which is then lost; and another agent that
/// is there for replacements.
fn lost(strategy: UnreachableStrategy) -> World {
    let mut world = World::new(1, 2);
    world.master.set_reachable(1, false);
    let mut spec = app("/a", 1);
    spec.unreachable = strategy;
    spec.kill_selection = KillSelection::OldestFirst;
    world.put(spec).unwrap();
    world.run_until_deployed();
    world.master.set_reachable(1, true);
    world.master.set_reachable(0, false);
    world.run_for(Duration::from_secs(1));
    world
}

fn after(inactive: u64, expunge: u64) -> UnreachableStrategy {
    let seconds = Duration::from_secs;
    UnreachableStrategy::After { inactive: seconds(inactive), expunge: seconds(expunge) }
}

/// The conditions of the instances of `/a`, in order.
fn conditions(world: &mut World) -> Vec<Condition> {
    let view = world.view();
    let mut all: Vec<_> = view.instances_of(&id("/a")).map(|i| i.condition()).collect();
    all.sort_unstable();
    all
}

#[test]
fn an_instance_that_returns_in_time_goes_on_as_it_was() {
    let mut world = lost(after(60, 120));
    world.run_for(Duration::from_secs(50));
    assert_eq!(conditions(&mut world), [Condition::Unreachable]);
    world.master.set_reachable(0, true);
    world.run_for(Duration::from_secs(500));
    assert_eq!(conditions(&mut world), [Condition::Running]);
    assert_eq!(world.master.launched.len(), 1);
    assert_eq!(world.only("/a").incarnation, 1);
}

#[test]
fn one_that_returns_after_it_was_replaced_is_one_too_many() {
    let mut world = lost(after(60, 1_000));
    let first = {
        let view = world.view();
        let instance = view.instances_of(&id("/a")).next().unwrap();
        task_of(instance)
    };
    world.run_for(Duration::from_secs(70));
    assert_eq!(conditions(&mut world), [Condition::Running, Condition::UnreachableInactive]);
    world.take_kills();
    world.master.set_reachable(0, true);
    world.run_for(Duration::from_secs(5));
    assert_eq!(world.take_kills(), [first], "the oldest, as its app wants");
    assert_eq!(conditions(&mut world), [Condition::Running]);
}

#[test]
fn equal_times_give_it_up_at_once_when_they_are_over() {
    let mut world = lost(after(60, 60));
    world.run_for(Duration::from_secs(57));
    assert_eq!(conditions(&mut world), [Condition::Unreachable]);
    world.run_for(Duration::from_secs(5));
    assert_eq!(conditions(&mut world), [Condition::Running]);
    assert_eq!(world.view().instances_of(&id("/a")).count(), 1);
}

#[test]
fn no_time_at_all_replaces_it_as_soon_as_it_is_told() {
    let mut world = lost(after(0, 0));
    world.run_for(Duration::from_secs(1));
    assert_eq!(conditions(&mut world), [Condition::Running]);
}

#[test]
fn a_disabled_strategy_waits_for_ever() {
    let mut world = lost(UnreachableStrategy::Disabled);
    world.run_for(Duration::from_secs(100_000));
    assert_eq!(conditions(&mut world), [Condition::Unreachable]);
    assert_eq!(world.master.launched.len(), 1);
}

#[test]
fn the_times_go_on_while_marathon_is_restarted() {
    let mut world = lost(after(60, 120));
    world.run_for(Duration::from_secs(50));
    world.restart();
    world.run_for(Duration::from_secs(5));
    assert_eq!(conditions(&mut world), [Condition::Unreachable]);
    world.run_for(Duration::from_secs(10));
    assert_eq!(conditions(&mut world), [Condition::Running, Condition::UnreachableInactive]);
    world.restart();
    world.run_for(Duration::from_secs(60));
    assert_eq!(conditions(&mut world), [Condition::Running]);
}

#[test]
fn one_that_is_given_up_is_killed_when_it_returns() {
    let mut world = lost(after(5, 10));
    let given_up = world.master.launched.first().unwrap().clone();
    world.run_for(Duration::from_secs(20));
    world.take_kills();
    world.master.set_reachable(0, true);
    world.run_for(Duration::from_secs(5));
    assert_eq!(world.take_kills()[0], given_up);
    assert_eq!(world.master.tasks.values().filter(|task| task.is_live()).count(), 1);
}
