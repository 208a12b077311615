//! A master with agents and tasks that only pretend, on virtual time.
//!
//! It keeps the rules that Marathon rests on: an offer is used once, a task id too; a status is sent
//! again until it is acknowledged, and the next one of its task only then; what was declined comes
//! back after its filter, or a revive. It panics when Marathon breaks a rule of its own.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use bytes::Bytes;
use meros_marathon_core::input::Input;
use meros_marathon_core::instances::status::TaskUpdate;
use meros_marathon_core::offers::Offer;
use meros_marathon_core::output::Call;
use meros_proto::ids::{AgentId, OfferId, TaskId};
use meros_proto::resources::{Resources, Role};
use meros_proto::time::{Mono, Now};
use meros_proto::v1;
use meros_proto::v1::TaskState;
use meros_proto::v1::task_status::Reason;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use crate::wire::{invalid_offer, update, update_of, wire_offer};

const RESEND: Duration = Duration::from_secs(10);
const DEFAULT_FILTER: Duration = Duration::from_secs(5);

/// How tasks behave.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Behaviour {
    /// The share of launches that fail soon.
    pub failing: f64,
    /// The share of kills that get lost.
    pub lost_kills: f64,
    /// The share of health checks that agents see fail.
    pub sick: f64,
    /// How long a task takes to run, and to end, at most.
    pub sluggish: Duration,
}

impl Behaviour {
    /// Tasks start, run for ever, and end when told.
    pub(crate) const GOOD: Self =
        Self { failing: 0.0, lost_kills: 0.0, sick: 0.0, sluggish: Duration::from_millis(200) };
}

#[derive(Debug)]
struct Agent {
    total: Resources,
    reachable: bool,
    rack: String,
    filter_until: Mono,
}

#[derive(Debug)]
pub(crate) struct Task {
    pub(crate) agent: AgentId,
    resources: Resources,
    /// What it is by now, whatever Marathon has heard.
    pub(crate) state: TaskState,
    /// Its health check, what the agent last said of it, and how often it failed in a row.
    check: Option<v1::HealthCheck>,
    pub(crate) healthy: Option<bool>,
    failures: u32,
    /// News that were not acknowledged yet, the oldest first.
    news: VecDeque<News>,
    /// The news' running number, for acknowledgements.
    number: u64,
}

impl Task {
    pub(crate) fn is_live(&self) -> bool {
        !meros_proto::task_state::is_terminal(self.state)
    }
}

#[derive(Debug, Clone, Copy)]
struct News {
    state: TaskState,
    reason: Option<Reason>,
    healthy: Option<bool>,
}

#[derive(Debug, Clone)]
enum Happening {
    Becomes(TaskId, TaskState),
    /// The agent runs the task's health check.
    Checks(TaskId),
    Send(TaskId, u64),
}

/// The master and all agents.
#[derive(Debug)]
pub(crate) struct Master {
    rng: StdRng,
    pub(crate) behaviour: Behaviour,
    agents: BTreeMap<AgentId, Agent>,
    pub(crate) tasks: BTreeMap<TaskId, Task>,
    pub(crate) launched: BTreeSet<TaskId>,
    offers: BTreeMap<OfferId, (AgentId, Resources)>,
    offers_made: u64,
    suppressed: bool,
    happenings: BTreeMap<(Mono, u64), Happening>,
    happened: u64,
    pub(crate) inbox: Vec<Input>,
    pub(crate) connected: bool,
    pub(crate) revives: usize,
}

impl Master {
    /// A master with `agents` agents, on two racks, each with 4 CPUs and 40 ports.
    pub(crate) fn new(seed: u64, agents: usize) -> Self {
        let agent = |nth: usize| {
            let id = AgentId::parse(&format!("agent-{nth}")).unwrap();
            let total = "cpus:4;mem:4096;disk:1000;ports:[31000-31039]";
            let agent = Agent {
                total: Resources::parse(total, &Role::star()).unwrap(),
                reachable: true,
                rack: format!("r{}", nth % 2),
                filter_until: Mono::default(),
            };
            (id, agent)
        };
        Self {
            rng: StdRng::seed_from_u64(seed),
            behaviour: Behaviour::GOOD,
            agents: (0..agents).map(agent).collect(),
            tasks: BTreeMap::new(),
            launched: BTreeSet::new(),
            offers: BTreeMap::new(),
            offers_made: 0,
            suppressed: false,
            happenings: BTreeMap::new(),
            happened: 0,
            inbox: Vec::new(),
            connected: false,
            revives: 0,
        }
    }

