//! What a view shows: one consistent picture of the whole master, cheap to take.
//!
//! Tasks, offers and specs are shared with the core, tasks by runs of many ([`SharedMap`]); agents
//! that didn't change since the last picture are those of the last picture. Rendering happens
//! elsewhere.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use bytes::Bytes;
use meros_proto::ids::{AgentId, FrameworkId, MasterId, TaskId};
use meros_proto::resources::{Resources, Role};
use meros_proto::time::{Now, Timestamp};

use crate::Master;
use crate::frameworks::{Connection, Framework};
use crate::input::SchedulerCall;
use crate::model::{AgentSpec, FrameworkSpec, Offer, Task};
use crate::registry::Activity;
use crate::shared_map::SharedMap;
use crate::tasks::LiveTask;

/// The master at one moment.
#[derive(Debug, Clone)]
pub struct Snapshot {
    /// Its id.
    pub master: MasterId,
    /// When it started.
    pub started: Timestamp,
    /// When the snapshot was taken.
    pub taken: Timestamp,
    /// Frameworks that are subscribed, or may come back; by id.
    pub frameworks: Vec<FrameworkView>,
    /// Frameworks that were removed, oldest first.
    pub completed_frameworks: Vec<Arc<FrameworkView>>,
    /// Agents that are registered; by id.
    pub agents: Vec<Arc<AgentView>>,
    /// Agents known from before the master's start that aren't back yet.
    pub recovered_agents: Vec<RecoveredAgent>,
    /// Agents that were not heard of for too long, with since when.
    pub unreachable_agents: Vec<(AgentId, Timestamp)>,
    /// Roles that frameworks subscribed to or that have a weight; by name.
    pub roles: Vec<RoleView>,
    /// What happened since the start.
    pub counters: Counters,
}

/// One framework.
#[derive(Debug, Clone)]
pub struct FrameworkView {
    /// Its id.
    pub id: FrameworkId,
    /// What it said of itself.
    pub spec: Arc<FrameworkSpec>,
    /// It may get offers.
    pub active: bool,
    /// Its stream is up.
    pub connected: bool,
    /// Known from agents only: it didn't subscribe to this master yet.
    pub recovered: bool,
    /// When it subscribed first.
    pub registered: Timestamp,
    /// When it subscribed last, if more than once.
    pub reregistered: Option<Timestamp>,
    /// When it was removed or lost its stream.
    pub unregistered: Option<Timestamp>,
    /// What its live tasks hold, scalars only: the same port of two agents is two things.
    pub used: Resources,
    /// What its offers hold, scalars only.
    pub offered: Resources,
    /// Live tasks, and terminal ones that are not acknowledged.
    pub tasks: TaskList,
    /// Tasks on unreachable agents.
    pub unreachable_tasks: Arc<BTreeMap<TaskId, Arc<Task>>>,
    /// Tasks that ended, oldest first.
    pub completed_tasks: Arc<VecDeque<Arc<Task>>>,
    /// Its offers.
    pub offers: Vec<Arc<Offer>>,
}

/// Tasks of one framework, by id; shared with the core.
#[derive(Debug, Clone, Default)]
pub struct TaskList(SharedMap<TaskId, LiveTask>);

impl TaskList {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The tasks, by id.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Task>> + Clone {
        self.0.values().map(|live| &live.task)
    }

    /// The task of this id.
    pub fn get(&self, id: &TaskId) -> Option<&Arc<Task>> {
        self.0.get(id).map(|live| &live.task)
    }
}

/// One registered agent.
#[derive(Debug, Clone, PartialEq)]
pub struct AgentView {
    /// Its id.
    pub id: AgentId,
    /// What it said of itself.
    pub spec: Arc<AgentSpec>,
    /// Its link is up.
    pub connected: bool,
    /// Its resources may be offered.
    pub active: bool,
    /// Whether it is to be given work, as operators said.
    pub activity: Activity,
    /// When it registered first.
    pub registered: Timestamp,
    /// When it registered last, if more than once.
    pub reregistered: Option<Timestamp>,
    /// What live tasks hold.
    pub used: Resources,
    /// What offers hold.
    pub offered: Resources,
}

/// An agent known from before the master's start.
#[derive(Debug, Clone)]
pub struct RecoveredAgent {
    /// Its id.
    pub id: AgentId,
    /// The encoded AgentInfo.
    pub raw: Bytes,
}

/// One role.
#[derive(Debug, Clone)]
pub struct RoleView {
    /// Its name.
    pub role: Role,
    /// 1 unless set.
    pub weight: f64,
    /// Its dominant share of the cluster, not divided by its weight.
    pub share: f64,
    /// What its frameworks hold or are offered, scalars only.
    pub allocated: Resources,
    /// Who subscribed to it.
    pub frameworks: Vec<FrameworkId>,
}

