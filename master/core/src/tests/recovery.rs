//! A master that starts on what another one left: its registry, and agents and frameworks that come
//! back by themselves.

use std::time::Duration;

use meros_proto::ids::AgentId;
use meros_proto::v1::TaskState;
use meros_proto::v1::task_status::Reason;

use crate::registry::ops::{
    AgentDeactivated, AgentGone, AgentReactivated, MachinesDown, MaintenanceScheduled,
};
use crate::registry::{MachineId, Op, Unavailability, Window};
use crate::testing::{Cluster, TestAgent, agent_spec, aware, config, reported, resources, task_id};
use crate::{
    AgentMessage, AgentRegister, AgentSpec, Config, FrameworkReport, Input, LinkRef, SchedulerCall,
};

const TOTAL: &str = "cpus:4;mem:1024";

fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

/// Registers an agent that may be refused.
fn try_register(cluster: &mut Cluster, id: &AgentId, spec: AgentSpec) -> Vec<AgentMessage> {
    let link = LinkRef(cluster.number());
    let seen = cluster.input(Input::AgentRegister(Box::new(AgentRegister {
        caller: meros_proto::caller::Caller::default(),
        link,
        agent_id: Some(id.clone()),
        spec,
        boot_id: String::new(),
        incarnation: String::new(),
        tasks: Vec::new(),
        frameworks: Vec::new(),
    })));
    seen.to_agent(link)
}

/// What an operator will have the registry remember once there are calls for it.
fn told_by_operator(cluster: &mut Cluster, op: impl Into<Op>) {
    cluster.log.push(op.into());
    cluster.restart();
}

#[test]
fn agents_and_frameworks_come_back_to_a_new_master_with_all_that_they_hold() {
    let mut cluster = Cluster::new();
    let (scheduler, agent) = cluster.running(aware());
    cluster.restart();
    assert_eq!(cluster.view().recovered_agents.len(), 1);
    let written = cluster.log.len();
    let task = reported(&scheduler.id, "t", "cpus:1;mem:128", TaskState::TaskRunning);
    let report = FrameworkReport { id: scheduler.id.clone(), spec: aware() };
    let (back, seen) =
        cluster.register(Some(&agent.id), agent_spec(TOTAL), vec![task], vec![report]);
    assert_eq!(back.id, agent.id);
    assert!(seen.statuses().is_empty());
    assert_eq!(cluster.log.len(), written, "nothing changed that is to be remembered");
    let view = cluster.view();
    assert!(view.recovered_agents.is_empty());
    assert!(view.frameworks[0].recovered && !view.frameworks[0].connected);
    let (again, seen) = cluster.resubscribe(&scheduler.id, aware());
    assert_eq!(again.id, scheduler.id);
    assert_eq!(seen.offer().resources.unallocated(), resources("cpus:3;mem:896"));
    let view = cluster.view();
    assert_eq!(view.frameworks[0].tasks.len(), 1);
    assert_eq!(view.frameworks[0].reregistered, None);
    let role = &view.roles[0];
    assert_eq!(role.allocated.unallocated(), resources(TOTAL), "a task and an offer");
    assert!((role.share - 1.0).abs() < 1e-9);
}

#[test]
fn a_framework_that_comes_back_before_its_agents_finds_its_tasks_as_they_return() {
    let mut cluster = Cluster::new();
    let (scheduler, agent) = cluster.running(aware());
    cluster.restart();
    let (again, seen) = cluster.resubscribe(&scheduler.id, aware());
    assert!(seen.offers().is_empty());
    let ask = || SchedulerCall::Reconcile { tasks: vec![(task_id("t"), Some(agent.id.clone()))] };
    let seen = cluster.call(&again, ask());
    assert!(seen.statuses().is_empty(), "the master can't know yet");
    let task = reported(&scheduler.id, "t", "cpus:1;mem:128", TaskState::TaskRunning);
    let (_, seen) = cluster.register(Some(&agent.id), agent_spec(TOTAL), vec![task], Vec::new());
    assert_eq!(seen.offer().resources.unallocated(), resources("cpus:3;mem:896"));
    assert_eq!(cluster.call(&again, ask()).made().state, TaskState::TaskRunning);
}

