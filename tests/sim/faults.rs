//! What goes wrong. Each seed has its own kinds of trouble, and its own measure of it.

use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use crate::kernel::{Kernel, SYNC_MAX};
use crate::network::Node;
use crate::processes::master::MASTER;
use crate::schedule::{Event, Story};
use crate::world::{Role, World};

/// A kind of trouble.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    KillMaster,
    KillAgent,
    KillMarathon,
    KillFramework,
    KillLauncher,
    KillInTheMiddle,
    Pause,
    Cut,
    CutOne,
    BlockOneWay,
    BlockBothWays,
    SlowNetwork,
    SlowDisk,
    FullDisk,
    ClockJump,
    Reboot,
    StopAgent,
}

const ALL: &[(Fault, &str, u32)] = &[
    (Fault::KillMaster, "fault: master killed", 3),
    (Fault::KillAgent, "fault: agent killed", 6),
    (Fault::KillMarathon, "fault: marathon killed", 4),
    (Fault::KillFramework, "fault: batch framework killed", 3),
    (Fault::KillLauncher, "fault: launcher killed", 3),
    (Fault::KillInTheMiddle, "fault: killed between two effects, soon", 5),
    (Fault::Pause, "fault: process paused", 4),
    (Fault::Cut, "fault: link cut", 6),
    (Fault::CutOne, "fault: one connection cut", 5),
    (Fault::BlockOneWay, "fault: one way blocked", 4),
    (Fault::BlockBothWays, "fault: both ways blocked", 4),
    (Fault::SlowNetwork, "fault: messages slow", 2),
    (Fault::SlowDisk, "fault: disk slow", 2),
    (Fault::FullDisk, "fault: disk full", 2),
    (Fault::ClockJump, "fault: wall clock jumped", 2),
    (Fault::Reboot, "fault: host rebooted", 2),
    (Fault::StopAgent, "fault: agent stopped for good", 1),
];

/// How they are counted.
pub(crate) fn names() -> impl Iterator<Item = &'static &'static str> {
    ALL.iter().map(|(_, name, _)| name)
}

/// The troubles of one seed.
#[derive(Debug)]
pub(crate) struct Faults {
    chance: StdRng,
    kinds: Vec<(Fault, &'static str, u32)>,
    /// The mean time between two.
    pause: Duration,
}

impl Faults {
    pub(crate) fn new(seed: u64) -> Self {
        let mut chance = StdRng::seed_from_u64(seed ^ 0x6661_756c);
        let share = chance.random_range(0.2..=1.0);
        let mut kinds: Vec<_> = ALL.iter().filter(|_| chance.random_bool(share)).copied().collect();
        if kinds.is_empty() {
            kinds.push(ALL[chance.random_range(0..ALL.len())]);
        }
        let pause = Duration::from_secs(chance.random_range(8..60));
        Self { chance, kinds, pause }
    }

    /// Whether agents are stopped for good.
    pub(crate) fn stop_agents(&self) -> bool {
        self.kinds.iter().any(|(fault, _, _)| *fault == Fault::StopAgent)
    }

    fn next(&mut self) -> (Fault, &'static str) {
        let total: u32 = self.kinds.iter().map(|(_, _, weight)| weight).sum();
        let mut drawn = self.chance.random_range(0..total);
        for (fault, name, weight) in &self.kinds {
            if drawn < *weight {
                return (*fault, name);
            }
            drawn -= weight;
        }
        (Fault::Cut, "fault: link cut")
    }

    fn seconds(&mut self, range: std::ops::Range<u64>) -> Duration {
        Duration::from_millis(self.chance.random_range(range.start * 1_000..range.end * 1_000))
    }

