//! The rules of each operation, by example.

use std::time::Duration;

use bytes::Bytes;
use meros_proto::ids::{AgentId, ClusterId, FrameworkId};
use meros_proto::resources::{Name, Role, Scalar};
use meros_proto::time::Timestamp;

use crate::registry::ops::{
    AgentAdmitted, AgentDeactivated, AgentGone, AgentIdsTaken, AgentReachable, AgentReactivated,
    AgentRemoved, AgentUnreachable, ClusterCreated, ClusterVersionRaised, DrainFinished,
    DrainStarted, DrainStopped, FrameworkIdsTaken, FrameworkRemoved, GoneTrimmed, MachinesDown,
    MachinesUp, MaintenanceScheduled, QuotaRemoved, QuotasSet, RemovedFrameworksTrimmed,
    UnreachableTrimmed, WeightsSet,
};
use crate::registry::{
    Activity, DrainConfig, MachineId, MachineMode, Op, Quota, Rejected, State, Unavailability,
    Window,
};

fn agent(name: &str) -> AgentId {
    AgentId::parse(name).expect("a valid id")
}

fn role(name: &str) -> Role {
    Role::parse(name).expect("a valid role")
}

fn at(millis: u64) -> Timestamp {
    Timestamp::from_millis(millis)
}

fn admitted(name: &str) -> Op {
    AgentAdmitted { agent: agent(name), info: Bytes::from_static(b"info") }.into()
}

fn machine(hostname: &str, ip: &str) -> MachineId {
    MachineId::new(hostname, ip).expect("it has a name")
}

fn window(machines: &[&MachineId]) -> Window {
    let unavailability = Unavailability { start: at(5), duration: Some(Duration::from_secs(60)) };
    Window { machines: machines.iter().copied().cloned().collect(), unavailability }
}

/// Applies each operation and compares what comes of it: nothing, or the refusal's text.
#[track_caller]
fn check(steps: Vec<(Op, &str)>) -> State {
    let mut state = State::default();
    for (op, refusal) in steps {
        let found = state.apply(&op).err().map_or_else(String::new, |why| why.to_string());
        assert_eq!(found, refusal, "{op:?}");
    }
    state
}

#[test]
fn a_registry_belongs_to_one_cluster_whose_version_only_goes_up() {
    let created = |id: &str| -> Op {
        let id = ClusterId::parse(id).expect("a valid id");
        ClusterCreated { id, version: 1, created: at(1) }.into()
    };
    let raised = |version| -> Op { ClusterVersionRaised { version }.into() };
    let long = "x".repeat(129);
    let too_long = format!("the cluster id {long} is too long");
    let state = check(vec![
        (raised(2), "there is no cluster yet"),
        (created(&long), &too_long),
        (created("c"), ""),
        (created("d"), "the registry belongs to cluster c already"),
        (raised(1), "the cluster is of version 1 already"),
        (raised(3), ""),
    ]);
    assert_eq!(state.cluster().map(|cluster| cluster.version), Some(3));
}

#[test]
fn blocks_of_numbers_follow_each_other() {
    let frameworks = |first, count| -> Op { FrameworkIdsTaken { first, count }.into() };
    let agents = |first, count| -> Op { AgentIdsTaken { first, count }.into() };
    check(vec![
        (frameworks(1, 10), "the next number to hand out is 0, not 1"),
        (frameworks(0, 10), ""),
        (frameworks(0, 10), "the next number to hand out is 10, not 0"),
        (frameworks(10, 0), "a block of 0 numbers can't be handed out"),
        (frameworks(10, 5), ""),
        (agents(15, 1), "the next number to hand out is 0, not 15"),
        (agents(0, 1), ""),
    ]);
}

