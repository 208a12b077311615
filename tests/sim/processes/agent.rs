//! An agent's process: its link to the master and its launcher, around the real core.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use meros_agent_core::checks::{Answer, How, Probe};
use meros_agent_core::effect::{Launch, StatusUpdate, ToMaster};
use meros_agent_core::input::{Input, Reply, Room};
use meros_agent_core::view::View;
use meros_agent_core::{Agent, Config, Effect, Record};
use meros_proto::machine::{Core, Outputs};
use meros_proto::resources::{Resources, Role};
use meros_proto::v1::TaskState;
use meros_proto::v1::task_status::Reason;
use rand::RngExt;

use super::gate::{Gate, Released};
use super::launcher::{Launcher, News};
use super::master::MASTER;
use crate::disk::Log;
use crate::kernel::Kernel;
use crate::network::{Arrival, ConnId, Node, Packet};
use crate::schedule::Timer;
use crate::wire::link::{self, Host};

/// Records beyond those needed, at which the log is written anew. The real one waits for more.
const SURPLUS_MAX: usize = 120;
const HELLO_WITHIN: Duration = Duration::from_secs(5);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Link {
    /// It waits before it tries again.
    Down,
    /// Hello was said.
    Greeting(ConnId),
    Up {
        conn: ConnId,
        session: u64,
    },
}

/// An agent, whether it runs or not, and its host.
#[derive(Debug)]
pub(crate) struct AgentProcess {
    pub(crate) node: Node,
    index: usize,
    pub(crate) gate: Option<Gate<Agent>>,
    pub(crate) launcher: Launcher,
    log: Log,
    /// The state as the log leaves it.
    reader: Option<Agent>,
    surplus: usize,
    pub(crate) host: Host,
    boots: u32,
    link: Link,
    sessions: u64,
    attempts: u32,
    told_room: Room,
    /// At tasks, not answered yet.
    looks: BTreeMap<u64, Probe>,
}

impl AgentProcess {
    pub(crate) fn new(index: usize, node: Node, resources: &str) -> Self {
        Self {
            node,
            index,
            gate: None,
            launcher: Launcher::new(index),
            log: Log::default(),
            reader: None,
            surplus: 0,
            host: Host {
                name: format!("host{index}"),
                rack: format!("r{}", index % 2),
                resources: Resources::parse(resources, &Role::star()).expect("they are resources"),
                boot_id: format!("boot-{index}-0"),
                incarnation: String::new(),
            },
            boots: 0,
            link: Link::Down,
            sessions: 0,
            attempts: 0,
            told_room: Room::Plenty,
            looks: BTreeMap::new(),
        }
    }

    pub(crate) fn start(&mut self, kernel: &mut Kernel) {
        let records: Vec<Record> = match self.log.read(0) {
            Ok(records) => records,
            Err(error) => return kernel.breaks("what is stored can be read again", error),
        };
        let reader = Agent::recover(Config::default(), [0; 32], records.clone());
        if !records.is_empty() {
            self.log.replace(&reader.records());
        }
        self.reader = Some(reader);
        self.surplus = 0;
        let core = Agent::recover(Config::default(), kernel.chance.random(), records);
        let mut gate = Gate::new(self.node, core, Record::may_be_late);
        self.launcher.nobody_asked();
        let found = self.launcher.found(kernel);
        if !found.is_empty() {
            kernel.counts.add("agent started and found containers");
        }
        let boot_id = self.host.boot_id.clone();
        gate.feed(kernel, Input::Start { boot_id, found });
        self.gate = Some(gate);
        self.host.incarnation = format!("life-{}", kernel.is(self.node).life);
        self.looks.clear();
        self.link = Link::Down;
        self.sessions = 0;
        self.attempts = 0;
        self.told_room = Room::Plenty;
        self.tell_room(kernel);
        kernel.after(Duration::from_millis(1), self.node, Timer::LinkRetry);
    }

    /// The process is gone, with all that was not on disk.
    pub(crate) fn crash(&mut self, kernel: &mut Kernel) {
        let Some(gate) = self.gate.take() else { return };
        let records = gate.crash(kernel);
        self.stored(kernel, records);
        self.link = Link::Down;
    }

    /// The host loses its power, and with it all containers.
    pub(crate) fn power_lost(&mut self, kernel: &mut Kernel) {
        self.crash(kernel);
        self.launcher.power_lost(kernel);
        self.boots += 1;
        self.host.boot_id = format!("boot-{}-{}", self.index, self.boots);
    }

    /// The launcher is killed.
    pub(crate) fn launcher_killed(&mut self, kernel: &mut Kernel) {
        for news in self.launcher.killed(kernel, self.gate.is_some()) {
            self.news(kernel, news);
        }
    }

    /// Something happened to a container.
    pub(crate) fn news(&mut self, kernel: &mut Kernel, (container, event): News) {
        self.feed(kernel, Input::Container(container, event));
    }

    /// An operator ends the agent.
    pub(crate) fn stop(&mut self, kernel: &mut Kernel) {
        self.feed(kernel, Input::Stop);
    }

