//! A second framework: it wants a number of short tasks done, comes and goes, and is not careful.
//!
//! What it keeps over its death is its id, and which jobs are done.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use meros_proto::ids::{AgentId, FrameworkId, OfferId, TaskId};
use meros_proto::resources::{ReservationFormat, Resources, Role};
use meros_proto::task_state::is_terminal;
use meros_proto::v1;
use meros_proto::v1::framework_info::{Capability, capability};
use meros_proto::v1::scheduler::{Call, call};
use meros_sdk::driver::{Event, launch_operation};
use rand::RngExt;

use super::driver::Driver;
use crate::clock::Time;
use crate::kernel::Kernel;
use crate::network::{Arrival, Node};
use crate::schedule::Timer;

/// How long it waits for tasks that can't be reached.
const GIVE_UP_AFTER: Duration = Duration::from_secs(300);
/// How often it looks after its tasks.
const TICK: Duration = Duration::from_secs(20);

/// What it is like.
#[derive(Debug, Clone)]
pub(crate) struct Habits {
    pub(crate) name: String,
    pub(crate) role: String,
    pub(crate) failover_timeout: Duration,
    pub(crate) partition_aware: bool,
    /// Tasks that it wants to have at a time.
    pub(crate) width: usize,
    /// How long they run at most.
    pub(crate) longest: Duration,
}

/// A batch framework, whether it runs or not.
#[derive(Debug)]
pub(crate) struct BatchProcess {
    pub(crate) node: Node,
    habits: Habits,
    driver: Option<Driver>,
    /// On disk.
    id: Option<FrameworkId>,
    /// On disk: task ids are never used again.
    started: u64,
    live: BTreeMap<TaskId, Option<AgentId>>,
    killed: BTreeSet<TaskId>,
    /// Since when nobody can reach them.
    unreachable: BTreeMap<TaskId, Time>,
    /// It starts nothing more.
    pub(crate) winding_down: bool,
    suppressed: bool,
}

impl BatchProcess {
    pub(crate) fn new(node: Node, habits: Habits) -> Self {
        Self {
            node,
            habits,
            driver: None,
            id: None,
            started: 0,
            live: BTreeMap::new(),
            killed: BTreeSet::new(),
            unreachable: BTreeMap::new(),
            winding_down: false,
            suppressed: false,
        }
    }

    pub(crate) fn start(&mut self, kernel: &mut Kernel) {
        self.live.clear();
        self.killed.clear();
        self.unreachable.clear();
        let info = self.info();
        self.driver = Some(Driver::start(kernel, self.node, info));
        kernel.after(TICK, self.node, Timer::Tick);
    }

    pub(crate) fn crash(&mut self) {
        self.driver = None;
    }

    /// The id that it goes by.
    pub(crate) fn framework(&self) -> Option<&FrameworkId> {
        self.id.as_ref()
    }

    /// A task that it asked for the end of, and that has not ended.
    pub(crate) fn waits_for(&self) -> Option<&TaskId> {
        self.killed.iter().find(|task| self.live.contains_key(*task))
    }

    /// Tasks that it believes to be live.
    pub(crate) fn live(&self) -> &BTreeMap<TaskId, Option<AgentId>> {
        &self.live
    }