    /// The connection is cut: offers and what was under way are gone.
    pub(crate) fn disconnect(&mut self) {
        self.connected = false;
        self.offers.clear();
        self.inbox.clear();
    }

    /// Marathon subscribes (again).
    pub(crate) fn connect(&mut self) {
        self.connected = true;
        self.suppressed = false;
        self.offers.clear();
    }

    /// Takes a call. `is_on_record` tells whether a launch of a task is.
    pub(crate) fn call(&mut self, now: Now, call: &Call, is_on_record: impl Fn(&TaskId) -> bool) {
        if !self.connected {
            return;
        }
        match call {
            Call::Accept { offer, launches, refuse } => {
                assert!(!launches.is_empty(), "an accept launches something");
                let held = self.offers.remove(offer);
                let mut left = held.as_ref().map(|(_, resources)| resources.clone());
                for info in launches {
                    let id = TaskId::from_proto(info.task_id.as_ref()).unwrap();
                    assert!(is_on_record(&id), "the launch of {id} is not on record");
                    assert!(self.launched.insert(id.clone()), "{id} was launched before");
                    let wants = Resources::from_protos(&info.resources).unwrap().unallocated();
                    match &mut left {
                        Some(left) => {
                            assert!(left.try_subtract(&wants), "{id} takes more than is offered");
                            self.start(now, id, info, wants);
                        }
                        None => self.inbox.push(Input::Status(invalid_offer(&id, info))),
                    }
                }
                if let Some((agent, _)) = held {
                    self.filter(now, &agent, *refuse);
                }
            }
            Call::Decline { offers, refuse } => {
                for offer in offers {
                    if let Some((agent, _)) = self.offers.remove(offer) {
                        self.filter(now, &agent, *refuse);
                    }
                }
            }
            Call::Kill { task, .. } => self.kill(now, task),
            Call::Acknowledge { task, uuid, .. } => self.acknowledge(now, task, uuid),
            Call::Revive { roles } => {
                assert_eq!(roles, &["*"]);
                self.revives += 1;
                self.suppressed = false;
                for agent in self.agents.values_mut() {
                    agent.filter_until = Mono::default();
                }
            }
            Call::Suppress { .. } => self.suppressed = true,
            Call::ChangeRoles { .. } => {}
            Call::Reconcile { tasks } => self.reconcile(tasks),
        }
    }

    fn filter(&mut self, now: Now, agent: &AgentId, refuse: Option<Duration>) {
        if let Some(agent) = self.agents.get_mut(agent) {
            agent.filter_until = now.mono + refuse.unwrap_or(DEFAULT_FILTER);
        }
    }

    fn start(&mut self, now: Now, id: TaskId, info: &v1::TaskInfo, resources: Resources) {
        let agent = AgentId::from_proto(info.agent_id.as_ref()).unwrap();
        let reachable = self.agents[&agent].reachable;
        let task = Task {
            agent,
            resources,
            state: TaskState::TaskStaging,
            check: info.health_check.as_deref().cloned(),
            healthy: None,
            failures: 0,
            news: VecDeque::new(),
            number: 0,
        };
        self.tasks.insert(id.clone(), task);
        if !reachable {
            self.becomes(now, &id, TaskState::TaskDropped, None);
            return;
        }
        let fails = self.rng.random_bool(self.behaviour.failing);
        let starting = self.some_time();
        let running = starting + self.some_time();
        self.later(now, starting, Happening::Becomes(id.clone(), TaskState::TaskStarting));
        if fails && self.rng.random_bool(0.5) {
            self.later(now, running, Happening::Becomes(id, TaskState::TaskFailed));
            return;
        }
        self.later(now, running, Happening::Becomes(id.clone(), TaskState::TaskRunning));
        if fails {
            let end = running + self.some_time() * 20;
            let how = match self.rng.random_bool(0.5) {
                true => TaskState::TaskFailed,
                false => TaskState::TaskFinished,
            };
            self.later(now, end, Happening::Becomes(id, how));
        }
    }

    fn kill(&mut self, now: Now, id: &TaskId) {
        let Some(task) = self.tasks.get(id) else {
            self.inbox.push(Input::Status(update(id, TaskState::TaskUnknown, None)));
            return;
        };
        let lost = self.rng.random_bool(self.behaviour.lost_kills);
        if lost || !self.agents[&task.agent].reachable {
            return;
        }
        let end = self.some_time();
        self.later(now, end, Happening::Becomes(id.clone(), TaskState::TaskKilled));
    }

