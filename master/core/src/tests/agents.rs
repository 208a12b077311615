//! Agents that register, fall silent, break off, come back or leave.

use std::time::Duration;

use meros_proto::v1::TaskState;
use meros_proto::v1::task_status::Reason;

use crate::registry::Op;
use crate::registry::ops::AgentAdmitted;
use crate::testing::{
    Cluster, Scheduler, Seen, TestAgent, accept, agent_spec, aware, config, framework_info, launch,
    refuse, reported, resources, spec_of, task, task_id,
};
use crate::{AgentMessage, AgentSpec, FrameworkReport, Input, SchedulerEvent, TaskReport};

const TOTAL: &str = "cpus:4;mem:1024";

fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

fn still_there(scheduler: &Scheduler, state: TaskState) -> TaskReport {
    reported(&scheduler.id, "t", "cpus:1;mem:128", state)
}

fn failures(seen: &Seen, scheduler: &Scheduler) -> usize {
    let is_failure =
        |event: &SchedulerEvent| matches!(event, SchedulerEvent::Failure { executor: None, .. });
    seen.events(scheduler.stream).iter().filter(|event| is_failure(event)).count()
}

/// A connected agent is unreachable 75 s after the first ping that it doesn't answer.
const SILENT: u64 = 90;

/// Lets time pass in which nobody answers a ping, and returns what happens at its very end.
fn fall_silent(cluster: &mut Cluster, after: u64) -> Seen {
    let early = cluster.wait(seconds(after) - Duration::from_millis(1));
    assert!(early.statuses().is_empty());
    cluster.wait(Duration::from_millis(1))
}

#[test]
fn a_new_agent_is_admitted_durably_and_pinged() {
    let mut cluster = Cluster::new();
    let (agent, seen) = cluster.agent(TOTAL);
    assert_eq!(agent.id.as_str(), "master-S0");
    assert!(matches!(cluster.log.as_slice(),
        [Op::ClusterCreated(_), Op::AgentIdsTaken(_), Op::AgentAdmitted(AgentAdmitted { agent: one, .. })]
            if *one == agent.id));
    assert!(matches!(
        seen.to_agent(agent.link).as_slice(),
        [AgentMessage::Registered { ping_timeouts: 5, .. }]
    ));
    for sequence in 1..20 {
        let seen = cluster.wait(seconds(15));
        assert!(matches!(seen.to_agent(agent.link).as_slice(),
            [AgentMessage::Ping { sequence: one }] if *one == sequence));
        cluster.input(Input::AgentPong { link: agent.link, sequence });
    }
    assert!(cluster.view().agents[0].connected);
}

#[test]
fn an_agent_that_answers_no_ping_becomes_unreachable_with_its_tasks() {
    for (spec, state) in [
        (aware(), TaskState::TaskUnreachable),
        (spec_of(&framework_info(&[])), TaskState::TaskLost),
    ] {
        let mut cluster = Cluster::new();
        let (scheduler, agent) = cluster.running(spec);
        let seen = fall_silent(&mut cluster, SILENT);
        let made = seen.made();
        assert_eq!((made.state, made.reason), (state, Some(Reason::AgentRemoved)));
        assert!(made.unreachable_time.is_some());
        assert_eq!(failures(&seen, &scheduler), 1);
        assert!(matches!(cluster.log.last(), Some(Op::AgentUnreachable(_))));
        let view = cluster.view();
        assert!(view.agents.is_empty() && view.frameworks[0].tasks.is_empty());
        assert_eq!(view.unreachable_agents[0].0, agent.id);
        assert_eq!(view.frameworks[0].unreachable_tasks[&task_id("t")].state, state);
        assert!(view.frameworks[0].used.is_empty());
    }
}

#[test]
fn an_unreachable_agent_comes_back_under_its_id_with_its_tasks() {
    let mut cluster = Cluster::new();
    let (scheduler, agent) = cluster.running(spec_of(&framework_info(&[])));
    fall_silent(&mut cluster, SILENT);
    let task = still_there(&scheduler, TaskState::TaskRunning);
    let (back, seen) = cluster.register(Some(&agent.id), agent_spec(TOTAL), vec![task], Vec::new());
    assert_eq!(back.id, agent.id);
    let made = seen.made();
    assert_eq!(
        (made.state, made.reason),
        (TaskState::TaskRunning, Some(Reason::AgentReregistered))
    );
    assert_eq!(seen.offer().resources.unallocated(), resources("cpus:3;mem:896"));
    let view = cluster.view();
    assert!(view.unreachable_agents.is_empty());
    assert!(view.frameworks[0].unreachable_tasks.is_empty());
    assert_eq!(view.frameworks[0].tasks.len(), 1);
}

