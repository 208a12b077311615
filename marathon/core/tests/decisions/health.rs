//! Health: when instances are asked, what counts, and what kills.

use std::time::Duration;

use meros_marathon_core::events::EventKind;
use meros_marathon_core::health::{CheckPort, HealthCheck, HealthCheckKind};
use meros_marathon_core::input::RootChange;
use meros_marathon_core::instances::{Condition, Instance};
use meros_proto::v1::TaskState;

use crate::world::{World, app, changed, id, put, task_of};

const FIRST_PORT: CheckPort = CheckPort::Index(0);

fn check(kind: HealthCheckKind) -> HealthCheck {
    HealthCheck {
        kind,
        grace_period: Duration::from_secs(30),
        interval: Duration::from_secs(10),
        timeout: Duration::from_secs(5),
        max_consecutive_failures: 3,
        delay: Duration::from_secs(1),
    }
}

pub(crate) fn http() -> HealthCheck {
    let (https, path, ignore_1xx) = (false, Some("/up".into()), false);
    check(HealthCheckKind::Http { https, path, port: FIRST_PORT, ignore_1xx })
}

pub(crate) fn command() -> HealthCheck {
    check(HealthCheckKind::Command { command: "true".into() })
}

/// A world with `/a` deployed, with these checks.
fn with_checks(instances: u32, checks: Vec<HealthCheck>) -> World {
    let mut world = World::new(1, 3);
    let mut spec = app("/a", instances);
    spec.health_checks = checks;
    world.put(spec).unwrap();
    world
}

/// Where an instance listens.
fn place(instance: &Instance) -> String {
    let task = instance.task.as_ref().unwrap();
    format!("{}:{}", task.agent.hostname, task.ports[0])
}

/// The health events since the last time, each with the seconds since `from`.
fn health_events(world: &mut World, from: meros_proto::time::Timestamp) -> Vec<String> {
    let told = world.take_events().into_iter().filter_map(|event| {
        let at = (event.at.as_millis() - from.as_millis()) / 1_000;
        let what = match event.kind {
            EventKind::AddHealthCheck { .. } => "add".into(),
            EventKind::RemoveHealthCheck { .. } => "remove".into(),
            EventKind::FailedHealthCheck { .. } => "failed".into(),
            EventKind::HealthStatusChanged { alive, .. } => format!("alive {alive}"),
            EventKind::UnhealthyInstanceKill { reason, .. } => format!("kill: {reason}"),
            EventKind::InstanceHealthChanged { healthy, .. } => format!("healthy {healthy:?}"),
            _ => return None,
        };
        Some(format!("{at} {what}"))
    });
    told.collect()
}

/// Lets a single instance run, and then makes it fail; returns the events of `seconds` after that.
#[track_caller]
fn falls_sick(checks: Vec<HealthCheck>, seconds: u64) -> Vec<String> {
    let mut world = with_checks(1, checks);
    world.run_until_deployed();
    let instance = world.only("/a");
    world.run_for(Duration::from_secs(60));
    world.services.sick.insert(place(&instance));
    world.take_events();
    let last_asked = world.services.asked.last().unwrap().0;
    let passed = world.now.mono.since(last_asked);
    let from = world.now.wall;
    world.run_for(Duration::from_secs(seconds) - passed);
    let all = health_events(&mut world, from);
    all.into_iter().map(|line| line.split_once(' ').unwrap().1.to_owned()).collect()
}

#[test]
fn the_first_question_comes_after_five_seconds_at_most_and_then_once_each_interval() {
    for (interval, first) in [(10, 5), (60, 5), (2, 2)] {
        let mut check = http();
        check.interval = Duration::from_secs(interval);
        let mut world = with_checks(1, vec![check]);
        world.run_until("it runs", |view| {
            view.instances_of(&id("/a")).any(|i| i.condition() == Condition::Running)
        });
        let began = world.now.mono;
        let instance = world.only("/a");
        world.run_for(Duration::from_secs(first + 3 * interval + 1));
        let after: Vec<u64> =
            world.services.asked.iter().map(|(at, _)| at.since(began).as_secs()).collect();
        assert_eq!(after[..4], [0, 1, 2, 3].map(|nth| first + nth * interval));
        let asked = format!("http://{}/up", place(&instance));
        assert!(world.services.asked.iter().all(|(_, url)| *url == asked));
    }
}