#[test]
fn agents_that_do_not_come_back_in_time_are_unreachable_from_then_on() {
    let short = Config { agent_reregister_timeout: seconds(60), ..config() };
    let mut cluster = Cluster::with(short, Vec::new());
    let (scheduler, lost) = cluster.running(aware());
    let (kept, _) = cluster.agent(TOTAL);
    cluster.restart();
    let (kept, _) = cluster.register(Some(&kept.id), agent_spec(TOTAL), Vec::new(), Vec::new());
    let (scheduler, _) = cluster.resubscribe(&scheduler.id, aware());
    cluster.wait(seconds(59));
    assert_eq!(cluster.view().recovered_agents.len(), 1);
    cluster.wait(seconds(1));
    let view = cluster.view();
    assert!(view.recovered_agents.is_empty());
    assert_eq!(view.unreachable_agents.len(), 1);
    assert_eq!(view.unreachable_agents[0].0, lost.id);
    assert!(matches!(cluster.log.last(), Some(Op::AgentUnreachable(_))));
    let tasks = vec![(task_id("t"), Some(lost.id.clone()))];
    let made = cluster.call(&scheduler, SchedulerCall::Reconcile { tasks }).made();
    assert_eq!(made.state, TaskState::TaskUnreachable);
    assert!(made.unreachable_time.is_some());

    // It is still so for the next master, and ends when the agent is back.
    cluster.restart();
    assert_eq!(cluster.view().unreachable_agents[0].0, lost.id);
    let task = reported(&scheduler.id, "t", "cpus:1;mem:128", TaskState::TaskRunning);
    let report = FrameworkReport { id: scheduler.id.clone(), spec: aware() };
    cluster.register(Some(&lost.id), agent_spec(TOTAL), vec![task], vec![report]);
    assert!(matches!(cluster.log.last(), Some(Op::AgentReachable(_))));
    let view = cluster.view();
    assert!(view.unreachable_agents.is_empty());
    assert_eq!(view.frameworks[0].tasks.len(), 1);
    assert_ne!(kept.id, lost.id);
}

#[test]
fn no_id_is_given_to_two_whenever_the_master_dies() {
    let mut cluster = Cluster::new();
    let (mut agents, mut frameworks) = (Vec::new(), Vec::new());
    for started in [1_001, 1, 1] {
        for _ in 0..started {
            frameworks.push(cluster.subscribe(aware()).0.id);
        }
        agents.push(cluster.agent(TOTAL).0.id);
        agents.push(cluster.agent(TOTAL).0.id);
        cluster.restart();
    }
    assert_eq!(frameworks[0].as_str(), "master-0000");
    assert_eq!(frameworks[1_001].as_str(), "master-2000", "the second block was begun");
    assert_eq!(agents[2].as_str(), "master-S1000");
    let count = frameworks.len() + agents.len();
    frameworks.sort();
    frameworks.dedup();
    agents.sort();
    agents.dedup();
    assert_eq!(frameworks.len() + agents.len(), count);
}

#[test]
fn an_agent_is_written_down_again_only_when_it_describes_itself_otherwise() {
    let mut cluster = Cluster::new();
    let (agent, _) = cluster.agent(TOTAL);
    let changed = || {
        let info = meros_proto::v1::AgentInfo {
            hostname: Some("renamed".to_owned()),
            ..Default::default()
        };
        let spec = AgentSpec::from_proto(&info, "slave(1)@1.1.1.1:5051", "1.11.0", Vec::new());
        AgentSpec { resources: resources(TOTAL), ..spec.expect("an agent of a test") }
    };
    for (spec, written) in [(agent_spec(TOTAL), 0), (changed(), 1), (changed(), 0)] {
        let before = cluster.log.len();
        cluster.register(Some(&agent.id), spec.clone(), Vec::new(), Vec::new());
        assert_eq!(cluster.log.len() - before, written);
        cluster.restart();
        let before = cluster.log.len();
        cluster.register(Some(&agent.id), spec, Vec::new(), Vec::new());
        assert_eq!(cluster.log.len(), before, "the next master knows it like that");
    }
}

#[test]
fn an_agent_of_which_the_registry_knows_nothing_is_admitted_under_its_id() {
    let mut cluster = Cluster::new();
    let id = AgentId::parse("another-cluster-S7").expect("a valid id");
    let (agent, _) = cluster.register(Some(&id), agent_spec(TOTAL), Vec::new(), Vec::new());
    assert_eq!(agent.id, id);
    cluster.restart();
    assert_eq!(cluster.view().recovered_agents[0].id, id);
}

