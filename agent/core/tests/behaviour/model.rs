//! Random histories, crashes at any point among them, against the simplest bookkeeping that could be
//! right.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bytes::Bytes;
use meros_agent_core::effect::{Effect, Registration, StatusUpdate, ToMaster};
use meros_agent_core::exit::Exit;
use meros_agent_core::input::{FromMaster, Input, Room};
use meros_agent_core::status::Status;
use meros_agent_core::task::{TaskKey, TaskSpec};
use meros_agent_core::{Agent, Record};
use meros_proto::ids::ContainerId;
use meros_proto::task_state::{is_terminal, progress};
use meros_proto::v1::TaskState::{self, *};
use meros_proto::v1::framework_info::capability::Type as Capability;
use meros_proto::v1::task_status::Source;
use meros_proto::wire::{self, Encoding};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use crate::bench::{Bench, SECOND, framework, task};
use crate::launcher::Launcher;

const SEEDS: u64 = 400;
const STEPS: usize = 400;

/// What the framework knows of a task.
#[derive(Debug, Default)]
struct Known {
    container: Option<ContainerId>,
    /// What it has heard, each update once.
    heard: Vec<TaskState>,
    end: Option<Status>,
    killed: bool,
    /// Its framework was removed: nothing is owed.
    excused: bool,
    /// The agent that came back didn't have it, and its master said so.
    dropped: bool,
}

impl Known {
    fn is_open(&self) -> bool {
        self.end.is_none() && !self.dropped
    }
}

/// A master and a launcher that do anything they may, in any order, and an agent that may die.
struct Model {
    bench: Bench,
    rng: StdRng,
    life: u64,
    boot: u64,
    session: u64,
    linked: bool,
    launcher: Launcher,
    tasks: BTreeMap<TaskKey, Known>,
    /// Sent and not acknowledged; some will be lost.
    in_flight: Vec<StatusUpdate>,
    seen: BTreeSet<[u8; 16]>,
}

impl Model {
    fn new(seed: u64) -> Self {
        Self {
            bench: Bench::registered(),
            rng: StdRng::seed_from_u64(seed),
            life: 1,
            boot: 1,
            session: 1,
            linked: true,
            launcher: Launcher::default(),
            tasks: BTreeMap::new(),
            in_flight: Vec::new(),
            seen: BTreeSet::new(),
        }
    }

    fn step(&mut self) {
        match self.rng.random_range(0..100) {
            0..20 => self.run(),
            20..28 => self.kill(),
            28..58 => {
                if let Some((container, event)) = self.launcher.step(&mut self.rng) {
                    self.tell(Input::Container(container, event));
                }
            }
            58..78 => self.acknowledge(),
            78..88 => {
                let wait = Duration::from_millis(self.rng.random_range(0..20_000));
                self.bench.pass(wait);
                self.collect();
            }
            88..92 => self.break_link(),
            92..95 => self.restart(),
            95 => self.remove_framework(),
            96 => {
                let room = if self.rng.random_bool(0.7) { Room::Plenty } else { Room::Reserve };
                self.tell(Input::Disk(room));
            }
            _ => self.replay(),
        }
    }

    fn run(&mut self) {
        if !self.linked {
            return;
        }
        let encoded = wire::encode(Encoding::Protobuf, &task(&format!("t{}", self.tasks.len())));
        let framework = framework(&[Capability::PartitionAware]);
        let spec = TaskSpec::parse(framework.id.clone(), encoded.into()).expect("a valid task");
        self.tasks.insert(spec.key.clone(), Known::default());
        self.say(FromMaster::Run { framework, task: spec });
    }

    fn kill(&mut self) {
        // A master answers kills of what is over by itself.
        if let Some(task) = self.pick().filter(|task| self.tasks[task].is_open()) {
            let grace = Some(Duration::from_millis(self.rng.random_range(0..5_000)));
            if self.linked {
                self.tasks.get_mut(&task).expect("picked").killed = true;
            }
            self.say(FromMaster::Kill { task, grace });
        }
    }