    fn feed(&mut self, kernel: &mut Kernel, input: Input) {
        if let Some(gate) = &mut self.gate {
            gate.feed(kernel, input);
        }
    }

    /// The disk is full, or has room again.
    pub(crate) fn tell_room(&mut self, kernel: &mut Kernel) {
        let room = if kernel.is(self.node).disk_full { Room::Reserve } else { Room::Plenty };
        if self.told_room != room {
            self.told_room = room;
            self.feed(kernel, Input::Disk(room));
        }
    }

    pub(crate) fn arrived(&mut self, kernel: &mut Kernel, arrival: Arrival) {
        let Arrival { conn, packet, .. } = arrival;
        match (packet, self.link) {
            (Packet::Link(bytes), Link::Greeting(mine)) if mine == conn => {
                match link::from_master(&bytes) {
                    Ok(None) => {
                        self.spares_nobody(kernel);
                        self.sessions += 1;
                        let session = self.sessions;
                        self.link = Link::Up { conn, session };
                        self.feed(kernel, Input::LinkUp { session });
                    }
                    other => kernel.breaks("every message makes sense", format!("{other:?}")),
                }
            }
            (Packet::Link(bytes), Link::Up { conn: mine, session }) if mine == conn => {
                match link::from_master(&bytes) {
                    Ok(Some(message)) => {
                        self.attempts = 0;
                        self.feed(kernel, Input::FromMaster { session, message });
                    }
                    Ok(None) => {}
                    Err(why) => kernel.breaks("every message makes sense", why),
                }
            }
            (Packet::Closed | Packet::Refused, _) => self.told(kernel, conn),
            _ => {}
        }
    }

    /// Before anybody speaks to it, a new agent has asked for the ends that an earlier life wanted.
    fn spares_nobody(&self, kernel: &mut Kernel) {
        let is_idle = self.gate.as_ref().is_some_and(Gate::is_idle);
        if is_idle
            && self.sessions == 0
            && let Some(key) = self.launcher.spared(kernel)
        {
            let how = format!("{key} runs on though its end was asked for");
            kernel.breaks("a kill outlives the agent", how);
        }
    }

    /// A connection broke.
    pub(crate) fn told(&mut self, kernel: &mut Kernel, conn: ConnId) {
        match self.link {
            Link::Greeting(mine) if mine == conn => self.retry(kernel),
            Link::Up { conn: mine, session } if mine == conn => {
                self.feed(kernel, Input::LinkDown { session });
                self.retry(kernel);
            }
            _ => {}
        }
    }

    fn retry(&mut self, kernel: &mut Kernel) {
        self.link = Link::Down;
        self.attempts += 1;
        let wait = match self.attempts {
            0..=30 => Duration::from_millis(100),
            slow => {
                let ceiling =
                    Duration::from_secs(60).min(Duration::from_secs(1 << (slow - 30).min(6)));
                ceiling.mul_f64(kernel.chance.random())
            }
        };
        kernel.after(wait, self.node, Timer::LinkRetry);
    }

    pub(crate) fn timer(&mut self, kernel: &mut Kernel, timer: &Timer) {
        match timer {
            Timer::LinkRetry if self.link == Link::Down => {
                let conn = kernel.open(self.node, MASTER, Packet::Link(link::hello()));
                self.link = Link::Greeting(conn);
                kernel.after(HELLO_WITHIN, self.node, Timer::HelloOverdue(conn));
            }
            Timer::HelloOverdue(conn) if self.link == Link::Greeting(*conn) => {
                kernel.close(*conn, self.node);
                self.retry(kernel);
            }
            Timer::Probed(probe) => {
                let Some(probe) = self.looks.remove(probe) else { return };
                let answer = seen(kernel, &probe);
                self.feed(kernel, Input::Checked { probe: probe.id, answer });
            }
            _ => {}
        }
    }

    pub(crate) fn turn(&mut self, kernel: &mut Kernel) {
        let Some(gate) = &mut self.gate else { return };
        let released = gate.turn(kernel);
        if let Some(broken) = gate.core.broken_invariant() {
            kernel.breaks("an agent's books hold together", broken.to_string());
        }
        self.release(kernel, released);
    }

    pub(crate) fn synced(&mut self, kernel: &mut Kernel) {
        let released = self.gate.as_mut().and_then(Gate::synced);
        self.release(kernel, released);
        let released = self.gate.as_mut().and_then(|gate| gate.go_on(kernel));
        self.release(kernel, released);
        self.tell_room(kernel);
    }

    fn release(&mut self, kernel: &mut Kernel, released: Option<Released<Agent>>) {
        let Some(Released { records, effects }) = released else { return };
        self.stored(kernel, records);
        for effect in effects {
            if !kernel.survives_effect(self.node) {
                return;
            }
            self.perform(kernel, effect);
        }
    }

