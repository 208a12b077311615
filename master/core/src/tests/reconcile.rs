//! RECONCILE, explicit and implicit.

use std::time::Duration;

use meros_proto::ids::AgentId;
use meros_proto::v1::TaskState;
use meros_proto::v1::task_status::{Reason, Source};

use crate::testing::{Cluster, aware, config, framework_info, report, spec_of, task_id};
use crate::{Input, SchedulerCall, Status};

fn explicit(task: &str, agent: Option<&AgentId>) -> SchedulerCall {
    SchedulerCall::Reconcile { tasks: vec![(task_id(task), agent.cloned())] }
}

fn implicit() -> SchedulerCall {
    SchedulerCall::Reconcile { tasks: Vec::new() }
}

#[test]
fn explicit_answers_say_what_is_known_where_the_task_should_be() {
    let mut cluster = Cluster::new();
    let (scheduler, agent) = cluster.running(aware());
    let (lost, _) = cluster.agent("cpus:1;mem:64");
    cluster.input(Input::AgentLinkClosed { link: lost.link });
    // Seen by the other agent's pings being answered, and this one's not.
    for _ in 0..5 {
        cluster.wait(Duration::from_secs(15));
        for sequence in 1..10 {
            cluster.input(Input::AgentPong { link: agent.link, sequence });
        }
    }
    let never = AgentId::parse("master-S9").expect("a valid id");
    let (known, reachable) = (Some(&agent.id), TaskState::TaskRunning);
    for (task, on, state) in [
        ("t", None, reachable),
        ("t", known, reachable),
        ("t", Some(&never), reachable),
        ("x", known, TaskState::TaskGone),
        ("x", Some(&lost.id), TaskState::TaskUnreachable),
        ("x", Some(&never), TaskState::TaskUnknown),
        ("x", None, TaskState::TaskUnknown),
    ] {
        let made = cluster.call(&scheduler, explicit(task, on)).made();
        assert_eq!((&*made.task, made.state), (task, state), "{on:?}");
        assert_eq!((made.source, made.reason), (Source::Master, Some(Reason::Reconciliation)));
        assert_eq!(made.unreachable_time.is_some(), state == TaskState::TaskUnreachable);
    }
}

#[test]
fn a_framework_that_is_not_partition_aware_hears_of_lost_tasks_only() {
    let mut cluster = Cluster::new();
    let (scheduler, agent) = cluster.running(spec_of(&framework_info(&[])));
    for on in [None, Some(&agent.id)] {
        let made = cluster.call(&scheduler, explicit("x", on)).made();
        assert_eq!(made.state, TaskState::TaskLost);
    }
}

#[test]
fn implicit_answers_cover_all_that_is_live_or_unacknowledged() {
    let mut cluster = Cluster::new();
    let (scheduler, agent) = cluster.running(aware());
    assert_eq!(cluster.call(&scheduler, implicit()).made().state, TaskState::TaskRunning);
    cluster.update(&agent, &scheduler.id, "t", TaskState::TaskFinished);
    let made = cluster.call(&scheduler, implicit()).made();
    assert_eq!(made.state, TaskState::TaskFinished);
    let last = report("t", TaskState::TaskFinished).kept;
    assert_eq!(made.details, Some(last), "what else is known is repeated");
}

#[test]
fn an_end_is_not_told_before_the_update_that_tells_it() {
    let mut cluster = Cluster::new();
    let (scheduler, agent) = cluster.running(aware());
    cluster.input(Input::AgentUpdate {
        link: agent.link,
        framework: scheduler.id.clone(),
        status: Box::new(report("t", TaskState::TaskKilling)),
        latest_state: TaskState::TaskKilled,
    });
    let made = cluster.call(&scheduler, implicit()).made();
    assert_eq!(made.state, TaskState::TaskKilling);
}

#[test]
fn while_agents_from_before_the_start_are_missing_nothing_is_said_of_their_tasks() {
    let mut before = Cluster::new();
    let (first, _) = before.agent("cpus:1;mem:64");
    let mut cluster = Cluster::with(config(), before.log);
    let (scheduler, _) = cluster.subscribe(aware());
    let never = AgentId::parse("other-S9").expect("a valid id");
    assert_eq!(cluster.view().recovered_agents.len(), 1);
    for (on, answered) in [(None, false), (Some(&first.id), false), (Some(&never), true)] {
        let seen = cluster.call(&scheduler, explicit("x", on));
        assert_eq!(seen.statuses().len(), usize::from(answered), "{on:?}");
    }
    cluster.wait(Duration::from_secs(600));
    assert!(cluster.view().recovered_agents.is_empty());
    let made = cluster.call(&scheduler, explicit("x", Some(&first.id))).made();
    assert_eq!(made.state, TaskState::TaskUnreachable);
    assert!(matches!(
        cluster.call(&scheduler, explicit("x", None)).statuses().as_slice(),
        [Status::Made(_)]
    ));
}
