//! A framework's stream breaks, and what becomes of the framework.

use std::time::Duration;

use meros_proto::v1::{self, TaskState};

use crate::testing::{
    Cluster, Scheduler, TestAgent, agent_spec, config, framework_info, reported, spec_of,
};
use crate::{AgentMessage, Config, FrameworkReport, FrameworkSpec, Input};

/// As near to for ever as Mesos can hold: 290 years.
const FOR_EVER: f64 = 9.2e9;
const YEAR: u64 = 365 * 24 * 3_600;
const REMOVED: &str = "Framework has been removed";

fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

fn with_timeout(seconds: f64) -> FrameworkSpec {
    spec_of(&v1::FrameworkInfo { failover_timeout: Some(seconds), ..framework_info(&[]) })
}

/// A cluster that never loses an agent by silence: a year is to pass in it.
fn patient() -> Cluster {
    let day = seconds(24 * 3_600);
    let config = Config {
        ping_interval: day,
        ping_timeouts: u32::MAX,
        registry_gc_interval: 10 * day,
        ..config()
    };
    Cluster::with(config, Vec::new())
}

fn break_stream(cluster: &mut Cluster, scheduler: &Scheduler) {
    cluster.input(Input::StreamClosed { stream: scheduler.stream });
}

/// Subscribes again, and returns the error if it is refused.
fn come_back(cluster: &mut Cluster, scheduler: &Scheduler, timeout: f64) -> Option<String> {
    let (again, seen) = cluster.resubscribe(&scheduler.id, with_timeout(timeout));
    seen.error(again.stream)
}

fn task_states(cluster: &mut Cluster) -> Vec<TaskState> {
    let view = cluster.view();
    view.frameworks.iter().flat_map(|one| one.tasks.iter()).map(|task| task.state).collect()
}

#[test]
fn a_disconnected_framework_has_its_failover_timeout_to_come_back() {
    for (timeout, away, back) in [
        (0.0, Duration::ZERO, false),
        (60.0, Duration::ZERO, true),
        (60.0, Duration::from_millis(59_999), true),
        (60.0, seconds(60), false),
        (60.0, seconds(61), false),
        (0.5, Duration::from_millis(499), true),
        (FOR_EVER, seconds(YEAR), true),
    ] {
        let mut cluster = patient();
        let (scheduler, _) = cluster.running(with_timeout(timeout));
        break_stream(&mut cluster, &scheduler);
        cluster.wait(away);
        let states = task_states(&mut cluster);
        let expected: &[_] = if back { &[TaskState::TaskRunning] } else { &[] };
        assert_eq!(states, expected, "away for {away:?} of {timeout} s");
        let refused = come_back(&mut cluster, &scheduler, timeout);
        let expected = (!back).then(|| REMOVED.to_owned());
        assert_eq!(refused, expected, "away for {away:?} of {timeout} s");
    }
}

#[test]
fn a_framework_that_is_too_late_is_shut_down_on_its_agents_and_its_tasks_are_killed() {
    let mut cluster = Cluster::new();
    let (scheduler, agent) = cluster.running(with_timeout(60.0));
    break_stream(&mut cluster, &scheduler);
    assert!(!cluster.view().frameworks[0].connected);
    let seen = cluster.wait(seconds(60));
    let shut_down = |message: &AgentMessage| matches!(message, AgentMessage::ShutdownFramework { framework } if *framework == scheduler.id);
    assert!(seen.to_agent(agent.link).iter().any(shut_down));
    let view = cluster.view();
    let task = &view.completed_frameworks[0].completed_tasks[0];
    assert_eq!(task.state, TaskState::TaskKilled);
    assert!(view.agents[0].used.is_empty());
}

#[test]
fn the_timeout_counts_from_each_disconnection_anew_and_is_the_latest_one_said() {
    let mut cluster = patient();
    let (first, _) = cluster.running(with_timeout(60.0));
    break_stream(&mut cluster, &first);
    cluster.wait(seconds(50));
    let (second, _) = cluster.resubscribe(&first.id, with_timeout(30.0));
    cluster.wait(seconds(50));
    assert_eq!(task_states(&mut cluster), [TaskState::TaskRunning], "it is connected");
    break_stream(&mut cluster, &second);
    cluster.wait(seconds(29));
    assert_eq!(task_states(&mut cluster), [TaskState::TaskRunning]);
    cluster.wait(seconds(1));
    assert!(cluster.view().frameworks.is_empty());
}