#[test]
fn an_agent_that_was_marked_gone_may_not_come_back() {
    let mut cluster = Cluster::new();
    let (scheduler, agent) = cluster.running(aware());
    let at = cluster.now.wall;
    told_by_operator(&mut cluster, AgentGone { agent: agent.id.clone(), at });
    let heard = try_register(&mut cluster, &agent.id, agent_spec(TOTAL));
    assert!(matches!(heard.as_slice(), [AgentMessage::Refused { reason, fatal: true }]
        if reason.ends_with("was marked gone")));
    assert!(cluster.view().agents.is_empty() && cluster.view().recovered_agents.is_empty());
    let (again, _) = cluster.resubscribe(&scheduler.id, aware());
    let tasks = vec![(task_id("t"), Some(agent.id))];
    let made = cluster.call(&again, SchedulerCall::Reconcile { tasks }).made();
    assert_eq!(
        (made.state, made.reason),
        (TaskState::TaskGoneByOperator, Some(Reason::Reconciliation))
    );
}

#[test]
fn nothing_of_a_deactivated_agent_is_offered_until_it_is_reactivated() {
    let mut cluster = Cluster::new();
    let (agent, _) = cluster.agent(TOTAL);
    let id = agent.id;
    let offers = |cluster: &mut Cluster| {
        cluster.register(Some(&id), agent_spec(TOTAL), Vec::new(), Vec::new());
        cluster.subscribe(aware()).1.offers().len()
    };
    told_by_operator(&mut cluster, AgentDeactivated { agent: id.clone() });
    assert_eq!(offers(&mut cluster), 0);
    let view = cluster.view();
    assert!(view.agents[0].connected && !view.agents[0].active);
    told_by_operator(&mut cluster, AgentReactivated { agent: id.clone() });
    assert_eq!(offers(&mut cluster), 1);
}

#[test]
fn an_agent_on_a_machine_that_is_down_may_not_take_part_yet() {
    let mut cluster = Cluster::new();
    let (agent, _): (TestAgent, _) = cluster.agent(TOTAL);
    let machines = [MachineId::new("HOST", "127.0.0.1").expect("it has a name")];
    let unavailability = Unavailability { start: cluster.now.wall, duration: None };
    let window = Window { machines: machines.clone().into(), unavailability };
    told_by_operator(&mut cluster, MaintenanceScheduled { windows: vec![window] });
    assert_eq!(cluster.view().recovered_agents.len(), 1, "a plan hinders nobody");
    told_by_operator(&mut cluster, MachinesDown { machines: machines.into() });
    let heard = try_register(&mut cluster, &agent.id, agent_spec(TOTAL));
    assert!(matches!(heard.as_slice(), [AgentMessage::Refused { fatal: false, .. }]));
    let elsewhere = AgentSpec { hostname: "other".into(), ..agent_spec(TOTAL) };
    let heard = try_register(&mut cluster, &agent.id, elsewhere);
    assert!(matches!(heard.as_slice(), [AgentMessage::Registered { .. }]));
}

#[test]
fn old_unreachable_agents_are_forgotten_in_time_and_come_back_as_new_ones() {
    let config = Config {
        registry_gc_interval: seconds(60),
        registry_max_agent_age: seconds(3_600),
        registry_max_agent_count: 2,
        ..config()
    };
    let mut cluster = Cluster::with(config, Vec::new());
    let agents: Vec<_> = (0..3)
        .map(|number| {
            let pid = format!("slave({number})@127.0.0.1:5051").into();
            let spec = AgentSpec { pid, ..agent_spec(TOTAL) };
            let (agent, _) = cluster.register(None, spec, Vec::new(), Vec::new());
            cluster.wait(seconds(1));
            agent
        })
        .collect();
    cluster.wait(seconds(90));
    assert_eq!(cluster.view().unreachable_agents.len(), 3);
    cluster.wait(seconds(60));
    let left: Vec<_> = cluster.view().unreachable_agents.iter().map(|(id, _)| id.clone()).collect();
    assert_eq!(left, [agents[1].id.clone(), agents[2].id.clone()], "the oldest one goes");
    cluster.wait(seconds(3_600));
    assert!(cluster.view().unreachable_agents.is_empty());
    let before = cluster.log.len();
    cluster.wait(seconds(3_600));
    assert_eq!(cluster.log.len(), before, "nothing is written when there is nothing to forget");
    cluster.register(Some(&agents[0].id), agent_spec(TOTAL), Vec::new(), Vec::new());
    assert!(matches!(cluster.log.last(), Some(Op::AgentAdmitted(_))));
}