#[test]
fn the_id_of_a_task_on_an_unreachable_agent_is_taken() {
    let mut cluster = Cluster::new();
    let (scheduler, _) = cluster.running(aware());
    fall_silent(&mut cluster, SILENT);
    let (other, seen) = cluster.agent(TOTAL);
    let again = launch(vec![task("t", &other.id, "cpus:1;mem:1")]);
    let seen = cluster.call(&scheduler, accept(&seen.offers(), vec![again], refuse(0.0)));
    assert_eq!(seen.made().state, TaskState::TaskError);
}

#[test]
fn a_broken_link_leaves_tasks_as_they_are_until_the_agent_has_been_silent_for_long() {
    let mut cluster = Cluster::new();
    let (scheduler, agent) = cluster.running(aware());
    let seen = cluster.input(Input::AgentLinkClosed { link: agent.link });
    assert!(seen.statuses().is_empty());
    assert!(!cluster.view().agents[0].connected);
    cluster.wait(seconds(60));
    let task = still_there(&scheduler, TaskState::TaskRunning);
    let (back, seen) = cluster.register(Some(&agent.id), agent_spec(TOTAL), vec![task], Vec::new());
    assert!(seen.statuses().is_empty());
    assert_eq!(cluster.view().frameworks[0].tasks.len(), 1);
    cluster.input(Input::AgentLinkClosed { link: back.link });
    let seen = fall_silent(&mut cluster, 75);
    assert_eq!(seen.made().state, TaskState::TaskUnreachable);
}

#[test]
fn a_second_link_replaces_the_first() {
    let mut cluster = Cluster::new();
    let (agent, _) = cluster.agent(TOTAL);
    let (scheduler, seen) = cluster.subscribe(aware());
    let offer = seen.offer();
    let (back, seen) = cluster.register(Some(&agent.id), agent_spec(TOTAL), Vec::new(), Vec::new());
    assert_eq!(seen.rescinded().as_slice(), std::slice::from_ref(&offer.id));
    let closed = |effect: &crate::Effect| matches!(effect, crate::Effect::CloseLink { link } if *link == agent.link);
    assert!(seen.0.iter().any(closed));
    // The shell tells of the end of the old link only now.
    cluster.input(Input::AgentLinkClosed { link: agent.link });
    assert!(cluster.view().agents[0].connected);
    assert_eq!(seen.offers().len(), 1);
    assert_eq!(scheduler.id, seen.offer().framework);
    assert_ne!(back.link, agent.link);
}

#[test]
fn a_task_that_the_agent_lost_is_told_as_dropped() {
    for (spec, state) in
        [(aware(), TaskState::TaskDropped), (spec_of(&framework_info(&[])), TaskState::TaskLost)]
    {
        let mut cluster = Cluster::new();
        let (_, agent) = cluster.running(spec);
        let (back, seen) =
            cluster.register(Some(&agent.id), agent_spec(TOTAL), Vec::new(), Vec::new());
        // It may be an old message: the agent is to answer on that link first.
        assert!(seen.statuses().is_empty(), "{seen:?}");
        let seen = cluster.input(Input::AgentPong { link: back.link, sequence: 1 });
        let made = seen.made();
        assert_eq!((made.state, made.reason), (state, Some(Reason::Reconciliation)));
        let view = cluster.view();
        assert!(view.frameworks[0].tasks.is_empty());
        assert_eq!(view.frameworks[0].completed_tasks.len(), 1);
    }
}

#[test]
fn an_old_registration_that_comes_late_drops_no_task() {
    let mut cluster = Cluster::new();
    let (scheduler, agent) = cluster.running(aware());
    // Sent before the task was launched, over a link that the agent gave up since.
    let (old, _) = cluster.register(Some(&agent.id), agent_spec(TOTAL), Vec::new(), Vec::new());
    let seen = cluster.input(Input::AgentLinkClosed { link: old.link });
    assert!(seen.statuses().is_empty(), "{seen:?}");
    let task = still_there(&scheduler, TaskState::TaskRunning);
    let (back, seen) = cluster.register(Some(&agent.id), agent_spec(TOTAL), vec![task], Vec::new());
    assert!(seen.statuses().is_empty(), "{seen:?}");
    let seen = cluster.input(Input::AgentPong { link: back.link, sequence: 1 });
    assert!(seen.statuses().is_empty(), "{seen:?}");
    assert_eq!(cluster.view().frameworks[0].tasks.len(), 1);
}

#[test]
fn a_task_that_ended_while_the_link_was_down_frees_its_resources_at_once() {
    let mut cluster = Cluster::new();
    let (scheduler, agent) = cluster.running(aware());
    let ended = still_there(&scheduler, TaskState::TaskFailed);
    cluster.register(Some(&agent.id), agent_spec(TOTAL), vec![ended], Vec::new());
    let view = cluster.view();
    assert!(view.agents[0].used.is_empty());
    let task = view.frameworks[0].tasks.get(&task_id("t")).expect("it is not acknowledged yet");
    assert_eq!(task.state, TaskState::TaskFailed);
}

