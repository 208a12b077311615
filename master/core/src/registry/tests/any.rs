//! Operations of every kind on few names, so that they meet.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bytes::Bytes;
use meros_proto::ids::{AgentId, ClusterId, FrameworkId};
use meros_proto::resources::{Name, Quantities, Role, Scalar};
use meros_proto::time::Timestamp;
use proptest::collection::{btree_map, btree_set, vec};
use proptest::option;
use proptest::prelude::*;

use crate::registry::ops::{
    AgentAdmitted, AgentDeactivated, AgentGone, AgentIdsTaken, AgentReachable, AgentReactivated,
    AgentRemoved, AgentUnreachable, ClusterCreated, ClusterVersionRaised, DrainFinished,
    DrainStarted, DrainStopped, FrameworkIdsTaken, FrameworkRemoved, GoneTrimmed, MachinesDown,
    MachinesUp, MaintenanceScheduled, QuotaRemoved, QuotasSet, RemovedFrameworksTrimmed,
    UnreachableTrimmed, WeightsSet,
};
use crate::registry::{DrainConfig, MachineId, Op, Quota, Unavailability, Window};

/// Any operation.
pub(super) fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        4 => agent_op(),
        2 => activity_op(),
        1 => cluster_op(),
        1 => role_op(),
        1 => maintenance_op(),
        1 => trim_op(),
    ]
}

/// A history that a master could have proposed: the cluster comes first.
pub(super) fn history() -> impl Strategy<Value = Vec<Op>> {
    vec(op(), 0..60).prop_map(|mut ops| {
        let id = ClusterId::parse("c").expect("a valid id");
        let created = ClusterCreated { id, version: 1, created: Timestamp::from_millis(1) };
        ops.insert(0, created.into());
        ops
    })
}

fn agent_op() -> impl Strategy<Value = Op> {
    prop_oneof![
        (agent(), info()).prop_map(|(agent, info)| AgentAdmitted { agent, info }.into()),
        (agent(), info()).prop_map(|(agent, info)| AgentReachable { agent, info }.into()),
        (agent(), time()).prop_map(|(agent, since)| AgentUnreachable { agent, since }.into()),
        agent().prop_map(|agent| AgentRemoved { agent }.into()),
        (agent(), time()).prop_map(|(agent, at)| AgentGone { agent, at }.into()),
    ]
}

fn activity_op() -> impl Strategy<Value = Op> {
    let config = (option::of(0_u64..9), any::<bool>());
    let config = config.prop_map(|(seconds, mark_gone)| DrainConfig {
        max_grace: seconds.map(Duration::from_secs),
        mark_gone,
    });
    prop_oneof![
        agent().prop_map(|agent| AgentDeactivated { agent }.into()),
        agent().prop_map(|agent| AgentReactivated { agent }.into()),
        (agent(), config).prop_map(|(agent, config)| DrainStarted { agent, config }.into()),
        agent().prop_map(|agent| DrainFinished { agent }.into()),
        agent().prop_map(|agent| DrainStopped { agent }.into()),
    ]
}

fn cluster_op() -> impl Strategy<Value = Op> {
    let id = prop_oneof![Just("c".to_owned()), Just("d".to_owned()), Just("x".repeat(200))];
    let id = id.prop_map(|id| ClusterId::parse(&id).expect("a valid id"));
    let first = || prop_oneof![Just(0_u64), Just(1), Just(2), Just(u64::MAX)];
    let framework = (0..4_u8).prop_map(|n| FrameworkId::parse(&format!("f{n}")).expect("valid"));
    prop_oneof![
        (id, 0..3_u32, time()).prop_map(|(id, version, created)| ClusterCreated {
            id,
            version,
            created
        }
        .into()),
        (0..4_u32).prop_map(|version| ClusterVersionRaised { version }.into()),
        (first(), 0..2_u32).prop_map(|(first, count)| FrameworkIdsTaken { first, count }.into()),
        (first(), 0..2_u32).prop_map(|(first, count)| AgentIdsTaken { first, count }.into()),
        (framework, time()).prop_map(|(framework, at)| FrameworkRemoved { framework, at }.into()),
    ]
}

fn role_op() -> impl Strategy<Value = Op> {
    let weight = prop_oneof![Just(0.5), Just(2.0), Just(0.0), Just(-1.0), Just(f64::NAN)];
    let amounts =
        || btree_map(prop_oneof![Just(Name::Cpus), Just(Name::from("x"))], 0..3_i64, 0..3);
    let quota = (amounts(), amounts()).prop_map(|(guarantees, limits)| Quota {
        guarantees: scalars(guarantees).into_iter().collect::<Quantities>(),
        limits: scalars(limits),
    });
    prop_oneof![
        btree_map(role(), weight, 0..3).prop_map(|weights| WeightsSet { weights }.into()),
        btree_map(role(), quota, 0..3).prop_map(|quotas| QuotasSet { quotas }.into()),
        role().prop_map(|role| QuotaRemoved { role }.into()),
    ]
}

fn scalars(amounts: BTreeMap<Name, i64>) -> BTreeMap<Name, Scalar> {
    amounts.into_iter().map(|(name, millis)| (name, Scalar::from_millis(millis))).collect()
}

fn maintenance_op() -> impl Strategy<Value = Op> {
    let unavailability = (time(), option::of(0_u64..9)).prop_map(|(start, seconds)| {
        Unavailability { start, duration: seconds.map(Duration::from_secs) }
    });
    let window = (machines(), unavailability)
        .prop_map(|(machines, unavailability)| Window { machines, unavailability });
    prop_oneof![
        vec(window, 0..3).prop_map(|windows| MaintenanceScheduled { windows }.into()),
        machines().prop_map(|machines| MachinesDown { machines }.into()),
        machines().prop_map(|machines| MachinesUp { machines }.into()),
    ]
}

fn machines() -> impl Strategy<Value = BTreeSet<MachineId>> {
    let machine = prop_oneof![Just(("Host", "")), Just(("host", "1.2.3.4")), Just(("", "1.2.3.4"))];
    let machine = machine.prop_map(|(host, ip)| MachineId::new(host, ip).expect("it has a name"));
    btree_set(machine, 0..3)
}

fn trim_op() -> impl Strategy<Value = Op> {
    (0..3_u8, time(), 0..3_u32).prop_map(|(which, before, keep)| match which {
        0 => UnreachableTrimmed { before, keep }.into(),
        1 => GoneTrimmed { before, keep }.into(),
        _ => RemovedFrameworksTrimmed { before, keep }.into(),
    })
}

fn agent() -> impl Strategy<Value = AgentId> {
    (0..4_u8).prop_map(|number| AgentId::parse(&format!("c-S{number}")).expect("a valid id"))
}

fn role() -> impl Strategy<Value = Role> {
    let role = prop_oneof![Just("*"), Just("web"), Just("db"), Just("web/front")];
    role.prop_map(|role| Role::parse(role).expect("a valid role"))
}

fn info() -> impl Strategy<Value = Bytes> {
    vec(any::<u8>(), 0..4).prop_map(Bytes::from)
}

fn time() -> impl Strategy<Value = Timestamp> {
    (0..10_u64).prop_map(Timestamp::from_millis)
}