#[test]
fn a_deployment_waits_until_the_checks_pass_and_says_so() {
    let mut world = with_checks(1, vec![http()]);
    let from = world.now.wall;
    world.run_for(Duration::from_secs(4));
    assert_eq!(world.view().deployments.len(), 1, "it runs, and nobody knows whether it works");
    world.run_until_deployed();
    let record = world.only("/a").task.as_ref().unwrap().health[0].clone();
    assert!(record.is_alive() && record.first_success == record.last_success);
    assert_eq!(health_events(&mut world, from), ["0 add", "5 alive true", "5 healthy Some(true)"]);
}

#[test]
fn the_fourth_failure_in_a_row_kills_where_three_are_allowed() {
    let reason = "kill: 500 Internal Server Error";
    let expected =
        ["failed", "alive false", "healthy Some(false)", "failed", "failed", "failed", reason];
    let events = falls_sick(vec![http()], 41);
    assert_eq!(events[..7], expected, "{events:?}");
    assert_eq!(events[7..], ["healthy None"], "its task has ended, another is started");
}

#[test]
fn a_limit_of_nothing_never_kills() {
    let mut check = http();
    check.max_consecutive_failures = 0;
    let events = falls_sick(vec![check], 1_001);
    assert_eq!(events.iter().filter(|event| *event == "failed").count(), 100);
    assert!(events.iter().all(|event| !event.starts_with("kill")));
}

#[test]
fn one_success_begins_the_count_anew() {
    let mut world = with_checks(1, vec![http()]);
    world.run_until_deployed();
    let instance = world.only("/a");
    // Half-way from one question to the next.
    world.run_for(Duration::from_secs(5));
    for _ in 0..5 {
        world.services.sick.insert(place(&instance));
        world.run_for(Duration::from_secs(30));
        let record = world.only("/a").task.as_ref().unwrap().health[0].clone();
        assert_eq!((record.consecutive_failures, record.is_alive()), (3, false));
        assert!(record.last_failure_cause.unwrap().contains("500"));
        world.services.sick.clear();
        world.run_for(Duration::from_secs(10));
        let record = world.only("/a").task.as_ref().unwrap().health[0].clone();
        assert_eq!((record.consecutive_failures, record.is_alive()), (0, true));
    }
    assert_eq!(task_of(&world.only("/a")), task_of(&instance));
}

#[test]
fn failures_before_the_first_success_count_only_after_the_grace_period() {
    let mut world = with_checks(1, vec![http()]);
    world.services.manners.failing = 1.0;
    world.run_for(Duration::from_secs(30));
    let before = world.only("/a");
    assert!(before.task.as_ref().unwrap().health.is_empty(), "nothing counted");
    world.run_for(Duration::from_secs(10));
    let record = world.only("/a").task.as_ref().unwrap().health[0].clone();
    assert_eq!((record.consecutive_failures, record.first_success), (1, None));
    // Asked at 5, 15, 25: excused. At 35, 45, 55 counted, at 65 killed.
    world.run_for(Duration::from_secs(24));
    assert_eq!(task_of(&world.only("/a")), task_of(&before));
    world.services.manners.failing = 1.0;
    world.run_until("it is killed and started again", |view| {
        view.instances_of(&id("/a")).all(|instance| instance.incarnation == 2)
    });
}