#[test]
fn a_returning_agent_is_told_which_frameworks_were_removed_and_which_changed() {
    let mut cluster = Cluster::new();
    let (scheduler, agent) = cluster.running(aware());
    cluster.input(Input::AgentLinkClosed { link: agent.link });
    cluster.call(&scheduler, crate::SchedulerCall::Teardown);
    let task = still_there(&scheduler, TaskState::TaskRunning);
    let report = FrameworkReport { id: scheduler.id.clone(), spec: aware() };
    let (back, seen) =
        cluster.register(Some(&agent.id), agent_spec(TOTAL), vec![task], vec![report]);
    assert!(matches!(seen.to_agent(back.link).as_slice(),
        [AgentMessage::Registered { removed_frameworks, .. }]
            if *removed_frameworks == [scheduler.id.clone()]));
    assert!(cluster.view().frameworks.is_empty());

    let (other, _) = cluster.subscribe(aware());
    let outdated = FrameworkReport { id: other.id.clone(), spec: aware() };
    let (back, seen) =
        cluster.register(Some(&agent.id), agent_spec(TOTAL), Vec::new(), vec![outdated]);
    assert!(matches!(seen.to_agent(back.link).as_slice(),
        [_, AgentMessage::UpdateFramework { framework, .. }] if *framework == other.id));
}

#[test]
fn an_agent_that_unregisters_loses_its_tasks_for_everybody() {
    let mut cluster = Cluster::new();
    let (scheduler, agent) = cluster.running(aware());
    let link = agent.link;
    let seen = cluster.input(Input::AgentUnregister { link, reason: "drained".to_owned() });
    let made = seen.made();
    assert_eq!((made.state, made.reason), (TaskState::TaskLost, Some(Reason::AgentRemoved)));
    assert_eq!(failures(&seen, &scheduler), 1);
    assert!(cluster.view().agents.is_empty());
    assert!(matches!(cluster.log.last(), Some(Op::AgentRemoved(_))));
    let restarted = Cluster::with(config(), cluster.log).view();
    assert!(restarted.recovered_agents.is_empty() && restarted.unreachable_agents.is_empty());
}

#[test]
fn an_agent_that_lost_its_work_directory_replaces_the_one_it_was() {
    let mut cluster = Cluster::new();
    let (_, agent) = cluster.running(aware());
    let (twin, seen) = cluster.agent(TOTAL);
    assert!(seen.statuses().is_empty(), "while both are connected they are two");
    assert_ne!(twin.id, agent.id);
    cluster.input(Input::AgentLinkClosed { link: agent.link });
    let (_, seen) = cluster.agent(TOTAL);
    assert_eq!(seen.made().state, TaskState::TaskLost);
    assert_eq!(cluster.view().agents.len(), 2);
}

#[test]
fn an_agent_that_comes_back_larger_or_smaller_is_offered_as_it_is_now() {
    for (total, offered) in [
        ("cpus:8;mem:1024", Some("cpus:7;mem:896")),
        ("cpus:1;mem:129", None),
        ("cpus:0.5;mem:64", None),
    ] {
        let mut cluster = Cluster::new();
        let (scheduler, agent) = cluster.running(aware());
        let task = still_there(&scheduler, TaskState::TaskRunning);
        let (back, seen) =
            cluster.register(Some(&agent.id), agent_spec(total), vec![task], Vec::new());
        let found = seen.offers().first().map(|offer| offer.resources.unallocated());
        assert_eq!(found, offered.map(resources), "{total}");
        cluster.update(&back, &scheduler.id, "t", TaskState::TaskFinished);
        cluster.wait(seconds(1));
    }
}

#[test]
fn messages_of_a_link_that_never_registered_change_nothing() {
    let mut cluster = Cluster::new();
    let link = crate::LinkRef(5);
    for input in [
        Input::AgentPong { link, sequence: 1 },
        Input::AgentUnregister { link, reason: String::new() },
        Input::AgentLinkClosed { link },
    ] {
        cluster.input(input);
    }
    assert!(cluster.view().agents.is_empty());
    // Neither does a second registration on one link.
    let agent: TestAgent = cluster.agent(TOTAL).0;
    let register = |spec: AgentSpec| crate::AgentRegister {
        caller: meros_proto::caller::Caller::default(),
        link: agent.link,
        agent_id: None,
        spec,
        boot_id: String::new(),
        incarnation: String::new(),
        tasks: Vec::new(),
        frameworks: Vec::new(),
    };
    cluster.input(Input::AgentRegister(Box::new(register(agent_spec("cpus:9;mem:9")))));
    assert_eq!(cluster.view().agents.len(), 1);
}
