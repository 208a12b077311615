//! Random histories, each from its seed, held against the simplest bookkeeping that could be right.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use meros_proto::ids::{AgentId, FrameworkId, OfferId};
use meros_proto::resources::Resources;
use meros_proto::v1::TaskState;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use crate::testing::{
    Cluster, Scheduler, Seen, TestAgent, agent_spec, aware, framework_info, ids, launch, reported,
    resources, spec_in, spec_of, task, task_id, uuid,
};
use crate::{
    AgentMessage, Filters, FrameworkReport, FrameworkSpec, Input, Offer, SchedulerCall,
    SchedulerEvent, TaskReport,
};

const STEPS: usize = 300;
const SEEDS: u64 = 40;
const TOTAL: &str = "cpus:4;mem:1024;ports:[31000-31009]";

/// What schedulers and agents believe, from what they heard.
#[derive(Default)]
struct Model {
    schedulers: Vec<(Scheduler, FrameworkSpec)>,
    agents: Vec<(TestAgent, bool)>,
    offers: BTreeMap<OfferId, Arc<Offer>>,
    /// What runs, by agent: framework, id, resources. Only what an agent was told to run.
    running: BTreeMap<AgentId, BTreeMap<(FrameworkId, String), Resources>>,
    /// What each framework said of itself, as agents remember it.
    frameworks: BTreeMap<FrameworkId, FrameworkSpec>,
    tasks: u32,
    launched: usize,
}

impl Model {
    /// Takes in what was sent. What is on offer and what runs must fit on each agent together.
    fn observe(&mut self, seen: &Seen) -> Result<(), String> {
        for effect in &seen.0 {
            match effect {
                crate::Effect::Event { event: SchedulerEvent::Offers(offers), .. } => {
                    for offer in offers {
                        self.offers.insert(offer.id.clone(), Arc::clone(offer));
                    }
                }
                crate::Effect::Event { event: SchedulerEvent::Rescind(offer), .. } => {
                    self.offers.remove(offer);
                }
                crate::Effect::CloseStream { stream } => {
                    let closed = self.schedulers.iter().find(|(one, _)| one.stream == *stream);
                    if let Some((closed, _)) = closed {
                        let id = closed.id.clone();
                        self.offers.retain(|_, offer| offer.framework != id);
                    }
                }
                _ => {}
            }
        }
        for (agent, _) in &self.agents {
            let offered: Resources = self
                .offers
                .values()
                .filter(|offer| offer.agent == agent.id)
                .map(|offer| offer.resources.unallocated())
                .sum();
            let running: Resources =
                self.running.get(&agent.id).into_iter().flat_map(BTreeMap::values).sum();
            let sum = offered.clone() + &running;
            if !resources(TOTAL).contains(&sum) {
                return Err(format!("{}: {offered} offered, {running} running", agent.id));
            }
        }
        Ok(())
    }

    fn offers_to(&self, framework: &FrameworkId) -> Vec<Arc<Offer>> {
        let own = self.offers.values().filter(|offer| offer.framework == *framework);
        own.cloned().collect()
    }

    fn reports(&self, agent: &AgentId) -> (Vec<TaskReport>, Vec<FrameworkReport>) {
        let running = || self.running.get(agent).into_iter().flatten();
        let tasks = running().map(|((framework, id), held)| {
            reported(framework, id, &held.to_string(), TaskState::TaskRunning)
        });
        let frameworks: BTreeSet<_> = running().map(|((framework, _), _)| framework).collect();
        let report = |id: &FrameworkId| FrameworkReport {
            id: id.clone(),
            spec: self.frameworks[id].clone(),
        };
        (tasks.collect(), frameworks.into_iter().map(report).collect())
    }
}

struct History {
    rng: StdRng,
    cluster: Cluster,
    model: Model,
}

impl History {
    fn new(seed: u64) -> Self {
        Self { rng: StdRng::seed_from_u64(seed), cluster: Cluster::new(), model: Model::default() }
    }

    fn pick(&mut self, length: usize) -> Option<usize> {
        (length > 0).then(|| self.rng.random_range(0..length))
    }

    fn step(&mut self) -> Result<(), String> {
        let seen = match self.rng.random_range(0..100) {
            0..5 => self.subscribe(),
            5..8 => self.resubscribe(),
            8..10 => self.break_stream(),
            10..18 => self.add_agent(),
            18..24 => self.break_link(),
            24..30 => self.agent_returns(),
            30..55 => self.accept(),
            55..65 => self.decline(),
            65..80 => self.end_task(),
            80..84 => self.call(SchedulerCall::Revive { roles: Vec::new() }),
            84..86 => self.call(SchedulerCall::Suppress { roles: Vec::new() }),
            86 => self.teardown(),
            89 => self.kill_master(),
            90..92 => {
                self.cluster.view();
                Seen::default()
            }
            87..89 => self.call(SchedulerCall::Reconcile { tasks: Vec::new() }),
            _ => {
                let pause = Duration::from_millis(self.rng.random_range(0..3_000));
                self.cluster.wait(pause)
            }
        };
        self.model.observe(&seen)
    }

