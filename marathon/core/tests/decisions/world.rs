//! Marathon, its store and the master, under one virtual clock.
//!
//! Keeps the write-ahead rule as the real shell does: a batch's records are stored, and only then
//! do its effects leave. A crash loses a batch whole, or its effects only.

use std::collections::BTreeMap;
use std::time::Duration;

use meros_marathon_core::apps::{
    AppSpec, Backoff, KillSelection, PortDefinition, Protocol, ResourceLimits, UnreachableStrategy,
    UpgradeStrategy, VersionInfo,
};
use meros_marathon_core::events::Event;
use meros_marathon_core::input::{Expect, Input, PutApp, ReplyTo, RootChange};
use meros_marathon_core::instances::{Condition, Instance, InstanceId};
use meros_marathon_core::output::{Answer, Call, ChangeDone, ChangeError, Effect};
use meros_marathon_core::path_id::PathId;
use meros_marathon_core::records::Record;
use meros_marathon_core::version::Version;
use meros_marathon_core::view::View;
use meros_marathon_core::{Config, Marathon};
use meros_proto::caller::Caller;
use meros_proto::ids::{FrameworkId, TaskId};
use meros_proto::machine::{Core, Outputs};
use meros_proto::time::{Mono, Now, Timestamp};
use std::sync::Arc;

use crate::master::Master;
use crate::services::Services;

/// What a crash loses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Crash {
    /// The batch under way: nothing of it was stored.
    BeforeStoring,
    /// The effects of the batch under way: its records were stored.
    AfterStoring,
}

pub(crate) struct World {
    pub(crate) marathon: Marathon,
    pub(crate) master: Master,
    pub(crate) services: Services,
    pub(crate) now: Now,
    pub(crate) config: Config,
    store: BTreeMap<String, Vec<u8>>,
    pub(crate) events: Vec<Event>,
    /// The calls to the master since they were last taken.
    pub(crate) calls: Vec<Call>,
    pub(crate) replies: BTreeMap<ReplyTo, Answer>,
    asked: u64,
    starts: u64,
    pub(crate) seed: u64,
    pub(crate) crash: Option<Crash>,
    /// Everything that left, as text: two runs of a seed are to be alike.
    pub(crate) trace: Vec<String>,
}

impl World {
    /// A cluster of `agents` agents, and Marathon connected to it.
    pub(crate) fn new(seed: u64, agents: usize) -> Self {
        Self::with(seed, agents, |_| {})
    }

    /// The same with another configuration.
    pub(crate) fn with(seed: u64, agents: usize, configure: impl FnOnce(&mut Config)) -> Self {
        let now = at(Duration::ZERO);
        let mut config = Config::default();
        configure(&mut config);
        let marathon = Marathon::recover(config.clone(), seed, now, []).unwrap();
        let mut world = Self {
            marathon,
            master: Master::new(seed ^ 0x5eed, agents),
            services: Services::new(seed ^ 0xbea7),
            now,
            config,
            store: BTreeMap::new(),
            events: Vec::new(),
            calls: Vec::new(),
            replies: BTreeMap::new(),
            asked: 0,
            starts: 1,
            seed,
            crash: None,
            trace: Vec::new(),
        };
        world.connect();
        world
    }

    pub(crate) fn connect(&mut self) {
        self.master.connect();
        let framework = FrameworkId::parse("marathon-0001").unwrap();
        assert!(self.marathon.framework().is_none_or(|known| *known == framework));
        let master = "master.local".into();
        self.batch(vec![Input::Registered { framework, master, region: None }]);
    }

    pub(crate) fn disconnect(&mut self) {
        self.master.disconnect();
        self.batch(vec![Input::Disconnected]);
    }

    /// Cuts Marathon off, for a restart later: what it does until then is nothing.
    pub(crate) fn stop(&mut self) {
        self.disconnect();
        let empty = Marathon::recover(self.config.clone(), 0, self.now, []);
        self.marathon = empty.expect("nothing is stored");
    }

