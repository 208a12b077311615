//! The launch queue: growing pauses, launch tokens, and launches that take too long.

use std::time::Duration;

use meros_marathon_core::input::Input;
use meros_marathon_core::instances::Condition;
use meros_marathon_core::output::Call;
use meros_proto::v1::TaskState;
use meros_proto::v1::task_status::Reason;

use crate::wire::update;
use crate::world::{World, app, changed, id, put, task_of};

/// A world in which `/a` runs with one instance.
fn with_app() -> World {
    let mut world = World::new(1, 3);
    world.put(app("/a", 1)).unwrap();
    world.run_until_deployed();
    world
}

/// The pause before the next launch of `/a`, if something waits and has one.
fn delay(world: &mut World) -> Option<f64> {
    let view = world.view();
    view.queue.first()?.delay.map(|delay| delay.length.as_secs_f64())
}

/// Ends the task of `/a` in some way, and lets that be heard.
fn end(world: &mut World, how: TaskState, reason: Option<Reason>) {
    world.run_until("it runs", |view| {
        view.instances_of(&id("/a")).all(|instance| instance.condition() == Condition::Running)
    });
    let (now, task) = (world.now, task_of(&world.only("/a")));
    world.master.becomes(now, &task, how, reason);
    world.run_until("it waits", |view| !view.queue.is_empty());
}

#[test]
fn what_counts_as_a_failed_launch_is_what_ended_by_itself() {
    for (how, counts) in [
        (TaskState::TaskFailed, true),
        (TaskState::TaskError, true),
        (TaskState::TaskDropped, true),
        (TaskState::TaskGone, true),
        (TaskState::TaskFinished, true),
        (TaskState::TaskKilled, false),
    ] {
        let mut world = with_app();
        end(&mut world, how, None);
        assert_eq!(delay(&mut world).is_some(), counts, "{how:?}");
    }
}

#[test]
fn each_failure_makes_the_pause_longer_until_the_app_lives_long_enough() {
    let mut world = with_app();
    for length in [1.0, 1.15, 1.3225] {
        end(&mut world, TaskState::TaskFailed, None);
        assert!((delay(&mut world).unwrap() - length).abs() < 1e-9);
    }
    world.run_for(Duration::from_secs(299));
    end(&mut world, TaskState::TaskFailed, None);
    assert!((delay(&mut world).unwrap() - 1.520_875).abs() < 1e-9, "not long enough");
    world.run_for(Duration::from_secs(400));
    end(&mut world, TaskState::TaskFailed, None);
    assert_eq!(delay(&mut world), Some(1.0));
}

#[test]
fn draining_an_agent_is_no_failure_and_ends_the_pause() {
    for how in [TaskState::TaskKilled, TaskState::TaskGoneByOperator] {
        let mut world = with_app();
        end(&mut world, TaskState::TaskFailed, None);
        end(&mut world, how, Some(Reason::AgentDraining));
        assert_eq!(delay(&mut world), None, "{how:?}");
    }
}

#[test]
fn an_upgrade_and_a_restart_of_marathon_forget_the_pause_but_scaling_does_not() {
    let mut world = with_app();
    end(&mut world, TaskState::TaskFailed, None);
    world.change(put(app("/a", 2)), false).unwrap();
    assert_eq!(delay(&mut world), Some(1.0));
    world.run_until_deployed();
    world.change(put(changed(app("/a", 2), 1)), false).unwrap();
    assert_eq!(delay(&mut world), None);

    let mut world = with_app();
    end(&mut world, TaskState::TaskFailed, None);
    world.restart();
    assert_eq!(delay(&mut world), None);
}

#[test]
fn as_many_launches_are_under_way_as_there_are_tokens_and_running_gives_one_back() {
    let mut world = World::with(1, 3, |config| config.launch_tokens = 2);
    world.master.behaviour.sluggish = Duration::from_secs(100_000);
    world.put(app("/a", 7)).unwrap();
    for (seconds, launched) in [(1, 2), (28, 2), (31, 4), (61, 6), (91, 7)] {
        let left = seconds - world.since_start().as_secs();
        world.run_for(Duration::from_secs(left));
        assert_eq!(world.master.launched.len(), launched, "after {seconds} s");
    }
    let resent = |call: &Call| matches!(call, Call::Decline { refuse: None, .. });
    assert!(world.calls.iter().any(resent), "what could have been used is offered again soon");

    let mut world = World::with(1, 3, |config| config.launch_tokens = 2);
    world.put(app("/a", 7)).unwrap();
    world.run_for(Duration::from_secs(20));
    assert_eq!(world.running("/a").len(), 7, "each that runs makes room for another");
}

#[test]
fn a_launch_that_nobody_confirms_or_that_never_runs_is_killed_in_time() {
    for (state, at_least) in [(None, 300), (Some(TaskState::TaskStarting), 300)] {
        let mut world = World::new(1, 1);
        world.master.behaviour.sluggish = Duration::from_secs(100_000);
        world.put(app("/a", 1)).unwrap();
        world.run_until("it is launched", |view| view.queue.is_empty());
        let launched = world.now.mono;
        let task = world.master.launched.first().unwrap().clone();
        if let Some(state) = state {
            let now = world.now;
            world.master.becomes(now, &task, state, None);
        }
        world.run_for(Duration::from_secs(200));
        // A restart doesn't begin the wait anew.
        world.restart();
        world.calls.clear();
        let deadline = world.now.mono + Duration::from_secs(200);
        while !world.calls.iter().any(|call| matches!(call, Call::Kill { .. })) {
            assert!(world.step(deadline), "{state:?}: never killed");
        }
        let after = world.now.mono.since(launched).as_secs();
        assert!((at_least..at_least + 5).contains(&after), "{state:?}: after {after} s");
        assert_eq!(world.take_kills(), [task]);
    }
}

#[test]
fn a_launch_that_was_dropped_is_tried_again_after_its_pause() {
    let mut world = World::new(1, 1);
    world.master.behaviour.sluggish = Duration::from_secs(100_000);
    world.put(app("/a", 1)).unwrap();
    world.run_until("it is launched", |view| view.queue.is_empty());
    let task = world.master.launched.first().unwrap().clone();
    world.batch(vec![Input::Status(update(&task, TaskState::TaskDropped, None))]);
    assert_eq!(delay(&mut world), Some(1.0));
    world.run_for(Duration::from_secs(2));
    assert_eq!(world.master.launched.len(), 2);
}

#[test]
fn a_task_that_began_to_run_while_marathon_was_away_is_not_taken_for_overdue() {
    let mut world = World::new(1, 1);
    world.master.behaviour.sluggish = Duration::from_secs(100_000);
    world.put(app("/a", 1)).unwrap();
    world.run_until("it is launched", |view| view.queue.is_empty());
    let task = world.master.launched.first().unwrap().clone();
    world.stop();
    let now = world.now;
    world.master.becomes(now, &task, TaskState::TaskRunning, None);
    world.run_for(Duration::from_secs(1_000));
    world.restart();
    world.run_for(Duration::from_secs(1_000));
    assert_eq!(task_of(&world.only("/a")), task);
    assert_eq!(world.take_kills(), []);
}