    fn subscribe(&mut self) -> Seen {
        let spec = match self.rng.random_range(0..4) {
            0 => aware(),
            1 => spec_of(&framework_info(&[])),
            2 => spec_in("eng"),
            _ => spec_in("eng/web"),
        };
        let (scheduler, seen) = self.cluster.subscribe(spec.clone());
        self.model.frameworks.insert(scheduler.id.clone(), spec.clone());
        self.model.schedulers.push((scheduler, spec));
        seen
    }

    fn resubscribe(&mut self) -> Seen {
        let Some(at) = self.pick(self.model.schedulers.len()) else { return Seen::default() };
        let (old, spec) = self.model.schedulers[at].clone();
        self.model.offers.retain(|_, offer| offer.framework != old.id);
        let (new, seen) = self.cluster.resubscribe(&old.id, spec.clone());
        match seen.error(new.stream) {
            Some(_) => drop(self.model.schedulers.swap_remove(at)),
            None => self.model.schedulers[at] = (new, spec),
        }
        seen
    }

    fn break_stream(&mut self) -> Seen {
        let Some(at) = self.pick(self.model.schedulers.len()) else { return Seen::default() };
        let (scheduler, _) = self.model.schedulers[at].clone();
        self.model.offers.retain(|_, offer| offer.framework != scheduler.id);
        self.cluster.input(Input::StreamClosed { stream: scheduler.stream })
    }

    fn add_agent(&mut self) -> Seen {
        if self.model.agents.len() >= 8 {
            return Seen::default();
        }
        let mut spec = agent_spec(TOTAL);
        spec.pid = Arc::from(format!("slave({})@127.0.0.1:5051", self.cluster.number()));
        let (agent, seen) = self.cluster.register(None, spec, Vec::new(), Vec::new());
        self.model.agents.push((agent, true));
        seen
    }

    fn break_link(&mut self) -> Seen {
        let Some(at) = self.pick(self.model.agents.len()) else { return Seen::default() };
        self.model.agents[at].1 = false;
        let link = self.model.agents[at].0.link;
        self.cluster.input(Input::AgentLinkClosed { link })
    }

    fn agent_returns(&mut self) -> Seen {
        let Some(at) = self.pick(self.model.agents.len()) else { return Seen::default() };
        let id = self.model.agents[at].0.id.clone();
        let (tasks, frameworks) = self.model.reports(&id);
        let offered = |offer: &Arc<Offer>| offer.agent == id;
        self.model.offers.retain(|_, offer| !offered(offer));
        let spec = agent_spec(TOTAL);
        let (agent, seen) = self.cluster.register(Some(&id), spec, tasks, frameworks);
        for message in seen.to_agent(agent.link) {
            if let AgentMessage::Registered { removed_frameworks, .. } = message
                && let Some(running) = self.model.running.get_mut(&id)
            {
                running.retain(|(framework, _), _| !removed_frameworks.contains(framework));
            }
        }
        self.model.agents[at] = (agent, true);
        seen
    }

    fn accept(&mut self) -> Seen {
        let Some(at) = self.pick(self.model.offers.len()) else { return Seen::default() };
        let first = self.model.offers.values().nth(at).map(Arc::clone).expect("it was counted");
        let own = |(one, _): &&(Scheduler, FrameworkSpec)| one.id == first.framework;
        let Some((scheduler, _)) = self.model.schedulers.iter().find(own).cloned() else {
            return Seen::default();
        };
        let offers = self.model.offers_to(&scheduler.id);
        let mut used: Vec<_> =
            offers.into_iter().filter(|o| o.agent == first.agent && o.role == first.role).collect();
        if self.rng.random_bool(0.1) {
            // A scheduler's mistake: one offer twice.
            used.push(first.clone());
        }
        let held: Resources = self
            .model
            .running
            .get(&first.agent)
            .map_or_else(Resources::new, |running| running.values().sum());
        let tasks = (0..self.rng.random_range(0..4))
            .map(|_| {
                self.model.tasks += 1;
                let cpus = f64::from(self.rng.random_range(1..30)) / 10.0;
                let text = format!("cpus:{cpus};mem:{}", self.rng.random_range(1..600));
                (format!("task-{}", self.model.tasks), text)
            })
            .collect::<Vec<_>>();
        let launched: Vec<_> =
            tasks.iter().map(|(id, text)| task(id, &first.agent, text)).collect();
        let raw = |task: &crate::LaunchTask| task.spec.as_ref().expect("it is valid").raw.clone();
        let raws: Vec<_> = launched.iter().map(raw).collect();
        for offer in ids(&used) {
            self.model.offers.remove(&offer);
        }
        let filters = Filters { refuse_seconds: Some(f64::from(self.rng.random_range(0..3))) };
        let call = SchedulerCall::Accept {
            offers: ids(&used),
            operations: vec![launch(launched)],
            filters,
        };
        let seen = self.try_call(&scheduler, call);
        let link = self.model.agents.iter().find(|(agent, _)| agent.id == first.agent);
        let link = link.map(|(agent, _)| agent.link).expect("offers are of agents");
        let mut started = BTreeSet::new();
        for message in seen.to_agent(link) {
            if let AgentMessage::RunTask { task, .. } = message {
                started.insert(task);
                self.model.launched += 1;
            }
        }
        let running = self.model.running.entry(first.agent.clone()).or_default();
        for ((id, text), raw) in tasks.into_iter().zip(raws) {
            if started.contains(&raw) {
                running.insert((scheduler.id.clone(), id), resources(&text));
            }
        }
        let more: Resources = running.values().sum();
        assert!(more.contains(&held), "a launch ends nothing");
        seen
    }