#[test]
fn an_agent_is_in_one_place_at_a_time() {
    let unreachable = || -> Op { AgentUnreachable { agent: agent("a"), since: at(3) }.into() };
    let reachable = || -> Op { AgentReachable { agent: agent("a"), info: Bytes::new() }.into() };
    let removed = || -> Op { AgentRemoved { agent: agent("a") }.into() };
    let gone = || -> Op { AgentGone { agent: agent("a"), at: at(9) }.into() };
    let state = check(vec![
        (unreachable(), "agent a is not admitted"),
        (gone(), "agent a is unknown"),
        (admitted("a"), ""),
        (reachable(), "agent a is not unreachable"),
        (unreachable(), ""),
        (removed(), "agent a is not admitted"),
        (reachable(), ""),
        (removed(), ""),
        (admitted("a"), ""),
        (admitted("a"), ""),
        (unreachable(), ""),
        (gone(), ""),
        (gone(), "agent a was marked gone"),
        (admitted("a"), "agent a was marked gone"),
        (reachable(), "agent a is not unreachable"),
    ]);
    assert!(state.is_gone(&agent("a")) && state.admitted().is_empty());
    assert_eq!(state.unreachable().len(), 0);
}

#[test]
fn draining_survives_the_agents_absence_and_is_ended_before_it_works_again() {
    let config = DrainConfig { max_grace: Some(Duration::from_secs(9)), mark_gone: true };
    let id = || agent("a");
    let start = || -> Op { DrainStarted { agent: id(), config }.into() };
    let reactivated = || -> Op { AgentReactivated { agent: id() }.into() };
    let deactivated = || -> Op { AgentDeactivated { agent: id() }.into() };
    let state = check(vec![
        (start(), "agent a is unknown"),
        (admitted("a"), ""),
        (reactivated(), "agent a is active"),
        (deactivated(), ""),
        (deactivated(), "agent a is deactivated"),
        (start(), ""),
        (reactivated(), "agent a is draining"),
        (AgentUnreachable { agent: id(), since: at(1) }.into(), ""),
        (AgentReachable { agent: id(), info: Bytes::new() }.into(), ""),
        (DrainStopped { agent: id() }.into(), ""),
        (DrainFinished { agent: id() }.into(), "agent a is deactivated"),
        (start(), ""),
        (DrainFinished { agent: id() }.into(), ""),
        (DrainStopped { agent: id() }.into(), "agent a is drained"),
        (admitted("a"), ""),
    ]);
    assert_eq!(state.activity(&id()), Some(Activity::Drained(config)));
    let mut state = state;
    assert_eq!(state.apply(&reactivated()), Ok(()));
    assert_eq!(state.activity(&id()), Some(Activity::Active));
}

#[test]
fn weights_are_set_together_or_not_at_all() {
    let set = |weights: &[(&str, f64)]| -> Op {
        let weights = weights.iter().map(|(name, weight)| (role(name), *weight)).collect();
        WeightsSet { weights }.into()
    };
    let state = check(vec![
        (set(&[]), "nothing is to be set"),
        (set(&[("a", 2.0), ("b", 0.0)]), "weight 0 of role 'b' is not above zero and finite"),
        (set(&[("b", f64::INFINITY)]), "weight inf of role 'b' is not above zero and finite"),
        (set(&[("a", 2.0), ("a/b", 0.5)]), ""),
        (set(&[("a", 3.0)]), ""),
    ]);
    assert_eq!(**state.weights(), [(role("a"), 3.0), (role("a/b"), 0.5)].into());
}

#[test]
fn quota_is_for_top_level_roles_and_guarantees_no_more_than_it_allows() {
    let quota = |guarantee: i64, limit: Option<i64>| Quota {
        guarantees: [(Name::Cpus, Scalar::from_millis(guarantee))].into_iter().collect(),
        limits: limit.map(|limit| (Name::Cpus, Scalar::from_millis(limit))).into_iter().collect(),
    };
    let set =
        |name: &str, quota| -> Op { QuotasSet { quotas: [(role(name), quota)].into() }.into() };
    let removed = |name| -> Op { QuotaRemoved { role: role(name) }.into() };
    let state = check(vec![
        (set("*", quota(1, None)), "quota of role '*': the role '*' can have none"),
        (set("a/b", quota(1, None)), "quota of role 'a/b': only top-level roles can have one"),
        (set("a", quota(2, Some(1))), "quota of role 'a': it guarantees more than it allows"),
        (set("a", quota(0, Some(0))), ""),
        (set("b", quota(2, None)), ""),
        (removed("c"), "role 'c' has no quota"),
        (removed("b"), ""),
    ]);
    assert_eq!(state.quotas().keys().collect::<Vec<_>>(), [&role("a")]);
}