    fn info(&self) -> v1::FrameworkInfo {
        let mut capabilities =
            vec![capability::Type::MultiRole, capability::Type::TaskKillingState];
        if self.habits.partition_aware {
            capabilities.push(capability::Type::PartitionAware);
        }
        v1::FrameworkInfo {
            user: Some("batch".to_owned()),
            name: Some(self.habits.name.clone()),
            id: self.id.as_ref().map(FrameworkId::to_proto),
            failover_timeout: Some(self.habits.failover_timeout.as_secs_f64()),
            checkpoint: Some(true),
            roles: vec![self.habits.role.clone()],
            capabilities: capabilities
                .into_iter()
                .map(|kind| Capability { r#type: Some(kind.into()) })
                .collect(),
            ..v1::FrameworkInfo::default()
        }
    }

    pub(crate) fn arrived(&mut self, kernel: &mut Kernel, arrival: Arrival) {
        let Some(driver) = &mut self.driver else { return };
        let events = driver.arrived(kernel, arrival);
        self.hear(kernel, events);
    }

    pub(crate) fn timer(&mut self, kernel: &mut Kernel, timer: &Timer) {
        if *timer == Timer::Tick {
            return self.tick(kernel);
        }
        let Some(driver) = &mut self.driver else { return };
        let events = driver.timer(kernel, timer);
        self.hear(kernel, events);
    }

    fn tick(&mut self, kernel: &mut Kernel) {
        kernel.after(TICK, self.node, Timer::Tick);
        self.give_up_unreachable(kernel.now());
        let tasks = self.live.iter().map(|(task, agent)| (task.clone(), agent.clone())).collect();
        self.reconcile(kernel, tasks);
        // A kill may have been lost.
        let again: Vec<_> = self.killed.iter().cloned().collect();
        for task in again {
            let agent = self.live.get(&task).cloned().flatten();
            self.kill(kernel, &task, agent.as_ref());
        }
        if self.suppressed && !self.winding_down && self.live.len() < self.habits.width {
            self.suppressed = false;
            self.send(kernel, call::Type::Revive, Call::default());
        }
    }

    /// An agent that left for good without being heard is unreachable for ever.
    fn give_up_unreachable(&mut self, now: Time) {
        let over = |since: &Time| now.since(*since) > GIVE_UP_AFTER;
        let given_up: Vec<TaskId> = self
            .unreachable
            .iter()
            .filter(|(_, since)| over(since))
            .map(|(task, _)| task.clone())
            .collect();
        for task in given_up {
            self.unreachable.remove(&task);
            self.live.remove(&task);
            self.killed.remove(&task);
        }
    }

    /// Asks for the end of one of its tasks.
    pub(crate) fn kill_one(&mut self, kernel: &mut Kernel) {
        let nth = kernel.chance.random_range(0..self.live.len().max(1));
        let Some((task, agent)) = self.live.iter().nth(nth) else { return };
        let (task, agent) = (task.clone(), agent.clone());
        self.kill(kernel, &task, agent.as_ref());
        kernel.counts.add("batch task was killed");
    }

    fn kill(&mut self, kernel: &mut Kernel, task: &TaskId, agent: Option<&AgentId>) {
        let body = call::Kill {
            task_id: Some(task.to_proto()),
            agent_id: agent.map(AgentId::to_proto),
            kill_policy: None,
        };
        self.send(kernel, call::Type::Kill, Call { kill: Some(body), ..Call::default() });
        self.killed.insert(task.clone());
    }

    /// It ends itself, with all its tasks.
    pub(crate) fn tear_down(&mut self, kernel: &mut Kernel) {
        self.send(kernel, call::Type::Teardown, Call::default());
        kernel.counts.add("framework tore itself down");
    }

    fn send(&mut self, kernel: &mut Kernel, kind: call::Type, call: Call) -> bool {
        let call = Call { r#type: Some(kind.into()), ..call };
        self.driver.as_mut().is_some_and(|driver| driver.send(kernel, call))
    }

    fn hear(&mut self, kernel: &mut Kernel, events: Vec<Event>) {
        let mut superseded = false;
        for event in events {
            match event {
                Event::Subscribed(subscribed) => {
                    if subscribed.again || self.id.is_some() {
                        kernel.counts.add("framework failed over");
                    }
                    self.id = Some(subscribed.framework_id);
                    self.suppressed = false;
                    // What was told while nobody listened comes again, or is asked for.
                    self.reconcile(kernel, Vec::new());
                    let known = self.live.clone().into_iter().collect();
                    self.reconcile(kernel, known);
                }
                Event::Offers(offers) => self.offered(kernel, &offers),
                Event::Update(update) => self.updated(kernel, &update.status),
                Event::CallFailed(failed) => {
                    let tasks = failed.call.accept.into_iter().flat_map(|body| body.operations);
                    for task in tasks.flat_map(|one| one.launch.unwrap_or_default().task_infos) {
                        if let Ok(id) = TaskId::from_proto(task.task_id.as_ref()) {
                            kernel.counts.add("a launch came to nothing");
                            self.live.entry(id).or_default();
                        }
                    }
                }
                Event::Error { message } if message.contains("failed over") => {
                    kernel.superseded(self.node);
                    superseded = true;
                }
                Event::Error { .. } | Event::Removed { .. } => {
                    kernel.counts.add("framework was sent away");
                }
                _ => {}
            }
        }
        if self.driver.as_ref().is_some_and(Driver::is_ended) {
            // Otherwise its id is used up: it comes back as another framework.
            self.id = self.id.take().filter(|_| superseded);
            kernel.died.push(self.node);
        }
    }

    fn reconcile(&mut self, kernel: &mut Kernel, tasks: Vec<(TaskId, Option<AgentId>)>) {
        let one = |(task, agent): (TaskId, Option<AgentId>)| call::reconcile::Task {
            task_id: Some(task.to_proto()),
            agent_id: agent.map(|agent| agent.to_proto()),
        };
        let tasks = tasks.into_iter().map(one).collect();
        let body = Some(call::Reconcile { tasks });
        self.send(kernel, call::Type::Reconcile, Call { reconcile: body, ..Call::default() });
    }

    fn offered(&mut self, kernel: &mut Kernel, offers: &[v1::Offer]) {
        for offer in offers {
            let Some(id) = offer.id.as_ref().and_then(|id| OfferId::try_from(id).ok()) else {
                continue;
            };
            let tasks = self.tasks_for(kernel, offer);
            let refuse = kernel.chance.random_range(0..4_000);
            let filters = Some(v1::Filters { refuse_seconds: Some(f64::from(refuse) / 100.0) });
            if tasks.is_empty() {
                let body = call::Decline { offer_ids: vec![id.to_proto()], filters };
                let call = Call { decline: Some(body), ..Call::default() };
                self.send(kernel, call::Type::Decline, call);
                continue;
            }
            let body = call::Accept {
                offer_ids: vec![id.to_proto()],
                operations: vec![launch_operation(tasks)],
                filters,
            };
            self.send(kernel, call::Type::Accept, Call { accept: Some(body), ..Call::default() });
        }
        if self.live.len() >= self.habits.width && !self.suppressed {
            self.suppressed = true;
            self.send(kernel, call::Type::Suppress, Call::default());
        }
    }

    /// As many tasks as it wants and the offer holds.
    fn tasks_for(&mut self, kernel: &mut Kernel, offer: &v1::Offer) -> Vec<v1::TaskInfo> {
        let Ok(mut free) = Resources::from_protos(&offer.resources) else { return Vec::new() };
        let mut tasks = Vec::new();
        let role = Role::parse(&self.habits.role).expect("its role is one");
        while !self.winding_down && self.live.len() < self.habits.width {
            let cpus = kernel.chance.random_range(1..=10);
            let wanted = format!("cpus:{}.{};mem:32", cpus / 10, cpus % 10);
            let wanted = Resources::parse(&wanted, &Role::star()).expect("they are resources");
            let wanted = wanted.allocated_to(&role);
            let Some(rest) = free.checked_sub(&wanted) else { break };
            free = rest;
            self.started += 1;
            let id = format!("{}-{}", self.habits.name, self.started);
            let id = TaskId::parse(&id).expect("letters, digits and dashes are an id");
            let agent = offer.agent_id.as_ref().and_then(|id| AgentId::try_from(id).ok());
            self.live.insert(id.clone(), agent);
            tasks.push(self.task(kernel, &id, offer, &wanted));
        }
        tasks
    }

    fn task(
        &self,
        kernel: &mut Kernel,
        id: &TaskId,
        offer: &v1::Offer,
        resources: &Resources,
    ) -> v1::TaskInfo {
        let longest = u64::try_from(self.habits.longest.as_millis()).unwrap_or(u64::MAX);
        let millis = kernel.chance.random_range(1..=longest);
        let code = i32::from(kernel.chance.random_bool(0.1));
        v1::TaskInfo {
            name: Some(id.to_string()),
            task_id: Some(id.to_proto()),
            agent_id: offer.agent_id.clone(),
            resources: resources.to_protos(ReservationFormat::Refined),
            command: Some(v1::CommandInfo {
                value: Some(format!("run {millis} {code}")),
                ..v1::CommandInfo::default()
            }),
            ..v1::TaskInfo::default()
        }
    }

    fn updated(&mut self, kernel: &mut Kernel, status: &v1::TaskStatus) {
        let Ok(task) = TaskId::from_proto(status.task_id.as_ref()) else { return };
        let Some(framework) = self.id.clone() else { return };
        if let Some((rule, how)) = kernel.truth.tasks.heard(&framework, &task, status) {
            kernel.breaks(rule, how);
        }
        let agent = status.agent_id.as_ref().and_then(|id| AgentId::try_from(id).ok());
        let state = status.state();
        if state == v1::TaskState::TaskUnreachable {
            self.unreachable.entry(task.clone()).or_insert(kernel.now());
        } else {
            self.unreachable.remove(&task);
        }
        if is_terminal(state) || matches!(state, v1::TaskState::TaskUnknown) {
            self.live.remove(&task);
            self.killed.remove(&task);
        } else if self.live.contains_key(&task) || state != v1::TaskState::TaskUnreachable {
            self.live.insert(task.clone(), agent);
        }
        if let Some(uuid) = status.uuid.clone().filter(|uuid| !uuid.is_empty()) {
            let body = call::Acknowledge {
                agent_id: status.agent_id.clone(),
                task_id: status.task_id.clone(),
                uuid: Some(uuid),
            };
            let call = Call { acknowledge: Some(body), ..Call::default() };
            self.send(kernel, call::Type::Acknowledge, call);
        }
    }
}
