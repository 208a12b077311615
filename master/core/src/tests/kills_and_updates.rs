//! Status updates and acknowledgements, KILL, SHUTDOWN and MESSAGE.

use std::time::Duration;

use meros_proto::v1::TaskState;
use meros_proto::v1::task_status::Reason;

use crate::testing::{
    Cluster, Scheduler, TestAgent, agent_spec, aware, report, reported, resources, task_id, uuid,
};
use crate::{AgentMessage, Effect, Input, LinkRef, Notice, SchedulerCall, Status, StatusReport};

fn kill(task: &str) -> SchedulerCall {
    SchedulerCall::Kill { task: task_id(task), agent: None, grace: None }
}

fn acknowledge(agent: &TestAgent, state: TaskState) -> SchedulerCall {
    SchedulerCall::Acknowledge { agent: agent.id.clone(), task: task_id("t"), uuid: uuid(state) }
}

fn task_state(cluster: &mut Cluster) -> Option<TaskState> {
    cluster.view().frameworks[0].tasks.iter().next().map(|task| task.state)
}

fn setup() -> (Cluster, Scheduler, TestAgent) {
    let mut cluster = Cluster::new();
    let (scheduler, agent) = cluster.running(aware());
    (cluster, scheduler, agent)
}

#[test]
fn an_update_is_forwarded_as_it_came_and_acknowledged_the_same_way() {
    let (mut cluster, scheduler, agent) = setup();
    let seen = cluster.update(&agent, &scheduler.id, "t", TaskState::TaskKilling);
    let sent = report("t", TaskState::TaskKilling);
    assert!(matches!(seen.statuses().as_slice(),
        [Status::Forwarded { raw, .. }] if *raw == sent.raw));
    let seen = cluster.call(&scheduler, acknowledge(&agent, TaskState::TaskKilling));
    assert!(matches!(seen.to_agent(agent.link).as_slice(),
        [AgentMessage::AcknowledgeUpdate { uuid: one, .. }] if *one == uuid(TaskState::TaskKilling)));
    assert_eq!(task_state(&mut cluster), Some(TaskState::TaskKilling));
}

#[test]
fn an_ended_task_is_kept_until_its_end_is_acknowledged() {
    let (mut cluster, scheduler, agent) = setup();
    cluster.update(&agent, &scheduler.id, "t", TaskState::TaskFinished);
    assert!(cluster.view().agents[0].used.is_empty(), "it holds nothing any more");
    for state in [TaskState::TaskRunning, TaskState::TaskFailed] {
        cluster.call(&scheduler, acknowledge(&agent, state));
        assert_eq!(task_state(&mut cluster), Some(TaskState::TaskFinished));
    }
    cluster.call(&scheduler, acknowledge(&agent, TaskState::TaskFinished));
    let view = cluster.view();
    assert!(view.frameworks[0].tasks.is_empty());
    assert_eq!(view.frameworks[0].completed_tasks[0].state, TaskState::TaskFinished);
    assert_eq!(view.counters.tasks_finished, 1);
}

#[test]
fn once_terminal_a_state_never_changes() {
    let (mut cluster, scheduler, agent) = setup();
    cluster.update(&agent, &scheduler.id, "t", TaskState::TaskFailed);
    for late in [TaskState::TaskRunning, TaskState::TaskFinished] {
        cluster.update(&agent, &scheduler.id, "t", late);
        assert_eq!(task_state(&mut cluster), Some(TaskState::TaskFailed));
    }
    assert_eq!(cluster.view().counters.tasks_failed, 1);
    assert_eq!(cluster.view().counters.tasks_finished, 0);
}

#[test]
fn the_latest_state_frees_resources_before_earlier_updates_are_acknowledged() {
    let (mut cluster, scheduler, agent) = setup();
    cluster.input(Input::AgentUpdate {
        link: agent.link,
        framework: scheduler.id.clone(),
        status: Box::new(report("t", TaskState::TaskStarting)),
        latest_state: TaskState::TaskFinished,
    });
    assert!(cluster.view().agents[0].used.is_empty());
    // The scheduler has to hear of the end first: this acknowledges only the start.
    cluster.call(&scheduler, acknowledge(&agent, TaskState::TaskStarting));
    assert_eq!(task_state(&mut cluster), Some(TaskState::TaskFinished));
    cluster.update(&agent, &scheduler.id, "t", TaskState::TaskFinished);
    cluster.call(&scheduler, acknowledge(&agent, TaskState::TaskFinished));
    assert_eq!(task_state(&mut cluster), None);
}

#[test]
fn a_terminal_update_without_a_uuid_ends_the_task_at_once() {
    let (mut cluster, scheduler, agent) = setup();
    let report = StatusReport { uuid: None, ..report("t", TaskState::TaskGone) };
    cluster.input(Input::AgentUpdate {
        link: agent.link,
        framework: scheduler.id,
        status: Box::new(report),
        latest_state: TaskState::TaskGone,
    });
    assert_eq!(task_state(&mut cluster), None);
}

#[test]
fn updates_from_nowhere_and_for_nobody_are_dropped_and_counted() {
    let (mut cluster, scheduler, agent) = setup();
    let stranger = TestAgent { link: LinkRef(4711), ..agent.clone() };
    let nobody = meros_proto::ids::FrameworkId::parse("nobody").expect("a valid id");
    for (from, framework) in [(&stranger, &scheduler.id), (&agent, &nobody)] {
        let seen = cluster.update(from, framework, "t", TaskState::TaskFinished);
        assert!(seen.statuses().is_empty());
    }
    assert_eq!(cluster.view().counters.invalid_status_updates, 2);
    assert_eq!(task_state(&mut cluster), Some(TaskState::TaskRunning));
    // One of an unknown task is passed on: its agent repeats it until the scheduler answers.
    let seen = cluster.update(&agent, &scheduler.id, "unknown", TaskState::TaskFailed);
    assert_eq!(seen.statuses().len(), 1);

    cluster.input(Input::StreamClosed { stream: scheduler.stream });
    let seen = cluster.update(&agent, &scheduler.id, "t", TaskState::TaskFinished);
    assert!(
        seen.0.iter().any(|effect| matches!(effect, Effect::Notice(Notice::UpdateDropped { .. })))
    );
    assert_eq!(task_state(&mut cluster), Some(TaskState::TaskFinished), "the books are right");
}