    fn remove_framework(&mut self) {
        if self.linked {
            for known in self.tasks.values_mut() {
                known.excused = true;
            }
            self.say(FromMaster::ShutdownFramework(framework(&[]).id));
        }
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
        let times = self.rng.random_range(1..3);
        self.hear(&update);
        for _ in 0..times {
            self.confirm(&update);
        }
    }

    /// What the framework makes of an update.
    fn hear(&mut self, update: &StatusUpdate) {
        if !self.seen.insert(update.update.uuid) {
            return;
        }
        let known = self.tasks.get_mut(&update.task).expect("it was asked for");
        let status = &update.update.status;
        known.container = Some(update.container.clone());
        known.heard.push(status.state);
        assert!(
            known.heard.is_sorted_by_key(|state| progress(*state)),
            "{}: {:?}",
            update.task,
            known.heard
        );
        if is_terminal(status.state) {
            assert!(known.end.is_none(), "{} ended twice: {:?}", update.task, known.heard);
            assert!(!known.dropped, "{} is back", update.task);
            known.end = Some(status.clone());
        }
    }

    fn confirm(&mut self, update: &StatusUpdate) {
        let uuid = Bytes::copy_from_slice(&update.update.uuid);
        self.say(FromMaster::Acknowledge { task: update.task.clone(), uuid });
    }

    fn break_link(&mut self) {
        if self.linked {
            self.linked = false;
            self.tell(Input::LinkDown { session: self.session });
        } else {
            self.session += 1;
            self.linked = true;
            self.bench.register(self.session);
            self.collect();
        }
    }

    /// The agent takes an input in, and may die of it: when anything between nothing and all of its
    /// records is on the disk, and of its effects none or some are carried out.
    fn tell(&mut self, input: Input) {
        let before = self.bench.log.len();
        self.bench.tell(input);
        if !self.rng.random_bool(0.02) {
            return self.collect();
        }
        let all = self.bench.log.len();
        let written = self.rng.random_range(before..=all);
        self.bench.log.truncate(written);
        if written == all {
            let effects = self.bench.effects();
            let done = self.rng.random_range(0..=effects.len());
            effects[..done].iter().for_each(|effect| self.launcher.perform(effect));
        }
        self.restart();
    }

    /// The agent dies and comes back; what it started lives on, unless the host dies with it.
    fn restart(&mut self) {
        self.linked = false;
        let mut log = std::mem::take(&mut self.bench.log);
        // What need not be synced may be gone.
        while log.last().is_some_and(|record| record.may_be_late()) && self.rng.random_bool(0.5) {
            log.pop();
        }
        if self.rng.random_bool(0.3) {
            log = Agent::recover(Default::default(), [9; 32], log).records();
        }
        self.launcher.agent_died(&mut self.rng);
        if self.rng.random_bool(0.1) {
            self.launcher.reboot();
            self.boot += 1;
        }
        self.life += 1;
        let now = self.bench.now;
        self.bench = Bench::replayed_as(self.life, log);
        self.bench.now = now;
        let (boot_id, found) = (format!("boot-{}", self.boot), self.launcher.found());
        // It may die of this too, and is told the same again then.
        self.tell(Input::Start { boot_id, found });
        self.check_kills();
    }

    /// A kill on record is asked for in each life until its task has ended.
    fn check_kills(&self) {
        let mut containers = BTreeMap::new();
        for record in &self.bench.log {
            match record {
                Record::Accepted { task, container } => {
                    containers.insert(task.key.clone(), container);
                }
                Record::Stopping { task, .. } => {
                    let over = self.launcher.is_killed_or_over(containers[task]);
                    assert!(over, "{task} was to be killed, and that is forgotten");
                }
                _ => {}
            }
        }
    }

    /// An old message comes once more, over a stream that is gone.
    fn replay(&mut self) {
        if let Some(task) = self.pick() {
            let message = FromMaster::Kill { task, grace: None };
            self.tell(Input::FromMaster { session: self.session + 100, message });
        }
    }

    fn collect(&mut self) {
        for effect in self.bench.effects() {
            self.launcher.perform(&effect);
            match effect {
                Effect::ToMaster { session, message: ToMaster::Update(update) } => {
                    assert!(self.linked && session == self.session, "sent into the void");
                    self.in_flight.push(update);
                }
                Effect::ToMaster { message: ToMaster::Register(registration), .. } => {
                    self.reconcile(&registration);
                }
                Effect::Disconnect { .. } => {
                    self.bench.tell(Input::LinkDown { session: self.session });
                    self.linked = false;
                }
                _ => {}
            }
        }
    }