    /// Mostly short, sometimes long enough for everybody to notice.
    fn while_it_lasts(&mut self) -> Duration {
        match self.chance.random_range(0..10) {
            0..4 => self.seconds(0..5),
            4..8 => self.seconds(5..60),
            _ => self.seconds(60..150),
        }
    }
}

impl World {
    /// The next thing goes wrong.
    pub(crate) fn fault(&mut self) {
        let (fault, name) = self.faults.next();
        self.kernel.counts.add(name);
        let now = self.kernel.now();
        self.kernel.trace.note(now, 7, name.as_bytes(), || name);
        match fault {
            Fault::KillMaster => self.restart_later(MASTER),
            Fault::KillAgent => {
                let node = self.some_agent();
                self.restart_later(node);
            }
            Fault::KillMarathon => self.restart_later(self.marathon.node),
            Fault::KillFramework => {
                let node = self.some_framework();
                self.restart_later(node);
            }
            Fault::KillLauncher => {
                let index = self.faults.chance.random_range(0..self.agents.len());
                self.agents[index].launcher_killed(&mut self.kernel);
            }
            Fault::KillInTheMiddle => {
                let node = self.some_node();
                let after = self.faults.chance.random_range(0..12);
                self.kernel.standing(node).dies_after = Some(after);
            }
            Fault::Pause => self.pause(),
            Fault::Cut | Fault::CutOne => {
                let node = self.some_other();
                let just_one = fault == Fault::CutOne;
                let Kernel { network, schedule, .. } = &mut self.kernel;
                let cut = network.cut(schedule, node, MASTER, just_one);
                if cut > 0 {
                    self.kernel.counts.add("connections were cut");
                }
            }
            Fault::BlockOneWay => {
                let node = self.some_other();
                match self.faults.chance.random_bool(0.5) {
                    true => self.block(node, MASTER),
                    false => self.block(MASTER, node),
                }
            }
            Fault::BlockBothWays => {
                let node = self.some_other();
                self.block(node, MASTER);
                self.block(MASTER, node);
            }
            Fault::SlowNetwork => {
                self.kernel.network.slow = self.faults.chance.random_range(0.01..0.5);
                self.kernel.network.slowest = self.faults.seconds(0..8);
                self.later(Story::FastAgain);
            }
            Fault::SlowDisk => {
                let node = self.some_node();
                self.kernel.standing(node).sync_max = self.faults.seconds(0..12);
                self.later(Story::DiskFastAgain { node });
            }
            Fault::FullDisk => self.fill_disk(),
            Fault::ClockJump => {
                let node = self.some_node();
                let nanos = self.faults.chance.random_range(-600_000_000_000..600_000_000_000);
                self.kernel.standing(node).clock.jump(nanos);
            }
            Fault::Reboot => {
                let node = self.some_agent();
                self.kill(node, true);
                let back = self.faults.while_it_lasts() + Duration::from_secs(2);
                self.kernel.schedule.at(now + back, Event::Start { node });
            }
            Fault::StopAgent => {
                let index = self.faults.chance.random_range(0..self.agents.len());
                self.agents[index].stop(&mut self.kernel);
            }
        }
        let wait = self.faults.pause.mul_f64(self.faults.chance.random_range(0.1..1.9));
        self.kernel.schedule.at(now + wait, Event::Story(Story::Fault));
    }

    fn pause(&mut self) {
        let node = self.some_node();
        if !self.kernel.is(node).up || self.kernel.is(node).paused {
            return;
        }
        self.kernel.standing(node).paused = true;
        let life = self.kernel.is(node).life;
        let at = self.kernel.now() + self.faults.while_it_lasts();
        self.kernel.schedule.at(at, Event::Resume { node, life });
    }

    fn block(&mut self, from: Node, to: Node) {
        self.kernel.network.block(from, to);
        self.later(Story::Unblock { from, to });
    }

    fn fill_disk(&mut self) {
        let node = self.some_node();
        self.kernel.standing(node).disk_full = true;
        if let Role::Agent(index) = self.role(node) {
            self.agents[index].tell_room(&mut self.kernel);
        }
        self.later(Story::RoomAgain { node });
    }

    fn later(&mut self, story: Story) {
        let at = self.kernel.now() + self.faults.while_it_lasts();
        self.kernel.schedule.at(at, Event::Story(story));
    }

    /// Something is as it should be again.
    pub(crate) fn undo(&mut self, story: &Story) {
        match story {
            Story::Unblock { from, to } => {
                self.kernel.network.unblock(&mut self.kernel.schedule, *from, *to);
                self.is_heard(*from);
            }
            Story::RoomAgain { node } => {
                self.kernel.standing(*node).disk_full = false;
                if let Role::Agent(index) = self.role(*node) {
                    self.agents[index].tell_room(&mut self.kernel);
                }
            }
            Story::FastAgain => self.kernel.network.slow = 0.0,
            Story::DiskFastAgain { node } => self.kernel.standing(*node).sync_max = SYNC_MAX,
            Story::Fault | Story::User | Story::Peace | Story::WindDown | Story::Inspect => {}
        }
    }

    /// All that went wrong is put right. What is down comes up by itself.
    pub(crate) fn make_good(&mut self) {
        self.kernel.network.unblock_all(&mut self.kernel.schedule);
        self.kernel.network.slow = 0.0;
        for number in 0..self.kernel.nodes.len() {
            let node = Node(u8::try_from(number).expect("a handful of processes"));
            let standing = self.kernel.standing(node);
            standing.sync_max = SYNC_MAX;
            standing.clock.set_right();
            standing.dies_after = None;
            if standing.paused {
                self.kernel.resume(node);
            }
            self.undo(&Story::RoomAgain { node });
        }
    }

    fn some_agent(&mut self) -> Node {
        let index = self.faults.chance.random_range(0..self.agents.len());
        self.agents[index].node
    }

    fn some_framework(&mut self) -> Node {
        let index = self.faults.chance.random_range(0..self.batches.len());
        self.batches[index].node
    }

    fn some_node(&mut self) -> Node {
        let number = self.faults.chance.random_range(0..self.kernel.nodes.len());
        Node(u8::try_from(number).expect("a handful of processes"))
    }

    /// Any process but the master.
    fn some_other(&mut self) -> Node {
        let number = self.faults.chance.random_range(1..self.kernel.nodes.len());
        Node(u8::try_from(number).expect("a handful of processes"))
    }
}