#[test]
fn a_health_kill_is_no_failed_launch_and_delays_nothing() {
    let mut world = with_checks(1, vec![http()]);
    world.run_until_deployed();
    let instance = world.only("/a");
    world.services.sick.insert(place(&instance));
    world.run_until("it is killed", |view| {
        view.instances_of(&id("/a")).any(|instance| instance.task.is_none())
    });
    assert!(world.view().queue[0].delay.is_none());
    world.run_for(Duration::from_secs(1));
    let again = world.only("/a");
    assert_eq!((again.id.clone(), again.incarnation), (instance.id.clone(), 2));
    assert!(again.task.as_ref().unwrap().health.is_empty(), "its health is not known yet");
}

#[test]
fn answers_that_say_nothing_change_nothing() {
    let mut world = with_checks(1, vec![http()]);
    world.run_until_deployed();
    let instance = world.only("/a");
    world.services.vague.insert(place(&instance));
    world.run_for(Duration::from_secs(200));
    assert_eq!(world.only("/a").healthy(), Some(true));
    assert_eq!(task_of(&world.only("/a")), task_of(&instance));
}

#[test]
fn an_instance_is_healthy_when_all_its_checks_pass_and_unknown_while_one_says_nothing() {
    let mut late = http();
    late.interval = Duration::from_secs(3);
    let tcp = check(HealthCheckKind::Tcp { port: FIRST_PORT });
    let mut world = with_checks(1, vec![late, tcp]);
    world.run_for(Duration::from_millis(4_000));
    assert_eq!(world.only("/a").healthy(), None, "one has passed, the other wasn't asked yet");
    world.run_until_deployed();
    assert_eq!(world.only("/a").healthy(), Some(true));
    assert!(world.services.asked.iter().any(|(_, what)| what.starts_with("tcp://agent-")));
}

#[test]
fn an_unreachable_instance_is_neither_asked_nor_killed_and_asked_again_when_it_returns() {
    let mut world = World::new(1, 1);
    let mut spec = app("/a", 1);
    spec.health_checks = vec![http()];
    spec.unreachable = meros_marathon_core::apps::UnreachableStrategy::Disabled;
    world.put(spec).unwrap();
    world.run_until_deployed();
    let instance = world.only("/a");
    world.master.set_reachable(0, false);
    world.run_for(Duration::from_secs(1));
    let asked = world.services.asked.len();
    world.services.manners.failing = 1.0;
    world.run_for(Duration::from_secs(600));
    assert_eq!(world.services.asked.len(), asked);
    world.services.manners.failing = 0.0;
    world.master.set_reachable(0, true);
    world.run_for(Duration::from_secs(20));
    assert!(world.services.asked.len() > asked);
    assert_eq!(task_of(&world.only("/a")), task_of(&instance));
}

#[test]
fn an_unhealthy_app_is_replaced_without_waiting_for_capacity() {
    let mut world = with_checks(3, vec![http()]);
    world.services.manners.failing = 1.0;
    world.run_for(Duration::from_secs(50));
    world.services.manners.failing = 0.0;
    let mut fixed = changed(app("/a", 3), 1);
    fixed.health_checks = vec![http()];
    fixed.upgrade.minimum_health_capacity = 1.0;
    fixed.upgrade.maximum_over_capacity = 0.0;
    let done = world.change(put(fixed), true).unwrap();
    world.run_until_deployed();
    assert!(world.running("/a").iter().all(|instance| instance.spec.version == done.version));
}

#[test]
fn instances_of_an_old_version_are_asked_by_their_own_checks_until_they_are_gone() {
    let mut world = with_checks(2, vec![http()]);
    world.run_until_deployed();
    world.take_events();
    let from = world.now.wall;
    let mut next = changed(app("/a", 2), 1);
    next.health_checks = vec![check(HealthCheckKind::Tcp { port: FIRST_PORT })];
    next.cpus = 1_000.0;
    world.put(next.clone()).unwrap();
    world.services.asked.clear();
    world.run_for(Duration::from_secs(60));
    assert!(world.services.asked.iter().all(|(_, what)| what.starts_with("http://")));
    next.cpus = 0.1;
    world.change(put(next), true).unwrap();
    world.run_until_deployed();
    let told = health_events(&mut world, from);
    let count = |what: &str| told.iter().filter(|event| event.ends_with(what)).count();
    // The version that fitted nowhere had a check as well, and was told of.
    assert_eq!((count(" add"), count(" remove")), (2, 2), "{told:?}");
    world.change(RootChange::DeleteApp(id("/a")), true).unwrap();
    assert_eq!(health_events(&mut world, from).len(), 1, "its check ends at once");
}