    fn acknowledge(&mut self, now: Now, id: &TaskId, uuid: &Bytes) {
        let Some(task) = self.tasks.get_mut(id) else { return };
        if task.number.to_be_bytes() != uuid[..] {
            return;
        }
        task.news.pop_front();
        task.number += 1;
        if task.news.is_empty() && !task.is_live() {
            self.tasks.remove(id);
        } else {
            let number = task.number;
            self.later(now, Duration::ZERO, Happening::Send(id.clone(), number));
        }
    }

    fn reconcile(&mut self, asked: &[(TaskId, Option<AgentId>)]) {
        let known = |(id, task): (&TaskId, &Task)| {
            let reachable = self.agents[&task.agent].reachable;
            match reachable {
                true => update_of(id, task),
                false => update(id, TaskState::TaskUnreachable, Some(task.agent.clone())),
            }
        };
        let answers: Vec<TaskUpdate> = match asked {
            [] => self.tasks.iter().map(known).collect(),
            asked => asked
                .iter()
                .map(|(id, _)| match self.tasks.get(id) {
                    Some(task) => known((id, task)),
                    None => update(id, TaskState::TaskUnknown, None),
                })
                .collect(),
        };
        self.inbox.extend(answers.into_iter().map(Input::Status));
    }

    /// A task's state is another by now.
    pub(crate) fn becomes(
        &mut self,
        now: Now,
        id: &TaskId,
        state: TaskState,
        reason: Option<Reason>,
    ) {
        let Some(task) = self.tasks.get_mut(id).filter(|task| task.is_live()) else { return };
        // A start that was overtaken by a kill.
        let backwards = meros_proto::task_state::progress(state)
            <= meros_proto::task_state::progress(task.state);
        if backwards {
            return;
        }
        task.state = state;
        let begins = state == TaskState::TaskRunning && task.check.is_some();
        let healthy = task.healthy;
        self.news(now, id, News { state, reason, healthy });
        if begins {
            let after = self.some_time();
            self.later(now, after, Happening::Checks(id.clone()));
        }
    }

    /// The agent tells how a health check went, if that is news; too many failures end the task.
    pub(crate) fn checked(&mut self, now: Now, id: &TaskId, healthy: bool) {
        let Some(task) = self.tasks.get_mut(id) else { return };
        if task.state != TaskState::TaskRunning {
            return;
        }
        task.failures = if healthy { 0 } else { task.failures + 1 };
        let most = task.check.as_ref().map_or(u32::MAX, |check| check.consecutive_failures());
        let too_many = task.failures >= most;
        let news = task.healthy.replace(healthy) != Some(healthy);
        if news {
            let state = TaskState::TaskRunning;
            self.news(now, id, News { state, reason: None, healthy: Some(healthy) });
        }
        if too_many {
            self.becomes(now, id, TaskState::TaskKilled, None);
        }
    }

    fn news(&mut self, now: Now, id: &TaskId, news: News) {
        let Some(task) = self.tasks.get_mut(id) else { return };
        task.news.push_back(news);
        let number = task.number;
        if task.news.len() == 1 {
            self.later(now, Duration::ZERO, Happening::Send(id.clone(), number));
        }
    }

    /// Whether Marathon was told of a launch with a health check.
    pub(crate) fn check_of(&self, id: &TaskId) -> Option<&v1::HealthCheck> {
        self.tasks.get(id)?.check.as_ref()
    }

    /// An agent can't be reached, or can again.
    pub(crate) fn set_reachable(&mut self, nth: usize, reachable: bool) {
        let (id, agent) = self.agents.iter_mut().nth(nth).unwrap();
        if agent.reachable == reachable {
            return;
        }
        agent.reachable = reachable;
        let id = id.clone();
        self.offers.retain(|offer, (agent, _)| {
            let keep = *agent != id;
            if !keep {
                self.inbox.push(Input::Rescinded(offer.clone()));
            }
            keep
        });
        let here = self.tasks.iter().filter(|(_, task)| task.agent == id && task.is_live());
        for (task, known) in here {
            self.inbox.push(Input::Status(match reachable {
                true => update_of(task, known),
                false => update(task, TaskState::TaskUnreachable, Some(id.clone())),
            }));
        }
    }