/// What happened since the master's start. Only ever grows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counters {
    /// Tasks that reached each terminal state, counted once a task.
    pub tasks_finished: u64,
    /// See `tasks_finished`.
    pub tasks_failed: u64,
    /// See `tasks_finished`.
    pub tasks_killed: u64,
    /// See `tasks_finished`.
    pub tasks_lost: u64,
    /// See `tasks_finished`; also tasks that never were: invalid ones.
    pub tasks_error: u64,
    /// See `tasks_finished`; also tasks that never were: launched with an invalid offer.
    pub tasks_dropped: u64,
    /// See `tasks_finished`.
    pub tasks_gone: u64,
    /// See `tasks_finished`.
    pub tasks_gone_by_operator: u64,
    /// Scheduler calls by kind.
    pub calls: CallCounters,
    /// Updates that were forwarded.
    pub valid_status_updates: u64,
    /// Updates of unknown tasks, frameworks or links.
    pub invalid_status_updates: u64,
    /// Acknowledgements that were forwarded.
    pub valid_acknowledgements: u64,
    /// Acknowledgements that were dropped.
    pub invalid_acknowledgements: u64,
    /// Agents that registered for the first time.
    pub agent_registrations: u64,
    /// Agents that came back.
    pub agent_reregistrations: u64,
    /// Agents that left or became unreachable.
    pub agent_removals: u64,
    /// Agents that became unreachable.
    pub agent_unreachable: u64,
    /// Offers made.
    pub offers_made: u64,
    /// Offers rescinded.
    pub offers_rescinded: u64,
    /// Rounds of the allocator that had something to look at.
    pub allocation_runs: u64,
}

/// Scheduler calls by kind.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CallCounters {
    /// SUBSCRIBE.
    pub subscribe: u64,
    /// ACCEPT.
    pub accept: u64,
    /// DECLINE.
    pub decline: u64,
    /// REVIVE.
    pub revive: u64,
    /// SUPPRESS.
    pub suppress: u64,
    /// KILL.
    pub kill: u64,
    /// ACKNOWLEDGE.
    pub acknowledge: u64,
    /// RECONCILE.
    pub reconcile: u64,
    /// TEARDOWN.
    pub teardown: u64,
    /// All others.
    pub other: u64,
}

impl CallCounters {
    /// Counts a call that was accepted.
    pub(crate) fn count(&mut self, call: &SchedulerCall) {
        let counter = match call {
            SchedulerCall::Accept { .. } => &mut self.accept,
            SchedulerCall::Decline { .. } => &mut self.decline,
            SchedulerCall::Revive { .. } => &mut self.revive,
            SchedulerCall::Suppress { .. } => &mut self.suppress,
            SchedulerCall::Kill { .. } => &mut self.kill,
            SchedulerCall::Acknowledge { .. } => &mut self.acknowledge,
            SchedulerCall::Reconcile { .. } => &mut self.reconcile,
            SchedulerCall::Teardown => &mut self.teardown,
            SchedulerCall::Shutdown { .. }
            | SchedulerCall::Message { .. }
            | SchedulerCall::Request
            | SchedulerCall::Unbuilt { .. } => &mut self.other,
        };
        *counter += 1;
    }
}

impl Master {
    /// The picture of this moment.
    pub(crate) fn snapshot(&mut self, now: Now) -> Snapshot {
        let agents = self.agents.views(self.registry.state());
        let frameworks = self.frameworks.by_id.values();
        let registry = self.registry.state();
        // Mostly all are there, and then nobody is to be looked for.
        let admitted = self.awaits_agents().then(|| registry.admitted());
        let awaited = admitted.into_iter().flatten().filter(|(id, _)| self.awaits(id));
        let unreachable = registry.unreachable();
        Snapshot {
            master: self.config.master_id.clone(),
            started: self.started,
            taken: now.wall,
            frameworks: frameworks
                .filter_map(|index| Some(self.view_of_framework(self.frameworks.all.get(*index)?)))
                .collect(),
            completed_frameworks: self.frameworks.completed.iter().cloned().collect(),
            agents,
            recovered_agents: awaited
                .map(|(id, agent)| RecoveredAgent { id: id.clone(), raw: agent.info.clone() })
                .collect(),
            unreachable_agents: unreachable.map(|(id, since)| (id.clone(), since)).collect(),
            roles: self.views_of_roles(),
            counters: self.counters,
        }
    }

    pub(crate) fn view_of_framework(&self, framework: &Framework) -> FrameworkView {
        let connected = framework.stream().is_some();
        let offers = framework.offers.iter();
        FrameworkView {
            id: framework.id.clone(),
            spec: Arc::clone(&framework.spec),
            active: connected,
            connected,
            recovered: framework.connection == Connection::Recovered,
            registered: framework.registered,
            reregistered: framework.reregistered,
            unregistered: framework.unregistered,
            used: framework.used.clone(),
            offered: framework.offered.clone(),
            tasks: TaskList(framework.tasks.clone()),
            unreachable_tasks: Arc::clone(&framework.unreachable),
            completed_tasks: Arc::clone(&framework.completed),
            offers: offers
                .filter_map(|number| Some(Arc::clone(&self.offers.get(*number)?.offer)))
                .collect(),
        }
    }

    fn views_of_roles(&self) -> Vec<RoleView> {
        let weights = self.registry.state().weights();
        let mut roles: BTreeMap<Role, (Resources, BTreeSet<FrameworkId>)> =
            weights.keys().map(|role| (role.clone(), Default::default())).collect();
        for (_, framework) in self.frameworks.all.iter() {
            for role in &framework.spec.roles {
                roles.entry(role.clone()).or_default().1.insert(framework.id.clone());
            }
            let allocated = framework.used.clone() + &framework.offered;
            for (role, resources) in allocated.allocations() {
                roles.entry(role).or_default().0 += resources;
            }
        }
        let view = |(role, (allocated, frameworks)): (Role, (Resources, BTreeSet<_>))| RoleView {
            weight: weights.get(&role).copied().unwrap_or(1.0),
            share: self.allocator.dominant_share(&role),
            allocated,
            frameworks: frameworks.into_iter().collect(),
            role,
        };
        roles.into_iter().map(view).collect()
    }
}