#[test]
fn machines_are_scheduled_then_down_then_up_and_out_of_the_schedule() {
    let (a, b) = (machine("A.example", "1.1.1.1"), machine("b", ""));
    let schedule =
        |windows: &[Window]| -> Op { MaintenanceScheduled { windows: windows.into() }.into() };
    let down = |one: &MachineId| -> Op { MachinesDown { machines: [one.clone()].into() }.into() };
    let up = |one: &MachineId| -> Op { MachinesUp { machines: [one.clone()].into() }.into() };
    let mut state = check(vec![
        (schedule(&[window(&[])]), "a maintenance window names no machine"),
        (
            schedule(&[window(&[&a]), window(&[&a])]),
            "machine a.example (1.1.1.1) is named more than once",
        ),
        (down(&a), "machine a.example (1.1.1.1) is not scheduled for maintenance"),
        (schedule(&[window(&[&a, &b])]), ""),
        (up(&a), "machine a.example (1.1.1.1) is not down"),
        (down(&a), ""),
        (down(&a), "machine a.example (1.1.1.1) is not scheduled for maintenance"),
        (
            schedule(&[window(&[&b])]),
            "machine a.example (1.1.1.1) is down and can't leave the schedule",
        ),
    ]);
    assert_eq!(state.maintenance().mode(&a), MachineMode::Down);
    assert_eq!(state.maintenance().mode(&b), MachineMode::Draining);
    assert!(state.maintenance().is_down("a.EXAMPLE", "1.1.1.1"));
    assert!(!state.maintenance().is_down("b", "2.2.2.2"));
    assert_eq!(state.apply(&down(&b)), Ok(()));
    assert!(state.maintenance().is_down("b", "2.2.2.2"), "it goes by its name alone");
    assert_eq!(state.apply(&up(&a)), Ok(()));
    assert_eq!(state.maintenance().mode(&a), MachineMode::Up);
    assert_eq!(state.apply(&up(&b)), Ok(()));
    assert_eq!(state.maintenance().windows().len(), 0);
    assert_eq!(MachineId::new("", ""), Err(Rejected::NamelessMachine));
}

#[test]
fn the_oldest_are_forgotten_first_by_age_or_by_number() {
    let mut steps = Vec::new();
    for (number, name) in (1..).zip(["a", "b", "c", "d"]) {
        steps.push((admitted(name), ""));
        steps.push((AgentUnreachable { agent: agent(name), since: at(number) }.into(), ""));
    }
    let unreachable =
        |before, keep| -> Op { UnreachableTrimmed { before: at(before), keep }.into() };
    let nothing = "nothing is old enough to be forgotten";
    steps.push((unreachable(1, 4), nothing));
    steps.push((unreachable(2, 4), ""));
    steps.push((unreachable(0, 2), ""));
    steps.push((AgentGone { agent: agent("d"), at: at(9) }.into(), ""));
    steps.push((GoneTrimmed { before: at(9), keep: 1 }.into(), nothing));
    let framework = FrameworkId::parse("f").expect("a valid id");
    steps.push((FrameworkRemoved { framework: framework.clone(), at: at(1) }.into(), ""));
    let again = FrameworkRemoved { framework: framework.clone(), at: at(2) };
    steps.push((again.into(), "framework f was removed already"));
    let state = check(steps);
    assert!(state.is_removed(&framework));
    let left: Vec<_> = state.unreachable().collect();
    assert_eq!(left, [(&agent("c"), at(3))]);
    let mut state = state;
    assert_eq!(state.apply(&RemovedFrameworksTrimmed { before: at(0), keep: 0 }.into()), Ok(()));
    assert_eq!(state.apply(&GoneTrimmed { before: at(10), keep: 9 }.into()), Ok(()));
    assert!(!state.is_removed(&framework) && !state.is_gone(&agent("d")));
}