    /// Kills Marathon, and starts it again from its store.
    pub(crate) fn restart(&mut self) {
        self.crash = None;
        self.starts += 1;
        self.master.disconnect();
        self.services.forget();
        let rows = self.store.clone();
        let seed = self.seed.wrapping_mul(31).wrapping_add(self.starts);
        self.marathon = Marathon::recover(self.config.clone(), seed, self.now, rows).unwrap();
        self.connect();
    }

    /// Has Marathon take in a batch, stores and carries out what it asks for.
    pub(crate) fn batch(&mut self, inputs: Vec<Input>) {
        let mut out = Outputs::<Record, Effect>::default();
        for input in inputs {
            self.marathon.handle(self.now, input, &mut out);
        }
        self.marathon.round(self.now, &mut out);
        let crash = self.crash.take();
        if crash != Some(Crash::BeforeStoring) {
            for record in &out.records {
                let row = record.row();
                match row.value {
                    Some(value) => self.store.insert(row.key, value),
                    None => self.store.remove(&row.key),
                };
            }
        }
        if crash.is_some() {
            self.restart();
            return;
        }
        for effect in out.effects {
            self.trace.push(format!("{} {effect:?}", self.now.wall));
            match effect {
                Effect::Call(call) => {
                    let store = &self.store;
                    self.master.call(self.now, &call, |task| is_on_record(store, task));
                    self.calls.push(call);
                }
                Effect::Reply { to, answer } => {
                    self.replies.insert(to, answer);
                }
                Effect::Publish(event) => self.events.push(event),
                Effect::Probe(probe) => self.services.probe(self.now, probe),
                Effect::ReadinessProbe(probe) => self.services.readiness(self.now, probe),
            }
        }
    }

    /// Lets time pass until the next thing happens, or until `until`. Returns whether something
    /// happened before.
    pub(crate) fn step(&mut self, until: Mono) -> bool {
        let next = [self.master.next_at(), self.services.next_at(), self.marathon.deadline()];
        let next = next.into_iter().flatten().min();
        let next = next.map(|at| at.max(self.now.mono)).filter(|at| *at < until);
        self.now = at(next.unwrap_or(until).since(Mono::default()));
        let heard = self.hear();
        self.batch(heard);
        next.is_some()
    }

    /// All that Marathon hears by now.
    pub(crate) fn hear(&mut self) -> Vec<Input> {
        let mut heard = self.master.hear(self.now);
        heard.append(&mut self.services.hear(self.now));
        heard
    }

    /// How long the world has been there.
    pub(crate) fn since_start(&self) -> Duration {
        self.now.mono.since(Mono::default())
    }

    /// Lets `span` pass.
    pub(crate) fn run_for(&mut self, span: Duration) {
        let until = self.now.mono + span;
        while self.step(until) {}
    }

    /// Lets time pass until `condition` holds; at most five minutes.
    #[track_caller]
    pub(crate) fn run_until(&mut self, what: &str, condition: impl Fn(&View) -> bool) {
        let until = self.now.mono + Duration::from_secs(300);
        while !condition(&self.view()) {
            assert!(self.step(until), "never happened: {what}\n{:#?}", self.view().instances);
        }
    }

    /// Lets time pass until no deployment is under way.
    #[track_caller]
    pub(crate) fn run_until_deployed(&mut self) {
        self.run_until("all deployments are done", |view| view.deployments.is_empty());
    }

    /// Sends an input that is answered.
    pub(crate) fn ask(&mut self, input: impl FnOnce(ReplyTo) -> Input) -> Answer {
        self.asked += 1;
        let reply = ReplyTo(self.asked);
        self.batch(vec![input(reply)]);
        self.replies.remove(&reply).expect("every request is answered at once")
    }

