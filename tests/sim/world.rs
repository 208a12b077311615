//! The whole cluster in one thread: every process, and the world around them.

use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use crate::clock::Time;
use crate::faults::Faults;
use crate::invariants::{Broken, rest};
use crate::kernel::Kernel;
use crate::network::{Arrival, Node, Packet};
use crate::processes::agent::AgentProcess;
use crate::processes::batch::{BatchProcess, Habits};
use crate::processes::marathon::MarathonProcess;
use crate::processes::master::{MASTER, MasterProcess};
use crate::schedule::{Event, Story, Timer};

/// How long things go wrong.
const WAR: std::ops::Range<u64> = 240..600;
/// How long all may take to come to rest after that.
const SETTLE_MAX: Duration = Duration::from_secs(40 * 60);
/// Five pings, one every 15 s, and what may be in between.
const SILENCE_MAX: Duration = Duration::from_secs(75 + 15 + 20);
/// Between two looks at whether it has.
const INSPECT_EVERY: Duration = Duration::from_secs(15);
/// How long batch frameworks compete with Marathon in peace.
const WIND_DOWN_AFTER: Duration = Duration::from_secs(90);
/// More than any run needs.
const STEPS_MAX: u64 = 1_000_000;

/// How a run goes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Setting {
    pub(crate) seed: u64,
    /// What happens is printed.
    pub(crate) shown: bool,
    /// The master's books are walked at every so many of its turns.
    pub(crate) look_every: u64,
}

/// See the [module](self).
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) kernel: Kernel,
    pub(crate) master: MasterProcess,
    pub(crate) agents: Vec<AgentProcess>,
    pub(crate) marathon: MarathonProcess,
    pub(crate) batches: Vec<BatchProcess>,
    pub(crate) faults: Faults,
    /// Of users and operators.
    pub(crate) chance: StdRng,
    peace_since: Option<Time>,
    /// Since when the master has not been away.
    master_awake: Time,
    unrest: String,
    at_rest: u32,
    is_over: bool,
}

impl World {
    /// A cluster of a random size, about to start, to which things will happen.
    pub(crate) fn new(setting: Setting) -> Self {
        let mut world = Self::calm(setting);
        world.kernel.at_war = true;
        let war = Duration::from_secs(world.chance.random_range(WAR));
        world.kernel.schedule.at(Time(0) + war, Event::Story(Story::Peace));
        let first = Duration::from_secs(5);
        world.kernel.schedule.at(Time(0) + first, Event::Story(Story::Fault));
        world.kernel.schedule.at(Time(0) + first, Event::Story(Story::User));
        world
    }

    /// A cluster of a random size, about to start, which is left alone.
    pub(crate) fn calm(setting: Setting) -> Self {
        let mut chance = StdRng::seed_from_u64(setting.seed ^ 0x776f_726c);
        let (agents, batches) = (chance.random_range(2..=5), chance.random_range(1..=2));
        let nodes = 2 + agents + batches;
        let mut kernel = Kernel::new(setting.seed, nodes, setting.shown);
        kernel.truth.look_every = setting.look_every;
        let node = |number: usize| Node(u8::try_from(number).expect("a handful of processes"));
        let agent = |index: usize| {
            let resources = match index % 3 {
                0 => "cpus:4;mem:2048;disk:1000;ports:[31000-31039]",
                1 => "cpus:2;mem:1024;disk:1000;ports:[31000-31019]",
                _ => "cpus:8;mem:4096;disk:1000;ports:[31000-31099]",
            };
            AgentProcess::new(index, node(1 + index), resources)
        };
        let agents: Vec<_> = (0..agents).map(agent).collect();
        let first_batch = 2 + agents.len();
        let batches = (0..batches)
            .map(|index| BatchProcess::new(node(first_batch + index), habits(&mut chance, index)))
            .collect();
        let reregister = [60, 120, 600][chance.random_range(0..3)];
        let mut world = Self {
            kernel,
            master: MasterProcess::new(Duration::from_secs(reregister)),
            marathon: MarathonProcess::new(node(1 + agents.len())),
            agents,
            batches,
            faults: Faults::new(setting.seed),
            chance,
            peace_since: None,
            master_awake: Time(0),
            unrest: String::new(),
            at_rest: 0,
            is_over: false,
        };
        for number in 0..nodes {
            let at = Time(world.chance.random_range(0..2_000_000_000));
            world.kernel.schedule.at(at, Event::Start { node: node(number) });
        }
        world
    }