#[test]
fn after_a_restart_health_is_unknown_and_grace_counts_from_when_the_task_began_to_run() {
    let mut world = with_checks(1, vec![http()]);
    world.run_until_deployed();
    world.run_for(Duration::from_secs(100));
    let instance = world.only("/a");
    world.services.sick.insert(place(&instance));
    world.restart();
    assert_eq!(world.only("/a").healthy(), None);
    world.run_for(Duration::from_secs(6));
    let record = world.only("/a").task.as_ref().unwrap().health[0].clone();
    assert_eq!(record.consecutive_failures, 1, "it has run for long: there is no grace");
}

#[test]
fn an_answer_to_a_task_that_is_no_more_says_nothing_of_the_next_one() {
    let mut world = with_checks(1, vec![http()]);
    world.run_until_deployed();
    let instance = world.only("/a");
    world.services.manners.sluggish = Duration::from_secs(60);
    world.services.manners.failing = 1.0;
    world.run_for(Duration::from_secs(8));
    let now = world.now;
    world.master.becomes(now, &task_of(&instance), TaskState::TaskFailed, None);
    world.services.manners.failing = 0.0;
    world.run_until("it runs again", |view| {
        view.instances_of(&id("/a"))
            .all(|instance| instance.incarnation == 2 && instance.condition() == Condition::Running)
    });
    world.run_for(Duration::from_secs(4));
    assert!(world.only("/a").task.as_ref().unwrap().health.is_empty());
}

#[test]
fn questions_that_nobody_answers_do_not_pile_up() {
    let mut check = http();
    check.interval = Duration::from_secs(2);
    check.timeout = Duration::from_secs(5);
    let mut world = with_checks(1, vec![check]);
    world.services.manners.sluggish = Duration::from_secs(100_000);
    world.run_for(Duration::from_secs(100));
    assert_eq!(world.services.asked.len(), 3, "as many as fit into the timeout");
}

#[test]
fn the_agents_verdict_makes_an_instance_healthy_and_outlives_a_restart() {
    let mut world = with_checks(1, vec![command()]);
    let from = world.now.wall;
    world.run_until_deployed();
    let instance = world.only("/a");
    let told = world.master.check_of(&task_of(&instance)).unwrap().clone();
    assert_eq!((told.consecutive_failures(), told.interval_seconds()), (3, 10.0));
    assert!(world.services.asked.is_empty(), "Marathon doesn't ask");
    assert_eq!(instance.healthy(), Some(true));
    let lines = health_events(&mut world, from);
    let kinds: Vec<_> = lines.iter().map(|line| line.split_once(' ').unwrap().1).collect();
    assert_eq!(kinds, ["add", "alive true", "healthy Some(true)"]);
    world.restart();
    assert_eq!(world.only("/a").healthy(), Some(true));
}

#[test]
fn the_agents_bad_verdict_is_told_and_the_kill_left_to_the_agent() {
    let mut world = with_checks(1, vec![command()]);
    world.run_until_deployed();
    world.take_events();
    let (instance, from) = (world.only("/a"), world.now.wall);
    world.master.behaviour.sick = 1.0;
    world.run_until("the agent has ended it", |view| {
        view.instances_of(&id("/a")).any(|instance| instance.task.is_none())
    });
    let lines = health_events(&mut world, from);
    let kinds: Vec<_> = lines.iter().map(|line| line.split_once(' ').unwrap().1).collect();
    assert_eq!(kinds, ["failed", "alive false", "healthy Some(false)", "healthy None"]);
    world.master.behaviour.sick = 0.0;
    world.run_for(Duration::from_secs(30));
    assert_eq!(world.only("/a").id, instance.id);
}