    pub(crate) fn change(
        &mut self,
        change: RootChange,
        force: bool,
    ) -> Result<ChangeDone, ChangeError> {
        let caller = Caller::default();
        match self.ask(|reply| Input::Change { caller, reply, force, change }) {
            Answer::Changed(result) => result,
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn put(&mut self, spec: AppSpec) -> Result<ChangeDone, ChangeError> {
        self.change(put(spec), false)
    }

    pub(crate) fn view(&mut self) -> Arc<View> {
        self.asked += 1;
        let reply = ReplyTo(self.asked);
        let mut out = Outputs::default();
        self.marathon.handle(self.now, Input::View { reply }, &mut out);
        assert!(out.records.is_empty(), "looking changes nothing");
        match out.effects.pop() {
            Some(Effect::Reply { answer: Answer::View(view), .. }) => view,
            other => panic!("{other:?}"),
        }
    }

    /// The names of all events since the last time.
    pub(crate) fn take_events(&mut self) -> Vec<Event> {
        std::mem::take(&mut self.events)
    }

    /// The tasks that the master was told to kill since the last time, in order.
    pub(crate) fn take_kills(&mut self) -> Vec<TaskId> {
        let kills = self.calls.drain(..).filter_map(|call| match call {
            Call::Kill { task, .. } => Some(task),
            _ => None,
        });
        kills.collect()
    }

    /// The only instance of an app, which runs.
    #[track_caller]
    pub(crate) fn only(&mut self, app: &str) -> Arc<Instance> {
        let running = self.running(app);
        assert_eq!(running.len(), 1);
        running[0].clone()
    }

    /// The running instances of an app.
    pub(crate) fn running(&mut self, app: &str) -> Vec<Arc<Instance>> {
        let view = self.view();
        let running = view
            .instances_of(&id(app))
            .filter(|instance| instance.condition() == Condition::Running);
        running.cloned().collect()
    }
}

fn is_on_record(store: &BTreeMap<String, Vec<u8>>, task: &TaskId) -> bool {
    let instance = InstanceId::of_task(task.as_str()).expect("tasks are named for their instances");
    let Some(row) = store.get(&format!("instance:{instance}")) else { return false };
    let incarnation = task.as_str().rsplit('.').next().unwrap();
    let text = String::from_utf8_lossy(row);
    text.contains(&format!("\"incarnation\":{incarnation},")) && !text.contains("\"task\":null")
}

/// The task of an instance.
pub(crate) fn task_of(instance: &Instance) -> TaskId {
    instance.task.as_ref().expect("it has a task").id.clone()
}

/// The moment `since_start` after the start, by both clocks.
fn at(since_start: Duration) -> Now {
    let start = Timestamp::from_millis(1_700_000_000_000);
    Now { mono: Mono::default() + since_start, wall: start + since_start }
}

pub(crate) fn id(text: &str) -> PathId {
    PathId::parse(text).unwrap()
}

pub(crate) fn put(spec: AppSpec) -> RootChange {
    RootChange::PutApps(vec![PutApp { spec: Arc::new(spec), expect: Expect::Any }])
}

/// An app with one port.
pub(crate) fn app(name: &str, instances: u32) -> AppSpec {
    AppSpec {
        id: id(name),
        cmd: Some("sleep 1000".into()),
        args: Vec::new(),
        cpus: 0.1,
        mem: 32.0,
        disk: 0.0,
        gpus: 0,
        instances,
        executor: String::new(),
        user: None,
        env: BTreeMap::new(),
        labels: BTreeMap::new(),
        constraints: Vec::new(),
        dependencies: Default::default(),
        fetch: Vec::new(),
        backoff: Backoff::default(),
        upgrade: UpgradeStrategy::default(),
        ports: vec![PortDefinition {
            port: 0,
            protocol: Protocol::Tcp,
            name: Some("http".into()),
            labels: BTreeMap::new(),
        }],
        require_ports: false,
        kill_selection: KillSelection::default(),
        unreachable: UnreachableStrategy::default(),
        accepted_resource_roles: None,
        role: "*".into(),
        kill_grace: None,
        tty: None,
        limits: ResourceLimits::default(),
        health_checks: Vec::new(),
        readiness_checks: Vec::new(),
        check: None,
        version: Version::default(),
        version_info: VersionInfo::default(),
    }
}

/// The same app with another configuration.
pub(crate) fn changed(mut spec: AppSpec, nth: usize) -> AppSpec {
    spec.env.insert("CHANGE".into(), nth.to_string());
    spec
}