    /// Lets everything happen, until all is at rest or an invariant is broken.
    pub(crate) fn run(&mut self) -> Result<(), Broken> {
        let mut steps = 0;
        while let Some(event) = self.kernel.schedule.next() {
            if steps == STEPS_MAX {
                let how = format!("{event:?} comes again and again");
                self.kernel.breaks("the world doesn't go round in circles", how);
            }
            self.step(event);
            while let Some(node) = self.kernel.died.pop() {
                self.restart_later(node);
            }
            steps += 1;
            if let Some(broken) = self.kernel.broken.take() {
                return Err(broken);
            }
            if self.is_over {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Lets `span` pass.
    pub(crate) fn run_for(&mut self, span: Duration) -> Result<(), Broken> {
        let until = self.kernel.now() + span;
        while let Some(event) = self.kernel.schedule.next_before(until) {
            self.step(event);
            while let Some(node) = self.kernel.died.pop() {
                self.restart_later(node);
            }
            if let Some(broken) = self.kernel.broken.take() {
                return Err(broken);
            }
        }
        Ok(())
    }

    /// Prints what everybody believes, for whoever looks for a fault.
    pub(crate) fn show(&mut self) {
        if let Some(view) = self.marathon.look(&self.kernel) {
            println!("marathon: {:#?}\n{:#?}", view.deployments, view.queue);
            for instance in view.instances.values().flat_map(|instances| instances.values()) {
                println!(
                    "{} version {} {:?} {:?} healthy: {:?} since {} task {:?}",
                    instance.id,
                    instance.spec.version,
                    instance.goal,
                    instance.condition(),
                    instance.healthy(),
                    instance.since,
                    instance.task.as_ref().map(|task| (&task.id, &task.agent.id)),
                );
            }
        }
        for agent in &self.agents {
            let running: Vec<_> = agent.launcher.running().map(|(_, key)| key).collect();
            println!("{} runs {running:#?}", agent.host.name);
        }
    }

    fn step(&mut self, event: Event) {
        match event {
            Event::Packet { conn, side } => {
                let Kernel { network, schedule, nodes, .. } = &mut self.kernel;
                let is_up = |node: Node| {
                    let one = &nodes[usize::from(node.0)];
                    (one.up, one.host_up)
                };
                if let Some(arrival) = network.arrive(schedule, conn, side, is_up) {
                    self.arrived(arrival);
                }
            }
            Event::Told { conn, side } => {
                if let Some(node) = self.kernel.network.told(conn, side) {
                    let packet = Packet::Closed;
                    let from = node;
                    self.arrived(Arrival { conn, node, from, packet, life: 0, is_first: false });
                }
            }
            Event::Of { node, life, timer } => {
                let is = self.kernel.is(node);
                if !is.up || is.life != life {
                    return;
                }
                let event = Event::Of { node, life, timer };
                if let Some(Event::Of { timer, .. }) = self.kernel.hold_back(node, event) {
                    self.timer(node, &timer);
                }
            }
            Event::Arrived(arrival) => self.arrived(*arrival),
            Event::Container { host, launcher, container, step } => {
                let agent = &mut self.agents[host];
                if let Some(news) =
                    agent.launcher.step(&mut self.kernel, launcher, &container, step)
                {
                    agent.news(&mut self.kernel, news);
                }
            }
            Event::Start { node } => self.start(node),
            Event::Resume { node, life } => {
                if self.kernel.is(node).life == life && self.kernel.is(node).paused {
                    self.kernel.resume(node);
                    self.is_heard(node);
                }
            }
            Event::Story(story) => self.story(&story),
        }
    }

    fn arrived(&mut self, arrival: Arrival) {
        let node = arrival.node;
        if !self.kernel.is(node).up {
            return;
        }
        let event = Event::Arrived(Box::new(arrival));
        let Some(Event::Arrived(arrival)) = self.kernel.hold_back(node, event) else { return };
        note(&mut self.kernel, &arrival);
        let role = self.role(node);
        let kernel = &mut self.kernel;
        match role {
            Role::Master => self.master.arrived(kernel, *arrival),
            Role::Agent(index) => self.agents[index].arrived(kernel, *arrival),
            Role::Marathon => self.marathon.arrived(kernel, *arrival),
            Role::Batch(index) => self.batches[index].arrived(kernel, *arrival),
        }
    }

    fn timer(&mut self, node: Node, timer: &Timer) {
        let role = self.role(node);
        let kernel = &mut self.kernel;
        match (timer, role) {
            (Timer::Turn, Role::Master) => self.master.turn(kernel),
            (Timer::Turn, Role::Agent(index)) => self.agents[index].turn(kernel),
            (Timer::Turn, Role::Marathon) => self.marathon.turn(kernel),
            (Timer::Wake(number), Role::Master) => {
                if let Some(gate) = self.master.gate.as_mut().filter(|g| g.is_deadline(*number)) {
                    gate.woken();
                    self.master.turn(kernel);
                }
            }
            (Timer::Wake(number), Role::Agent(index)) => {
                let agent = &mut self.agents[index];
                if let Some(gate) = agent.gate.as_mut().filter(|g| g.is_deadline(*number)) {
                    gate.woken();
                    agent.turn(kernel);
                }
            }
            (Timer::Wake(number), Role::Marathon) => {
                if let Some(gate) = self.marathon.gate.as_mut().filter(|g| g.is_deadline(*number)) {
                    gate.woken();
                    self.marathon.turn(kernel);
                }
            }
            (Timer::Synced, Role::Marathon) => self.marathon.synced(kernel),
            (Timer::Synced, Role::Master) => self.master.synced(kernel),
            (Timer::Synced, Role::Agent(index)) => self.agents[index].synced(kernel),
            (timer, Role::Agent(index)) => self.agents[index].timer(kernel, timer),
            (timer, Role::Marathon) => self.marathon.timer(kernel, timer),
            (timer, Role::Batch(index)) => self.batches[index].timer(kernel, timer),
            (_, Role::Master) => {}
        }
    }

    pub(crate) fn role(&self, node: Node) -> Role {
        let number = usize::from(node.0);
        match number {
            0 => Role::Master,
            _ if number <= self.agents.len() => Role::Agent(number - 1),
            _ if number == self.agents.len() + 1 => Role::Marathon,
            _ => Role::Batch(number - 2 - self.agents.len()),
        }
    }

    fn start(&mut self, node: Node) {
        if self.kernel.is(node).up {
            return;
        }
        // Its supervisor tries again until there is room; an agent has some set aside.
        if self.kernel.is(node).disk_full && !matches!(self.role(node), Role::Agent(_)) {
            return self.restart_later(node);
        }
        let standing = self.kernel.standing(node);
        standing.up = true;
        standing.host_up = true;
        standing.life += 1;
        standing.paused = false;
        self.is_heard(node);
        let now = self.kernel.now();
        self.kernel
            .trace
            .note(now, 1 + u64::from(node.0), b"start", || format!("process {} starts", node.0));
        let role = self.role(node);
        let kernel = &mut self.kernel;
        match role {
            Role::Master => self.master.start(kernel),
            Role::Agent(index) => self.agents[index].start(kernel),
            Role::Marathon => self.marathon.start(kernel),
            Role::Batch(index) => self.batches[index].start(kernel),
        }
    }

    /// A process dies.
    pub(crate) fn kill(&mut self, node: Node, power_lost: bool) {
        if !self.kernel.is(node).up && !power_lost {
            return;
        }
        let now = self.kernel.now();
        self.kernel.trace.note(now, 1 + u64::from(node.0), b"end", || {
            format!("process {} ends, power lost: {power_lost}", node.0)
        });
        let role = self.role(node);
        let kernel = &mut self.kernel;
        match role {
            Role::Master => self.master.crash(kernel),
            Role::Agent(index) if power_lost => self.agents[index].power_lost(kernel),
            Role::Agent(index) => self.agents[index].crash(kernel),
            Role::Marathon => self.marathon.crash(kernel),
            Role::Batch(index) => self.batches[index].crash(),
        }
        let standing = self.kernel.standing(node);
        standing.up = false;
        standing.host_up = !power_lost;
        standing.dies_after = None;
        let Kernel { network, schedule, .. } = &mut self.kernel;
        network.process_gone(schedule, node, !power_lost);
        // Whatever waited for a paused process is void.
        self.kernel.resume(node);
    }

    /// Something may be heard of a process from now on.
    pub(crate) fn is_heard(&mut self, node: Node) {
        self.kernel.standing(node).silent_since = None;
        if node == MASTER {
            self.master_awake = self.kernel.now();
        }
    }

    /// Checks that the master gives up agents that it can't have heard of for long.
    pub(crate) fn watch_silence(&mut self) {
        let now = self.kernel.now();
        for number in 0..self.kernel.nodes.len() {
            let node = Node(u8::try_from(number).expect("a handful of processes"));
            let blocked = self.kernel.network.is_blocked(node, MASTER);
            let standing = self.kernel.standing(node);
            let silent = !standing.up || standing.paused || (blocked && node != MASTER);
            match (silent, standing.silent_since) {
                (false, _) => standing.silent_since = None,
                (true, None) => standing.silent_since = Some(now),
                _ => {}
            }
            if node == MASTER && silent {
                self.master_awake = now;
            }
        }
        let long_ago = |since: Time| now.since(since.max(self.master_awake)) > SILENCE_MAX;
        let silent: Vec<_> = (0..self.agents.len())
            .filter(|index| {
                let standing = self.kernel.is(self.agents[*index].node);
                standing.silent_since.is_some_and(long_ago)
            })
            .collect();
        if silent.is_empty() {
            return;
        }
        let Some(master) = self.master.look(&self.kernel) else { return };
        for index in silent {
            let name = &self.agents[index].host.name;
            if let Some(agent) = master.agents.iter().find(|one| *one.spec.hostname == **name) {
                let how = format!("{} on {name} was not heard of for so long", agent.id);
                return self.kernel.breaks("a silent agent is unreachable in time", how);
            }
        }
    }

    /// A process dies, and is started again after a while.
    pub(crate) fn restart_later(&mut self, node: Node) {
        self.kill(node, false);
        let wait = match self.chance.random_range(0..10) {
            0..6 => Duration::from_millis(self.chance.random_range(20..3_000)),
            6..9 => Duration::from_secs(self.chance.random_range(3..40)),
            _ => Duration::from_secs(self.chance.random_range(40..150)),
        };
        let at = self.kernel.now() + wait;
        self.kernel.schedule.at(at, Event::Start { node });
    }

    fn story(&mut self, story: &Story) {
        match story {
            Story::Fault if self.kernel.at_war => self.fault(),
            Story::User if self.kernel.at_war => self.user(),
            Story::Fault | Story::User => {}
            Story::Peace => self.peace(),
            Story::Inspect => self.inspect(),
            Story::WindDown => self.batches.iter_mut().for_each(|batch| batch.winding_down = true),
            other => self.undo(other),
        }
    }

    /// Nothing goes wrong from here on.
    fn peace(&mut self) {
        let now = self.kernel.now();
        self.kernel.at_war = false;
        self.peace_since = Some(now);
        self.make_good();
        self.kernel.schedule.at(now + WIND_DOWN_AFTER, Event::Story(Story::WindDown));
        self.kernel.schedule.at(now + INSPECT_EVERY, Event::Story(Story::Inspect));
    }

    /// Whether all has come to rest; it has to stay so for two looks.
    fn inspect(&mut self) {
        let now = self.kernel.now();
        self.master.check(&mut self.kernel);
        match rest::unrest(self) {
            None => self.at_rest += 1,
            Some(unrest) => {
                self.at_rest = 0;
                self.unrest = unrest;
            }
        }
        if self.at_rest >= 2 {
            self.is_over = true;
            return;
        }
        let peace = self.peace_since.map_or(Duration::ZERO, |since| now.since(since));
        if peace > SETTLE_MAX {
            let unrest = std::mem::take(&mut self.unrest);
            return self.kernel.breaks("when faults stop, all comes to rest", unrest);
        }
        self.kernel.schedule.at(now + INSPECT_EVERY, Event::Story(Story::Inspect));
    }
}

/// What a process is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    Master,
    Agent(usize),
    Marathon,
    Batch(usize),
}

fn habits(chance: &mut StdRng, index: usize) -> Habits {
    let failover = [0, 5, 30, 120, 3_600][chance.random_range(0..5)];
    Habits {
        name: format!("batch{index}"),
        role: ["*", "dev", "eng"][chance.random_range(0..3)].to_owned(),
        failover_timeout: Duration::from_secs(failover),
        partition_aware: chance.random_bool(0.7),
        width: chance.random_range(1..=10),
        longest: Duration::from_secs(chance.random_range(2..90)),
    }
}

fn note(kernel: &mut Kernel, arrival: &Arrival) {
    let (now, node, from) = (kernel.now(), arrival.node.0, arrival.from.0);
    let what = u64::from(node) << 40 | u64::from(from) << 32 | arrival.conn.0;
    let (bytes, number): (&[u8], u64) = match &arrival.packet {
        Packet::Link(bytes) | Packet::Subscribe(bytes) | Packet::Event(bytes) => (bytes, 1),
        Packet::Call { body, number, .. } => (body, *number),
        Packet::Answer { status, text, .. } => (text.as_bytes(), u64::from(*status)),
        Packet::Refused => (&[], 2),
        Packet::Closed => (&[], 3),
    };
    kernel.trace.note(now, what ^ number << 48, bytes, || {
        format!("{from} -> {node} ({}): {}", arrival.conn.0, crate::wire::shown(&arrival.packet))
    });
}
