//! Once nothing goes wrong any more, everybody comes to rest and agrees with everybody else.

use std::collections::{BTreeMap, BTreeSet};

use meros_agent_core::task::TaskKey;
use meros_marathon_core::instances::Condition;
use meros_master_core::Snapshot;
use meros_proto::ids::AgentId;
use meros_proto::task_state::is_terminal;

use crate::world::World;

/// What keeps the world from being at rest. `None`: it is.
pub(crate) fn unrest(world: &mut World) -> Option<String> {
    if let Some(node) = world.kernel.nodes.iter().position(|one| !one.up) {
        return Some(format!("process {node} is not up"));
    }
    let Some(master) = world.master.look(&world.kernel) else {
        return Some("the master is not up".to_owned());
    };
    let disagreement = agents_differ(world, &master)
        .or_else(|| marathon_differs(world, &master))
        .or_else(|| frameworks_differ(world, &master));
    disagreement.or_else(|| {
        let owed = world.kernel.truth.tasks.owed().next()?;
        Some(format!("{:?} of {} on host {} was never heard", owed.state, owed.key, owed.host))
    })
}

/// Every agent is registered, and the master's tasks on it are those that it runs.
fn agents_differ(world: &mut World, master: &Snapshot) -> Option<String> {
    let mut seen = BTreeSet::new();
    for agent in &mut world.agents {
        let name = agent.host.name.clone();
        let Some(view) = agent.look(&world.kernel) else {
            return Some(format!("{name} is not up"));
        };
        let Some(id) = view.agent.clone() else {
            return Some(format!("{name} was never taken in"));
        };
        let known = master.agents.iter().find(|one| one.id == id);
        let Some(known) = known.filter(|known| known.connected && known.active) else {
            return Some(format!("{name} is {id}, which is not registered with the master"));
        };
        seen.insert(id.clone());
        let mine: BTreeMap<TaskKey, _> =
            view.tasks.iter().map(|task| (task.spec.key.clone(), task.state)).collect();
        if let Some((key, state)) = mine.iter().find(|(_, state)| is_terminal(**state)) {
            return Some(format!("{key} is {state:?} on {name} and its end is not acknowledged"));
        }
        let running: BTreeSet<_> = agent.launcher.running().map(|(_, key)| key.clone()).collect();
        if let Some(key) = running.iter().find(|key| !mine.contains_key(*key)) {
            return Some(format!("{key} runs on {name}, which doesn't know"));
        }
        if let Some(key) = mine.keys().find(|key| !running.contains(*key)) {
            return Some(format!("{key} is live on {name} and doesn't run"));
        }
        if agent.launcher.unforgotten() > 0 {
            return Some(format!("{name} has ends that were not forgotten"));
        }
        let theirs = tasks_on(master, &id);
        if let Some(key) = theirs.iter().find(|key| !mine.contains_key(*key)) {
            return Some(format!("the master has {key} on {name}, which doesn't"));
        }
        if let Some(key) = mine.keys().find(|key| !theirs.contains(*key)) {
            return Some(format!("{name} has {key}, of which the master doesn't know"));
        }
        let used = view.used().unallocated();
        if used != known.used.clone().unallocated() {
            return Some(format!("{name} uses {used}, the master says {}", known.used));
        }
    }
    let stray = master.agents.iter().find(|agent| !seen.contains(&agent.id));
    stray.map(|agent| format!("the master has the agent {}, which is none", agent.id))
}

fn tasks_on(master: &Snapshot, agent: &AgentId) -> BTreeSet<TaskKey> {
    let tasks = master.frameworks.iter().flat_map(|framework| framework.tasks.iter());
    tasks
        .filter(|task| task.agent == *agent)
        .map(|task| TaskKey { framework: task.framework.clone(), task: task.id.clone() })
        .collect()
}

/// Every app runs as it should, and nothing else of Marathon's does.
fn marathon_differs(world: &mut World, master: &Snapshot) -> Option<String> {
    let Some(view) = world.marathon.look(&world.kernel) else {
        return Some("marathon is not up".to_owned());
    };
    if let Some(deployment) = view.deployments.first() {
        return Some(format!("deployment {} is at step {:?}", deployment.plan.id, deployment.step));
    }
    let wanted: usize = view.root.apps.values().map(|spec| spec.instances as usize).sum();
    let instances = || view.instances.values().flat_map(|instances| instances.values());
    if instances().count() != wanted {
        return Some(format!("{} instances are there, {wanted} are wanted", instances().count()));
    }
    let bad = instances().find(|one| {
        !one.counts()
            || one.condition() != Condition::Running
            || view.root.apps.get(one.id.app()).is_none_or(|app| {
                app.config_differs(&one.spec) && !world.kernel.truth.marathon.may_be_mixed(&app.id)
            })
    });
    if let Some(bad) = bad {
        return Some(format!("{} is {:?}, to be {:?}", bad.id, bad.condition(), bad.goal));
    }
    let Some(id) = &view.framework else { return Some("marathon has no id".to_owned()) };
    let Some(known) = master.frameworks.iter().find(|one| one.id == *id) else {
        return Some(format!("the master doesn't have marathon, {id}"));
    };
    let mine: BTreeSet<_> =
        instances().filter_map(|one| one.task.as_ref()).map(|task| &task.id).collect();
    let theirs: BTreeSet<_> = known.tasks.iter().map(|task| &task.id).collect();
    let other = mine.symmetric_difference(&theirs).next()?;
    Some(format!("{other}: marathon has it: {}", mine.contains(other)))
}

/// Every framework is connected, and knows of the tasks that the master has.
fn frameworks_differ(world: &World, master: &Snapshot) -> Option<String> {
    let mut expected = BTreeSet::new();
    expected.extend(world.marathon.framework());
    for batch in &world.batches {
        let Some(id) = batch.framework() else {
            return Some(format!("process {} is not subscribed", batch.node.0));
        };
        expected.insert(id.clone());
        let Some(known) = master.frameworks.iter().find(|one| one.id == *id) else {
            return Some(format!("the master doesn't have the framework {id}"));
        };
        if !known.connected {
            return Some(format!("framework {id} is not connected"));
        }
        if let Some(task) = batch.waits_for() {
            return Some(format!("{task} of {id} was to be killed and was not"));
        }
        let theirs: BTreeSet<_> = known.tasks.iter().map(|task| &task.id).collect();
        if let Some(task) = batch.live().keys().find(|task| !theirs.contains(task)) {
            return Some(format!("{id} believes in {task}, the master doesn't"));
        }
        if let Some(task) = theirs.iter().find(|task| !batch.live().contains_key(**task)) {
            return Some(format!("{id} doesn't know of {task}, the master does"));
        }
    }
    let strays = master.frameworks.iter().find(|framework| {
        !expected.contains(&framework.id) && (framework.connected || !framework.tasks.is_empty())
    });
    strays.map(|framework| format!("the master has the framework {}", framework.id))
}
