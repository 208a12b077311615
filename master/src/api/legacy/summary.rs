//! `/state-summary`: agents and frameworks with their tasks counted, for pages that poll.

use std::collections::{BTreeMap, BTreeSet};

use meros_master_core::{AgentView, FrameworkView, Snapshot};
use meros_proto::ids::{AgentId, FrameworkId};
use meros_proto::v1::TaskState;
use serde::Serialize;

use crate::api::legacy::resources::ByName;
use crate::api::legacy::tasks::{all_tasks, everywhere};
use crate::api::legacy::view::Viewer;
use crate::identity::Identity;

/// States that are counted; older than UNREACHABLE, DROPPED and GONE, the object has no place for
/// those.
const COUNTED: [TaskState; 9] = [
    TaskState::TaskStaging,
    TaskState::TaskStarting,
    TaskState::TaskRunning,
    TaskState::TaskKilling,
    TaskState::TaskFinished,
    TaskState::TaskKilled,
    TaskState::TaskFailed,
    TaskState::TaskLost,
    TaskState::TaskError,
];

type Counts = BTreeMap<&'static str, u64>;

/// What is counted of one agent or framework.
struct Tally<Other> {
    counts: Counts,
    others: BTreeSet<Other>,
}

impl<Other> Default for Tally<Other> {
    fn default() -> Self {
        Self { counts: Counts::new(), others: BTreeSet::new() }
    }
}

#[derive(Serialize)]
pub(super) struct Summary<'a> {
    hostname: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    cluster: Option<&'a str>,
    slaves: Vec<Agent<'a>>,
    frameworks: Vec<Framework<'a>>,
}

#[derive(Serialize)]
struct Agent<'a> {
    id: &'a str,
    pid: &'a str,
    hostname: &'a str,
    port: u16,
    registered_time: f64,
    active: bool,
    version: &'a str,
    capabilities: &'a [String],
    resources: ByName<'a>,
    used_resources: ByName<'a>,
    offered_resources: ByName<'a>,
    #[serde(flatten)]
    counts: Counts,
    framework_ids: Vec<String>,
}

#[derive(Serialize)]
struct Framework<'a> {
    id: &'a str,
    name: &'a str,
    active: bool,
    connected: bool,
    recovered: bool,
    used_resources: ByName<'a>,
    offered_resources: ByName<'a>,
    #[serde(flatten)]
    counts: Counts,
    slave_ids: Vec<String>,
}

impl<'a> Summary<'a> {
    pub(super) fn new(identity: &'a Identity, snapshot: &'a Snapshot, viewer: &Viewer<'_>) -> Self {
        let mut by_agent: BTreeMap<&AgentId, Tally<&FrameworkId>> = BTreeMap::new();
        let mut by_framework: BTreeMap<&FrameworkId, Tally<&AgentId>> = BTreeMap::new();
        for framework in everywhere(snapshot).filter(|framework| viewer.sees_framework(framework)) {
            for task in all_tasks(framework).filter(|task| viewer.sees_task(task)) {
                by_agent.entry(&task.agent).or_default().count(task.state, &task.framework);
                by_framework.entry(&task.framework).or_default().count(task.state, &task.agent);
            }
        }
        let seen = snapshot.frameworks.iter().filter(|framework| viewer.sees_framework(framework));
        Self {
            hostname: &identity.hostname,
            cluster: identity.cluster.as_deref(),
            slaves: snapshot
                .agents
                .iter()
                .map(|agent| agent_object(agent, by_agent.remove(&agent.id).unwrap_or_default()))
                .collect(),
            frameworks: seen
                .map(|framework| {
                    let tally = by_framework.remove(&framework.id).unwrap_or_default();
                    framework_object(framework, tally)
                })
                .collect(),
        }
    }
}

impl<Other: Ord + ToString> Tally<Other> {
    fn count(&mut self, state: TaskState, other: Other) {
        *self.counts.entry(state.as_str_name()).or_default() += 1;
        self.others.insert(other);
    }

    /// The counts, zeros included, and the ids of those that share a task.
    fn take(self) -> (Counts, Vec<String>) {
        let count = |state: TaskState| {
            let name = state.as_str_name();
            (name, self.counts.get(name).copied().unwrap_or(0))
        };
        let counts = COUNTED.into_iter().map(count).collect();
        (counts, self.others.iter().map(ToString::to_string).collect())
    }
}

fn agent_object<'a>(agent: &'a AgentView, tally: Tally<&FrameworkId>) -> Agent<'a> {
    let (counts, framework_ids) = tally.take();
    Agent {
        id: agent.id.as_str(),
        pid: &agent.spec.pid,
        hostname: &agent.spec.hostname,
        port: agent.spec.port,
        registered_time: agent.registered.as_secs_f64(),
        active: agent.active,
        version: &agent.spec.version,
        capabilities: &agent.spec.capabilities,
        resources: ByName(&agent.spec.resources),
        used_resources: ByName(&agent.used),
        offered_resources: ByName(&agent.offered),
        counts,
        framework_ids,
    }
}

fn framework_object<'a>(framework: &'a FrameworkView, tally: Tally<&AgentId>) -> Framework<'a> {
    let (counts, slave_ids) = tally.take();
    Framework {
        id: framework.id.as_str(),
        name: &framework.spec.name,
        active: framework.active,
        connected: framework.connected,
        recovered: framework.recovered,
        used_resources: ByName(&framework.used),
        offered_resources: ByName(&framework.offered),
        counts,
        slave_ids,
    }
}
