//! Random histories against the simplest bookkeeping that could be right.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use meros_agent_core::effect::{Effect, StatusUpdate, ToMaster};
use meros_agent_core::exit::Exit;
use meros_agent_core::input::{ContainerEvent, FromMaster, Input};
use meros_agent_core::task::TaskKey;
use meros_proto::ids::ContainerId;
use meros_proto::task_state::is_terminal;
use meros_proto::v1::TaskState;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use crate::bench::{Bench, SECOND, task};

const SEEDS: u64 = 60;
const STEPS: usize = 400;

/// A master and a launcher that do anything they may, in any order.
struct Model {
    bench: Bench,
    rng: StdRng,
    session: u64,
    linked: bool,
    tasks: u64,
    keys: Vec<TaskKey>,
    /// Containers asked for, and whether they run.
    containers: BTreeMap<ContainerId, bool>,
    /// Sent and not acknowledged; some will be lost.
    in_flight: Vec<StatusUpdate>,
    /// What the framework has heard of each task, each update once.
    heard: BTreeMap<TaskKey, Vec<TaskState>>,
    seen: BTreeSet<[u8; 16]>,
}

impl Model {
    fn new(seed: u64) -> Self {
        Self {
            bench: Bench::registered(),
            rng: StdRng::seed_from_u64(seed),
            session: 1,
            linked: true,
            tasks: 0,
            keys: Vec::new(),
            containers: BTreeMap::new(),
            in_flight: Vec::new(),
            heard: BTreeMap::new(),
            seen: BTreeSet::new(),
        }
    }

    fn step(&mut self) {
        match self.rng.random_range(0..100) {
            0..20 => self.run(),
            20..30 => self.kill(),
            30..60 => self.container_moves(),
            60..80 => self.acknowledge(),
            80..90 => {
                let wait = Duration::from_millis(self.rng.random_range(0..20_000));
                self.bench.pass(wait);
            }
            90..94 => self.break_link(),
            94..97 => self.restart(),
            _ => self.replay(),
        }
        self.collect();
    }

    fn run(&mut self) {
        if self.linked {
            self.tasks += 1;
            let info = task(&format!("t{}", self.tasks));
            let key = {
                let framework = crate::bench::framework(&[]);
                let encoded =
                    meros_proto::wire::encode(meros_proto::wire::Encoding::Protobuf, &info);
                let spec =
                    meros_agent_core::task::TaskSpec::parse(framework.id.clone(), encoded.into())
                        .expect("a valid task");
                let key = spec.key.clone();
                self.say(FromMaster::Run { framework, task: spec });
                key
            };
            self.keys.push(key);
        }
    }

    fn kill(&mut self) {
        if let Some(task) = self.pick_key() {
            let grace = Some(Duration::from_millis(self.rng.random_range(0..5_000)));
            self.say(FromMaster::Kill { task, grace });
        }
    }

    fn container_moves(&mut self) {
        let count = self.containers.len();
        if count == 0 {
            return;
        }
        let index = self.rng.random_range(0..count);
        let (container, runs) =
            self.containers.iter().nth(index).map(|(c, runs)| (c.clone(), *runs)).expect("counted");
        let event = match (runs, self.rng.random_range(0..4)) {
            (false, 0) => ContainerEvent::LaunchFailed { message: "no luck".to_owned() },
            (false, _) => ContainerEvent::Started { pid: 7 },
            (true, code) => ContainerEvent::Exited { exit: Exit::Code(code), overrun: None },
        };
        match event {
            ContainerEvent::Started { .. } => self.containers.insert(container.clone(), true),
            _ => self.containers.remove(&container),
        };
        self.bench.tell(Input::Container(container, event));
    }

    /// Hears an update, perhaps twice, or never.
    fn acknowledge(&mut self) {
        if self.in_flight.is_empty() || !self.linked {
            return;
        }
        let index = self.rng.random_range(0..self.in_flight.len());
        let update = self.in_flight.remove(index);
        if self.rng.random_bool(0.2) {
            return;
        }
        if self.seen.insert(update.update.uuid) {
            self.heard.entry(update.task.clone()).or_default().push(update.update.status.state);
        }
        let uuid = bytes::Bytes::copy_from_slice(&update.update.uuid);
        for _ in 0..self.rng.random_range(1..3) {
            self.say(FromMaster::Acknowledge { task: update.task.clone(), uuid: uuid.clone() });
        }
    }