    /// The tasks that have news which nobody acknowledged.
    pub(crate) fn unacknowledged(&self) -> Vec<&str> {
        let waiting = self.tasks.iter().filter(|(_, task)| !task.news.is_empty());
        waiting.map(|(id, _)| id.as_str()).collect()
    }

    /// When something happens next.
    pub(crate) fn next_at(&self) -> Option<Mono> {
        if !self.inbox.is_empty() {
            return Some(Mono::default()); // It is heard at once.
        }
        let happening = self.happenings.keys().next().map(|(at, _)| *at);
        let filters = self
            .agents
            .iter()
            .filter(|(id, agent)| {
                self.connected
                    && !self.suppressed
                    && agent.reachable
                    && !self.free_of(id).is_empty()
                    && !self.offers.values().any(|(other, _)| other == *id)
            })
            .map(|(_, agent)| agent.filter_until);
        happening.into_iter().chain(filters).min()
    }

    /// All that Marathon hears by now.
    pub(crate) fn hear(&mut self, now: Now) -> Vec<Input> {
        while let Some(entry) = self.happenings.first_entry() {
            if entry.key().0 > now.mono {
                break;
            }
            match entry.remove() {
                Happening::Becomes(id, state) => {
                    let agent = self.tasks.get(&id).map(|task| task.agent.clone());
                    if agent.is_some_and(|agent| self.agents[&agent].reachable) {
                        self.becomes(now, &id, state, None);
                    } else if self.tasks.contains_key(&id) {
                        self.later(now, RESEND, Happening::Becomes(id, state));
                    }
                }
                Happening::Send(id, number) => self.send(now, id, number),
                Happening::Checks(id) => self.run_check(now, &id),
            }
        }
        self.make_offers(now);
        if !self.connected {
            self.inbox.clear();
        }
        std::mem::take(&mut self.inbox)
    }

    fn send(&mut self, now: Now, id: TaskId, number: u64) {
        let Some(task) = self.tasks.get(&id).filter(|task| task.number == number) else { return };
        let Some(news) = task.news.front().copied() else { return };
        if self.agents[&task.agent].reachable {
            let agent = Some(task.agent.clone());
            let uuid = Some(Bytes::copy_from_slice(&number.to_be_bytes()));
            let News { state, reason, healthy } = news;
            let update = update(&id, state, agent);
            self.inbox.push(Input::Status(TaskUpdate { reason, healthy, uuid, ..update }));
        }
        self.later(now, RESEND, Happening::Send(id, number));
    }

    fn run_check(&mut self, now: Now, id: &TaskId) {
        let Some(task) = self.tasks.get(id).filter(|task| task.is_live()) else { return };
        let reachable = self.agents[&task.agent].reachable;
        let healthy = !self.rng.random_bool(self.behaviour.sick);
        if reachable {
            self.checked(now, id, healthy);
        }
        let after = Duration::from_secs(5) + self.some_time();
        self.later(now, after, Happening::Checks(id.clone()));
    }

    fn make_offers(&mut self, now: Now) {
        if !self.connected || self.suppressed {
            return;
        }
        let mut offers = Vec::new();
        for (id, agent) in &self.agents {
            let free = self.free_of(id);
            let offered = self.offers.values().any(|(other, _)| other == id);
            if offered || free.is_empty() || !agent.reachable || agent.filter_until > now.mono {
                continue;
            }
            self.offers_made += 1;
            let offer = OfferId::parse(&format!("offer-{}", self.offers_made)).unwrap();
            offers.push(wire_offer(&offer, id, &agent.rack, &free));
            self.offers.insert(offer, (id.clone(), free));
        }
        if !offers.is_empty() {
            let parsed = offers.iter().map(|offer| Offer::parse(offer).unwrap());
            self.inbox.push(Input::Offers(parsed.collect()));
        }
    }

    fn free_of(&self, agent: &AgentId) -> Resources {
        let on_it = self.tasks.values().filter(|task| task.agent == *agent && task.is_live());
        let used: Resources = on_it.map(|task| task.resources.clone()).sum();
        self.agents[agent].total.checked_sub(&used).expect("no agent is used beyond its total")
    }

    fn some_time(&mut self) -> Duration {
        self.behaviour.sluggish.mul_f64(self.rng.random_range(0.0..1.0))
    }

    fn later(&mut self, now: Now, after: Duration, happening: Happening) {
        self.happened += 1;
        self.happenings.insert((now.mono + after, self.happened), happening);
    }
}