#[test]
fn the_end_of_a_stream_that_was_taken_over_starts_no_timeout() {
    let mut cluster = Cluster::new();
    let (old, _) = cluster.running(with_timeout(0.0));
    let (new, seen) = cluster.resubscribe(&old.id, with_timeout(0.0));
    assert_eq!(seen.error(old.stream).as_deref(), Some("Framework failed over"));
    // The shell notices only now that the old connection is gone.
    break_stream(&mut cluster, &old);
    cluster.wait(seconds(1));
    assert_eq!(task_states(&mut cluster), [TaskState::TaskRunning]);
    break_stream(&mut cluster, &new);
    assert!(cluster.view().frameworks.is_empty());
}

/// The master is killed while a task runs; its agent comes back and reports it.
fn killed_master(timeout: f64, disconnected: bool) -> (Cluster, Scheduler, TestAgent) {
    let mut cluster = patient();
    let (scheduler, agent) = cluster.running(with_timeout(timeout));
    if disconnected {
        break_stream(&mut cluster, &scheduler);
    }
    cluster.restart();
    let task = reported(&scheduler.id, "t", "cpus:1;mem:128", TaskState::TaskRunning);
    let report = FrameworkReport { id: scheduler.id.clone(), spec: with_timeout(timeout) };
    let spec = agent_spec("cpus:4;mem:1024");
    let (agent, _) = cluster.register(Some(&agent.id), spec, vec![task], vec![report]);
    (cluster, scheduler, agent)
}

#[test]
fn a_framework_known_from_agents_only_is_never_timed_out() {
    for (timeout, disconnected) in [(0.0, false), (60.0, false), (60.0, true), (FOR_EVER, true)] {
        let (mut cluster, scheduler, _) = killed_master(timeout, disconnected);
        cluster.wait(seconds(YEAR));
        let view = cluster.view();
        assert!(view.frameworks[0].recovered && !view.frameworks[0].connected);
        assert_eq!(task_states(&mut cluster), [TaskState::TaskRunning], "{timeout} s");
        assert_eq!(come_back(&mut cluster, &scheduler, timeout), None);
        assert_eq!(task_states(&mut cluster), [TaskState::TaskRunning], "{timeout} s");
    }
}

#[test]
fn once_it_has_subscribed_to_the_new_master_its_timeout_counts_again() {
    let (mut cluster, scheduler, _) = killed_master(60.0, false);
    let (again, _) = cluster.resubscribe(&scheduler.id, with_timeout(60.0));
    break_stream(&mut cluster, &again);
    cluster.wait(seconds(59));
    assert_eq!(task_states(&mut cluster), [TaskState::TaskRunning]);
    cluster.wait(seconds(1));
    assert!(cluster.view().frameworks.is_empty());
    // And that holds for the next master too.
    cluster.restart();
    assert_eq!(come_back(&mut cluster, &scheduler, 60.0).as_deref(), Some(REMOVED));
}

#[test]
fn a_framework_that_was_removed_is_told_to_an_agent_that_brings_it_back_after_a_restart() {
    let mut cluster = Cluster::new();
    let (scheduler, agent) = cluster.running(with_timeout(0.0));
    cluster.input(Input::AgentLinkClosed { link: agent.link });
    break_stream(&mut cluster, &scheduler);
    cluster.restart();
    let task = reported(&scheduler.id, "t", "cpus:1;mem:128", TaskState::TaskRunning);
    let report = FrameworkReport { id: scheduler.id.clone(), spec: with_timeout(0.0) };
    let spec = agent_spec("cpus:4;mem:1024");
    let (back, seen) = cluster.register(Some(&agent.id), spec, vec![task], vec![report]);
    assert!(matches!(seen.to_agent(back.link).as_slice(),
        [AgentMessage::Registered { removed_frameworks, .. }]
            if *removed_frameworks == [scheduler.id.clone()]));
    assert!(cluster.view().frameworks.is_empty() && cluster.view().agents[0].used.is_empty());
}
