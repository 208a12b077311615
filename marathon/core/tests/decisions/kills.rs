//! Kills: how many at once, how often, and of what nobody knows.

use std::time::Duration;

use meros_marathon_core::events::EventKind;
use meros_marathon_core::input::{Input, KillMode, KillTargets};
use meros_marathon_core::instances::{Condition, InstanceId};
use meros_marathon_core::output::{Answer, Call};
use meros_proto::caller::Caller;
use meros_proto::ids::{AgentId, TaskId};
use meros_proto::v1::TaskState;

use crate::wire::update;
use crate::world::{World, app, id, task_of};

fn kill(world: &mut World, targets: KillTargets, mode: KillMode) {
    let caller = Caller::default();
    let answer = world.ask(|reply| Input::Kill { caller, reply, targets, mode });
    assert!(matches!(answer, Answer::Killed(Ok(_))));
}

fn all_of_a() -> KillTargets {
    KillTargets::App { app: id("/a"), host: None }
}

fn status(task: &str, state: TaskState) -> Input {
    let agent = AgentId::parse("agent-0").unwrap();
    Input::Status(update(&TaskId::parse(task).unwrap(), state, Some(agent)))
}

#[test]
fn no_more_kills_are_under_way_than_allowed_and_each_answer_makes_room() {
    let mut world = World::with(1, 3, |config| config.max_kills = 2);
    world.put(app("/a", 6)).unwrap();
    world.run_until_deployed();
    world.master.behaviour.lost_kills = 1.0;
    kill(&mut world, all_of_a(), KillMode::Relaunch);
    let first = world.take_kills();
    assert_eq!(first.len(), 2);
    world.run_for(Duration::from_secs(10));
    assert_eq!(world.take_kills(), []);
    let now = world.now;
    world.master.becomes(now, &first[0], TaskState::TaskKilled, None);
    world.run_for(Duration::from_secs(1));
    assert_eq!(world.take_kills().len(), 1, "one has ended");
}

#[test]
fn a_kill_that_nothing_answers_is_repeated_every_thirty_seconds() {
    let mut world = World::new(1, 1);
    world.put(app("/a", 1)).unwrap();
    world.run_until_deployed();
    world.master.behaviour.lost_kills = 1.0;
    kill(&mut world, all_of_a(), KillMode::Relaunch);
    assert_eq!(world.take_kills().len(), 1);
    let (from, mut at) = (world.now.mono, Vec::new());
    let deadline = from + Duration::from_secs(100);
    while world.step(deadline) {
        let kills = world.take_kills().len();
        at.extend(std::iter::repeat_n(world.now.mono.since(from).as_secs(), kills));
    }
    assert_eq!(at, [30, 60, 90]);
}

#[test]
fn a_task_of_nobody_is_killed_while_it_lives_and_told_of_when_it_has_ended() {
    let mut world = World::new(1, 1);
    world.take_events();
    let stray = "a_b.instance-00000000-0000-4000-8000-000000000000._app.1";
    world.batch(vec![status(stray, TaskState::TaskRunning)]);
    assert_eq!(world.take_kills(), [TaskId::parse(stray).unwrap()]);
    assert!(world.take_events().is_empty());
    world.batch(vec![status(stray, TaskState::TaskUnreachable)]);
    assert_eq!(world.take_kills(), [], "nobody would hear it");
    world.batch(vec![status(stray, TaskState::TaskFailed)]);
    assert_eq!(world.take_kills(), []);
    let events = world.take_events();
    let [event] = &events[..] else { panic!("{events:?}") };
    assert_eq!(
        event.kind,
        EventKind::UnknownInstanceTerminated {
            instance: InstanceId::of_task(stray).unwrap(),
            app: id("/a/b"),
            condition: Condition::Failed,
        }
    );
}

#[test]
fn an_older_task_of_an_instance_is_killed_and_its_end_is_nothing() {
    let mut world = World::new(1, 1);
    world.put(app("/a", 1)).unwrap();
    world.run_until_deployed();
    let instance = world.only("/a");
    world.take_events();
    let older = format!("{}._app.0", instance.id);
    world.batch(vec![status(&older, TaskState::TaskRunning)]);
    assert_eq!(world.take_kills(), [TaskId::parse(&older).unwrap()]);
    world.batch(vec![status(&older, TaskState::TaskKilled)]);
    assert!(world.take_events().is_empty());
    assert_eq!(task_of(&world.only("/a")), task_of(&instance));
}

#[test]
fn what_nobody_can_reach_is_given_up_at_once_when_it_is_to_be_killed() {
    use meros_marathon_core::apps::UnreachableStrategy;
    for mode in [KillMode::Relaunch, KillMode::Wipe] {
        let mut world = World::new(1, 2);
        let mut spec = app("/a", 2);
        spec.unreachable = UnreachableStrategy::Disabled;
        world.put(spec).unwrap();
        world.run_until_deployed();
        let lost: Vec<_> = world.running("/a").iter().map(|instance| instance.id.clone()).collect();
        world.master.set_reachable(0, false);
        world.master.set_reachable(1, false);
        world.run_for(Duration::from_secs(1));
        kill(&mut world, all_of_a(), mode);
        assert_eq!(world.take_kills(), [], "nobody would hear it");
        let view = world.view();
        let now: Vec<_> =
            view.instances_of(&id("/a")).map(|i| (i.id.clone(), i.condition())).collect();
        assert!(now.iter().all(|(id, is)| !lost.contains(id) && *is == Condition::Scheduled));
        assert_eq!(now.len(), 2);
        world.master.set_reachable(0, true);
        world.master.set_reachable(1, true);
        world.run_for(Duration::from_secs(5));
        assert_eq!(world.master.tasks.values().filter(|task| task.is_live()).count(), 2);
    }
}

#[test]
fn the_grace_of_an_app_goes_with_each_kill() {
    let mut world = World::new(1, 1);
    let mut spec = app("/a", 1);
    spec.kill_grace = Some(Duration::from_secs(7));
    world.put(spec).unwrap();
    world.run_until_deployed();
    world.calls.clear();
    kill(&mut world, all_of_a(), KillMode::Relaunch);
    let grace = world.calls.iter().find_map(|call| match call {
        Call::Kill { grace, .. } => Some(*grace),
        _ => None,
    });
    assert_eq!(grace, Some(Some(Duration::from_secs(7))));
}

#[test]
fn scaling_down_by_kills_counts_what_is_active_and_not_being_killed_over_several_apps() {
    let mut world = World::new(1, 3);
    for name in ["/a", "/b"] {
        world.put(app(name, 3)).unwrap();
        world.run_until_deployed();
    }
    let victims: Vec<_> = [world.running("/a"), world.running("/b")]
        .iter()
        .flat_map(|running| running.iter().take(2).map(|instance| task_of(instance)))
        .collect();
    let (now, dying) = (world.now, victims[0].clone());
    world.master.behaviour.lost_kills = 1.0;
    world.master.becomes(now, &dying, TaskState::TaskKilling, None);
    world.run_for(Duration::from_secs(1));
    world.master.behaviour.lost_kills = 0.0;
    kill(&mut world, KillTargets::Tasks(victims), KillMode::Scale { force: false });
    let view = world.view();
    assert_eq!(view.deployments.len(), 1);
    assert_eq!(view.root.apps[&id("/a")].instances, 2, "one of the two is being killed already");
    assert_eq!(view.root.apps[&id("/b")].instances, 1);
}