    fn break_link(&mut self) {
        if self.linked {
            self.bench.tell(Input::LinkDown { session: self.session });
            self.linked = false;
        } else {
            self.session += 1;
            self.bench.register(self.session);
            self.linked = true;
        }
    }

    /// The agent crashes: its containers go with it, and the log stays.
    fn restart(&mut self) {
        let log = std::mem::take(&mut self.bench.log);
        let now = self.bench.now;
        self.bench = Bench::restarted(log);
        self.bench.now = now;
        self.containers.clear();
        self.linked = false;
    }

    /// An old message comes once more, over a stream that is gone.
    fn replay(&mut self) {
        if let Some(task) = self.pick_key() {
            let message = FromMaster::Kill { task, grace: None };
            self.bench.tell(Input::FromMaster { session: self.session + 100, message });
        }
    }

    fn collect(&mut self) {
        for effect in self.bench.effects() {
            match effect {
                Effect::Launch(launch) => {
                    self.containers.insert(launch.container, false);
                }
                Effect::ToMaster { session, message: ToMaster::Update(update) } => {
                    assert!(self.linked && session == self.session, "sent into the void");
                    self.in_flight.push(update);
                }
                Effect::Disconnect { .. } => {
                    self.bench.tell(Input::LinkDown { session: self.session });
                    self.linked = false;
                }
                _ => {}
            }
        }
        for (task, states) in &self.heard {
            let ends = states.iter().filter(|state| is_terminal(**state)).count();
            assert!(ends <= 1, "{task} ended twice: {states:?}");
            let orderly =
                states.is_sorted_by_key(|state| meros_proto::task_state::progress(*state));
            assert!(orderly, "{task}: {states:?}");
        }
    }

    /// Nothing goes wrong any more: everything ends, and is heard.
    fn settle(&mut self) {
        if !self.linked {
            self.break_link();
        }
        for key in self.keys.clone() {
            self.say(FromMaster::Kill { task: key, grace: None });
        }
        for _ in 0..1_000 {
            self.collect();
            let Some(container) = self.containers.keys().next().cloned() else { break };
            self.containers.remove(&container);
            self.bench.exit(&container, Exit::Signal(15));
        }
        for _ in 0..200 {
            self.collect();
            for update in std::mem::take(&mut self.in_flight) {
                if self.seen.insert(update.update.uuid) {
                    let heard = self.heard.entry(update.task.clone()).or_default();
                    heard.push(update.update.status.state);
                }
                let uuid = bytes::Bytes::copy_from_slice(&update.update.uuid);
                self.say(FromMaster::Acknowledge { task: update.task.clone(), uuid });
            }
            // The master pings, so that the silence does not end the stream.
            self.say(FromMaster::Ping { sequence: 0 });
            self.bench.pass(10 * SECOND);
        }
        self.collect();
    }

    fn say(&mut self, message: FromMaster) {
        self.bench.tell(Input::FromMaster { session: self.session, message });
    }

    fn pick_key(&mut self) -> Option<TaskKey> {
        let count = self.keys.len();
        (count > 0).then(|| self.keys[self.rng.random_range(0..count)].clone())
    }
}

#[test]
fn no_history_loses_an_end_or_tells_two() {
    for seed in 0..SEEDS {
        let mut model = Model::new(seed);
        for _ in 0..STEPS {
            model.step();
        }
        model.settle();
        assert!(model.bench.view().tasks.is_empty(), "seed={seed}: not all was heard");
        for key in &model.keys {
            let heard = model.heard.get(key).cloned().unwrap_or_default();
            let ended = heard.last().is_some_and(|state| is_terminal(*state));
            assert!(ended, "seed={seed}: {key} never ended: {heard:?}");
        }
    }
}