    /// As a master does: what an agent ought to have and has not is dropped.
    fn reconcile(&mut self, registration: &Registration) {
        let reported: BTreeSet<&TaskKey> =
            registration.tasks.iter().map(|report| &report.spec.key).collect();
        for (key, known) in &mut self.tasks {
            if known.end.is_none() && !reported.contains(key) {
                known.dropped = true;
                self.in_flight.retain(|update| update.task != *key);
                let live = known.container.as_ref().is_some_and(|c| self.launcher.is_live(c));
                assert!(!live, "{key} runs, and its agent doesn't know it");
            }
        }
    }

    /// Nothing goes wrong any more: everything ends, and is heard.
    fn settle(&mut self) {
        self.bench.tell(Input::Disk(Room::Plenty));
        if !self.linked {
            self.break_link();
        }
        let open = self.tasks.iter_mut().filter(|(_, known)| known.is_open());
        let open = open.map(|(task, known)| {
            known.killed = true;
            task.clone()
        });
        for task in open.collect::<Vec<_>>() {
            self.bench.tell(self.said_by_master(FromMaster::Kill { task, grace: None }));
        }
        self.collect();
        for (container, event) in self.launcher.end_all() {
            self.bench.tell(Input::Container(container, event));
        }
        for _ in 0..200 {
            self.collect();
            for update in std::mem::take(&mut self.in_flight) {
                self.hear(&update);
                let uuid = Bytes::copy_from_slice(&update.update.uuid);
                let message = FromMaster::Acknowledge { task: update.task.clone(), uuid };
                self.bench.tell(self.said_by_master(message));
            }
            // The master pings, so that the silence does not end the stream.
            self.bench.tell(self.said_by_master(FromMaster::Ping { sequence: 0 }));
            self.bench.pass(10 * SECOND);
        }
        self.collect();
    }

    /// Whether what was heard of a task is what happened to it.
    fn check(&self, key: &TaskKey, known: &Known) {
        if known.dropped || known.excused {
            return;
        }
        let end = known.end.as_ref().unwrap_or_else(|| panic!("{key} never ended: {known:?}"));
        let container = known.container.as_ref().expect("its end names it");
        let real = self.launcher.ends.get(container);
        let told = match (end.state, end.source, end.reason) {
            (TaskFinished | TaskFailed, Source::Executor, None) => end.message.clone(),
            _ => None,
        };
        match (real, told) {
            (Some(exit), Some(told)) => {
                assert_eq!(told, exit.to_string(), "{key}");
                assert_eq!(end.state == TaskFinished, *exit == Exit::Code(0), "{key}");
            }
            (None, Some(told)) => panic!("{key} did not end by {told:?}"),
            (Some(exit), None) => {
                let may_be_else = known.killed || self.launcher.lost.contains(container);
                assert!(may_be_else, "{key} ended by {exit:?}, and that was lost: {end:?}");
            }
            (None, None) => {}
        }
    }

    fn say(&mut self, message: FromMaster) {
        self.tell(self.said_by_master(message));
    }

    fn said_by_master(&self, message: FromMaster) -> Input {
        Input::FromMaster { session: self.session, message }
    }

    fn pick(&mut self) -> Option<TaskKey> {
        let index = self.rng.random_range(0..self.tasks.len().max(1));
        self.tasks.keys().nth(index).cloned()
    }
}

#[test]
fn no_history_and_no_crash_loses_an_end_or_tells_two_or_a_wrong_one() {
    for seed in 0..SEEDS {
        let caught = std::panic::catch_unwind(|| {
            let mut model = Model::new(seed);
            for _ in 0..STEPS {
                model.step();
            }
            model.settle();
            assert!(model.bench.view().tasks.is_empty(), "not all was heard");
            assert!(model.launcher.is_empty(), "not all was forgotten");
            model.tasks.iter().for_each(|(key, known)| model.check(key, known));
        });
        assert!(caught.is_ok(), "seed={seed}");
    }
}