#[test]
fn of_equal_states_in_a_row_the_last_status_is_remembered() {
    let (mut cluster, scheduler, agent) = setup();
    for state in [TaskState::TaskRunning, TaskState::TaskRunning, TaskState::TaskKilling] {
        cluster.update(&agent, &scheduler.id, "t", state);
    }
    let task = cluster.view().frameworks[0].tasks.iter().next().cloned().expect("a task");
    let states: Vec<_> = task.statuses.iter().map(Status::state).collect();
    assert_eq!(states, [TaskState::TaskRunning, TaskState::TaskKilling]);
}

#[test]
fn a_kill_is_passed_on_every_time_it_is_asked_for() {
    let (mut cluster, scheduler, agent) = setup();
    for grace in [None, Some(Duration::from_secs(7))] {
        let call = SchedulerCall::Kill { task: task_id("t"), agent: Some(agent.id.clone()), grace };
        let seen = cluster.call(&scheduler, call);
        assert!(matches!(seen.to_agent(agent.link).as_slice(),
            [AgentMessage::KillTask { grace: one, .. }] if *one == grace));
    }
    let elsewhere = meros_proto::ids::AgentId::parse("master-S7").expect("a valid id");
    let call = SchedulerCall::Kill { task: task_id("t"), agent: Some(elsewhere), grace: None };
    let seen = cluster.call(&scheduler, call);
    assert!(seen.to_agent(agent.link).is_empty() && seen.statuses().is_empty());
}

#[test]
fn a_kill_of_an_unknown_task_tells_what_is_known_of_it() {
    let (mut cluster, scheduler, _) = setup();
    let made = cluster.call(&scheduler, kill("unknown")).made();
    assert_eq!((&*made.task, made.state), ("unknown", TaskState::TaskUnknown));
    assert_eq!(made.reason, Some(Reason::Reconciliation));
}

#[test]
fn a_kill_that_was_lost_with_the_link_is_repeated_when_the_agent_is_back() {
    let (mut cluster, scheduler, agent) = setup();
    cluster.input(Input::AgentLinkClosed { link: agent.link });
    assert!(cluster.call(&scheduler, kill("t")).to_agent(agent.link).is_empty());
    let holds = || reported(&scheduler.id, "t", "cpus:1;mem:128", TaskState::TaskRunning);
    let spec = agent_spec("cpus:4;mem:1024");
    let (back, seen) = cluster.register(Some(&agent.id), spec.clone(), vec![holds()], Vec::new());
    let killed = |seen: &crate::testing::Seen, link| {
        let kill = |one: &AgentMessage| matches!(one, AgentMessage::KillTask { .. });
        seen.to_agent(link).iter().any(kill)
    };
    assert!(killed(&seen, back.link));
    cluster.update(&back, &scheduler.id, "t", TaskState::TaskKilled);
    let ended = reported(&scheduler.id, "t", "cpus:1;mem:128", TaskState::TaskKilled);
    let (back, seen) = cluster.register(Some(&agent.id), spec, vec![ended], Vec::new());
    assert!(!killed(&seen, back.link));
}

#[test]
fn shutdown_of_a_command_tasks_executor_kills_the_task() {
    let (mut cluster, scheduler, agent) = setup();
    let shutdown = |executor: &str| SchedulerCall::Shutdown {
        executor: meros_proto::ids::ExecutorId::parse(executor).expect("a valid id"),
        agent: agent.id.clone(),
    };
    let seen = cluster.call(&scheduler, shutdown("t"));
    assert!(matches!(seen.to_agent(agent.link).as_slice(), [AgentMessage::KillTask { .. }]));
    assert!(cluster.call(&scheduler, shutdown("other")).to_agent(agent.link).is_empty());
}

#[test]
fn messages_pass_between_scheduler_and_executor() {
    let (mut cluster, scheduler, agent) = setup();
    let executor = meros_proto::ids::ExecutorId::parse("e").expect("a valid id");
    let data = bytes::Bytes::from_static(b"hello");
    let call = SchedulerCall::Message {
        agent: agent.id.clone(),
        executor: executor.clone(),
        data: data.clone(),
    };
    let seen = cluster.call(&scheduler, call);
    assert!(matches!(seen.to_agent(agent.link).as_slice(),
        [AgentMessage::ExecutorMessage { data: one, .. }] if *one == data));
    let framework = scheduler.id.clone();
    let seen = cluster.input(Input::AgentExecutorMessage {
        link: agent.link,
        framework: framework.clone(),
        executor: executor.clone(),
        data,
    });
    assert!(matches!(
        seen.events(scheduler.stream).as_slice(),
        [crate::SchedulerEvent::Message { .. }]
    ));
    let link = agent.link;
    let exited = Input::AgentExecutorExited { link, framework, executor, wait_status: 256 };
    let seen = cluster.input(exited);
    assert!(matches!(
        seen.events(scheduler.stream).as_slice(),
        [crate::SchedulerEvent::Failure { wait_status: Some(256), executor: Some(_), .. }]
    ));
    assert_eq!(cluster.view().agents[0].used.unallocated(), resources("cpus:1;mem:128"));
}