    fn decline(&mut self) -> Seen {
        let Some(at) = self.pick(self.model.schedulers.len()) else { return Seen::default() };
        let scheduler = self.model.schedulers[at].0.clone();
        let offers = self.model.offers_to(&scheduler.id);
        for offer in ids(&offers) {
            self.model.offers.remove(&offer);
        }
        let refuse_seconds = [None, Some(0.0), Some(2.0), Some(-1.0)][self.rng.random_range(0..4)];
        let filters = Filters { refuse_seconds };
        self.try_call(&scheduler, SchedulerCall::Decline { offers: ids(&offers), filters })
    }

    fn end_task(&mut self) -> Seen {
        let Some(at) = self.pick(self.model.agents.len()) else { return Seen::default() };
        let (agent, connected) = self.model.agents[at].clone();
        let Some(running) = self.model.running.get_mut(&agent.id) else { return Seen::default() };
        let Some((framework, id)) = running.keys().next().cloned() else { return Seen::default() };
        running.remove(&(framework.clone(), id.clone()));
        if !connected {
            // The agent will report what is left when it is back.
            return Seen::default();
        }
        let mut seen = self.cluster.update(&agent, &framework, &id, TaskState::TaskFinished);
        let scheduler = self.model.schedulers.iter().find(|(one, _)| one.id == framework);
        if let Some((scheduler, _)) = scheduler.cloned()
            && self.rng.random_bool(0.7)
        {
            let call = SchedulerCall::Acknowledge {
                agent: agent.id,
                task: task_id(&id),
                uuid: uuid(TaskState::TaskFinished),
            };
            seen.0.extend(self.try_call(&scheduler, call).0);
        }
        seen
    }

    fn call(&mut self, call: SchedulerCall) -> Seen {
        let Some(at) = self.pick(self.model.schedulers.len()) else { return Seen::default() };
        let scheduler = self.model.schedulers[at].0.clone();
        self.try_call(&scheduler, call)
    }

    /// Everybody has to come back by themselves; what runs, runs on.
    fn kill_master(&mut self) -> Seen {
        self.cluster.restart();
        self.model.offers.clear();
        for (_, connected) in &mut self.model.agents {
            *connected = false;
        }
        Seen::default()
    }

    fn teardown(&mut self) -> Seen {
        let Some(at) = self.pick(self.model.schedulers.len()) else { return Seen::default() };
        let (scheduler, _) = self.model.schedulers.swap_remove(at);
        let seen = self.try_call(&scheduler, SchedulerCall::Teardown);
        self.model.offers.retain(|_, offer| offer.framework != scheduler.id);
        for (agent, _) in &self.model.agents {
            let told =
                |message: &AgentMessage| matches!(message, AgentMessage::ShutdownFramework { .. });
            if seen.to_agent(agent.link).iter().any(told)
                && let Some(running) = self.model.running.get_mut(&agent.id)
            {
                running.retain(|(framework, _), _| *framework != scheduler.id);
            }
        }
        seen
    }

    /// A call that may be refused, since the scheduler may not know yet that its stream is gone.
    fn try_call(&mut self, scheduler: &Scheduler, call: SchedulerCall) -> Seen {
        let reply = crate::ReplyTo(self.cluster.number());
        self.cluster.input(Input::Call(Box::new(crate::Call {
            caller: meros_proto::caller::Caller::default(),
            reply,
            framework: scheduler.id.clone(),
            stream_id: Some(scheduler.stream_id.to_string()),
            call,
        })))
    }
}

#[test]
fn no_history_offers_the_same_cpu_twice_or_breaks_the_books() {
    let mut launched = 0;
    for seed in 0..SEEDS {
        let mut history = History::new(seed);
        for step in 0..STEPS {
            if let Err(broken) = history.step() {
                panic!("seed={seed} step={step}: {broken}");
            }
        }
        launched += history.model.launched;
    }
    assert!(launched > 1_000, "{launched} tasks are too few to find anything");
}

#[test]
fn one_seed_always_gives_one_history() {
    let trace = |seed| {
        let mut history = History::new(seed);
        for _ in 0..STEPS {
            history.step().expect("the other test finds what is broken");
        }
        let view = history.cluster.view();
        let offers: Vec<_> = history.model.offers.keys().cloned().collect();
        (view.counters, offers, history.cluster.log.len())
    };
    for seed in [3, 7] {
        assert_eq!(trace(seed), trace(seed));
    }
}