    fn stored(&mut self, kernel: &mut Kernel, records: Vec<Record>) {
        self.log.append(&records);
        self.surplus += records.len();
        for record in records {
            if let Some((rule, how)) = kernel.truth.agent_stored(self.index, &record) {
                kernel.breaks(rule, how);
            }
            if let Some(reader) = &mut self.reader {
                reader.replay(record);
            }
        }
        if self.surplus > SURPLUS_MAX
            && let Some(reader) = &self.reader
        {
            self.log.replace(&reader.records());
            self.surplus = 0;
            kernel.counts.add("an agent's log was shortened");
        }
    }

    fn perform(&mut self, kernel: &mut Kernel, effect: Effect) {
        const RULE: &str = "no effect leaves before its record";
        match effect {
            Effect::ToMaster { session, message } => {
                if let ToMaster::Update(update) = &message
                    && !kernel.truth.tasks.is_stored(&update.update.uuid)
                    && !is_from_memory(update)
                {
                    kernel.breaks(RULE, format!("{update:?} is told and not on record"));
                }
                if let Link::Up { conn, session: up } = self.link
                    && session == up
                {
                    let bytes = link::to_master(&self.host, message);
                    kernel.send(conn, self.node, Packet::Link(bytes));
                }
            }
            Effect::Disconnect { session, .. } => {
                if let Link::Up { conn, session: up } = self.link
                    && session == up
                {
                    kernel.counts.add("agent gave up a silent master");
                    kernel.close(conn, self.node);
                    self.feed(kernel, Input::LinkDown { session });
                    self.retry(kernel);
                }
            }
            Effect::Launch(launch) => self.launch(kernel, &launch),
            Effect::Kill { container, grace } => {
                if let Some(key) = kernel.truth.tasks.is_killed_unrecorded(&container) {
                    kernel.breaks(RULE, format!("{key} is killed, which is not on record"));
                }
                self.launcher.kill(kernel, &container, grace);
            }
            Effect::Check(probe) => {
                let wait = kernel.micros(500..400_000);
                kernel.after(wait, self.node, Timer::Probed(probe.id.number));
                self.looks.insert(probe.id.number, probe);
            }
            Effect::Forget(container) => {
                if let Some(how) = kernel.truth.tasks.may_not_be_forgotten(&container) {
                    kernel.breaks(RULE, how);
                }
                self.launcher.forget(&container);
            }
            Effect::Reply(reply, view) => reply.send(view),
            Effect::Log(_, text) => {
                let now = kernel.now();
                if kernel.trace.is_shown() {
                    let host = self.index;
                    kernel.trace.note(now, 0, &[], || format!("agent {host}: {text}"));
                }
            }
            Effect::Stopped(outcome) => {
                if let Err(why) = outcome {
                    kernel.breaks("no agent gives up", why);
                }
                kernel.counts.add("agent was stopped in order");
                kernel.died.push(self.node);
            }
        }
    }

    fn launch(&mut self, kernel: &mut Kernel, launch: &Launch) {
        if !kernel.truth.tasks.is_accepted(&launch.container) {
            let how = format!("{} is started and not on record", launch.task.key);
            kernel.breaks("no effect leaves before its record", how);
        }
        let twice = kernel.truth.tasks.launched(self.index, &launch.task.key, &launch.container);
        if let Some(how) = twice {
            kernel.breaks("no task runs twice", how);
        }
        self.launcher.launch(kernel, launch);
    }

    /// A look at everything, past the write-ahead rule: for checks only.
    pub(crate) fn look(&mut self, kernel: &Kernel) -> Option<View> {
        let gate = self.gate.as_mut()?;
        let taken = Arc::new(Mutex::new(None));
        let taker = Arc::clone(&taken);
        let reply = Reply::new(move |view| *taker.lock().expect("nobody panics") = Some(view));
        let mut out = Outputs::default();
        let caller = meros_proto::caller::Caller::default();
        let now = kernel.read_clock(self.node);
        gate.core.handle(now, Input::View { caller, reply }, &mut out);
        for effect in out.effects {
            if let Effect::Reply(reply, view) = effect {
                reply.send(view);
            }
        }
        taken.lock().expect("nobody panics").take()
    }
}

/// A task that came while the disk was full is turned away without a record.
fn is_from_memory(update: &StatusUpdate) -> bool {
    let status = &update.update.status;
    matches!(status.state, TaskState::TaskDropped | TaskState::TaskLost)
        && matches!(status.reason, Some(Reason::ContainerLaunchFailed | Reason::AgentDraining))
}

/// What a look at a task shows: a healthy one, but for the times when things go wrong.
fn seen(kernel: &mut Kernel, probe: &Probe) -> Answer {
    let bad = kernel.at_war && kernel.chance.random_bool(0.08);
    match (&probe.how, bad) {
        (_, true) if kernel.chance.random_bool(0.3) => Answer::Failed("timed out".to_owned()),
        (How::Command, bad) => Answer::Exited(i32::from(bad)),
        (How::Http { .. }, bad) => Answer::Http(if bad { 500 } else { 200 }),
        (How::Tcp { .. }, bad) => Answer::Tcp(!bad),
    }
}
