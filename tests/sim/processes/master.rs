//! The master's process: links of agents, streams and calls of schedulers, around the real core.

use std::collections::BTreeMap;
use std::time::Duration;

use meros_master_core::registry::{Op, State};
use meros_master_core::{
    AgentMessage, Answer, Call, Config, Effect, Input, LinkRef, Master, ReplyTo, Snapshot,
    StreamRef, Subscribe,
};
use meros_proto::caller::Caller;
use meros_proto::ids::{FrameworkId, MasterId, StreamId};
use meros_proto::machine::{Core, Outputs};
use rand::RngExt;
use std::sync::Arc;

use super::gate::{Gate, Released};
use crate::disk::Log;
use crate::kernel::Kernel;
use crate::network::{Arrival, ConnId, Node, Packet};
use crate::wire::{link, scheduler};

/// The only master.
pub(crate) const MASTER: Node = Node(0);

/// Operations after which the log is written anew. The real one waits for more.
const OPS_MAX: usize = 24;

/// What a connection carries.
#[derive(Debug, Clone, Copy)]
enum Carries {
    Link(LinkRef),
    Stream(StreamRef),
    Calls,
}

/// A master, whether it runs or not.
#[derive(Debug)]
pub(crate) struct MasterProcess {
    pub(crate) gate: Option<Gate<Master>>,
    log: Log,
    numbers: u64,
    conns: BTreeMap<ConnId, Carries>,
    links: BTreeMap<LinkRef, ConnId>,
    streams: BTreeMap<StreamRef, ConnId>,
    calls: BTreeMap<ReplyTo, (ConnId, u64)>,
    /// Frameworks that an operator is told have been removed, by the number of his question.
    teardowns: BTreeMap<ReplyTo, FrameworkId>,
    reregister_timeout: Duration,
    turns: u64,
}

impl MasterProcess {
    pub(crate) fn new(reregister_timeout: Duration) -> Self {
        Self {
            gate: None,
            log: Log::default(),
            numbers: 0,
            conns: BTreeMap::new(),
            links: BTreeMap::new(),
            streams: BTreeMap::new(),
            calls: BTreeMap::new(),
            teardowns: BTreeMap::new(),
            reregister_timeout,
            turns: 0,
        }
    }

    pub(crate) fn start(&mut self, kernel: &mut Kernel) {
        let registry = match self.read() {
            Ok(registry) => registry,
            Err(error) => return kernel.breaks("what is stored can be read again", error),
        };
        if registry != kernel.truth.registry {
            let how = format!("{:?} was, {registry:?} is", kernel.truth.registry);
            return kernel.breaks("what is stored can be read again", how);
        }
        let life = kernel.is(MASTER).life;
        let id = MasterId::parse(&format!("m{life}")).expect("a letter and a number are an id");
        let config =
            Config { agent_reregister_timeout: self.reregister_timeout, ..Config::new(id) };
        let now = kernel.read_clock(MASTER);
        kernel.truth.master_starts();
        let core = Master::new(now, config, kernel.chance.random(), registry);
        let mut gate = Gate::new(MASTER, core, |_| false);
        gate.soon(kernel);
        self.gate = Some(gate);
    }

    /// The registry as the log leaves it.
    fn read(&self) -> Result<State, String> {
        let mut state = match self.log.beginning(State::SNAPSHOT) {
            Some(bytes) => {
                State::decode(State::SNAPSHOT, bytes).map_err(|error| error.to_string())?
            }
            None => State::default(),
        };
        let skip = usize::from(self.log.beginning(State::SNAPSHOT).is_some());
        for op in self.log.read::<Op>(skip)? {
            state.apply(&op).map_err(|rejected| rejected.to_string())?;
        }
        Ok(state)
    }

    /// The process is gone, with all that was not on disk.
    pub(crate) fn crash(&mut self, kernel: &mut Kernel) {
        let Some(gate) = self.gate.take() else { return };
        let records = gate.crash(kernel);
        self.stored(kernel, &records);
        self.conns.clear();
        self.links.clear();
        self.streams.clear();
        self.calls.clear();
        self.teardowns.clear();
    }

    fn number(&mut self) -> u64 {
        self.numbers += 1;
        self.numbers
    }

    pub(crate) fn arrived(&mut self, kernel: &mut Kernel, arrival: Arrival) {
        let Arrival { conn, from, packet, life, is_first, .. } = arrival;
        let input = match (packet, self.conns.get(&conn).copied()) {
            (Packet::Link(bytes), None) if is_first => {
                let link = LinkRef(self.number());
                self.conns.insert(conn, Carries::Link(link));
                self.links.insert(link, conn);
                kernel.send(conn, MASTER, Packet::Link(link::hello_back()));
                link::from_agent(&bytes, link)
            }
            (Packet::Link(bytes), Some(Carries::Link(link))) => link::from_agent(&bytes, link),
            (Packet::Subscribe(body), None) => {
                kernel.subscribes(from, life);
                self.subscribe(kernel, conn, &body).map(Some)
            }
            (Packet::Call { number, stream_id, body }, _) => {
                self.conns.insert(conn, Carries::Calls);
                self.call(conn, number, stream_id, &body).map(Some)
            }
            (Packet::Closed | Packet::Refused, _) => Ok(self.closed(conn)),
            // For what this process has closed already.
            _ => Ok(None),
        };
        match input {
            Ok(Some(input)) => self.feed(kernel, input),
            Ok(None) => {}
            Err(why) => kernel.breaks("every message makes sense", why),
        }
    }

    /// A connection broke.
    pub(crate) fn told(&mut self, kernel: &mut Kernel, conn: ConnId) {
        if let Some(input) = self.closed(conn) {
            self.feed(kernel, input);
        }
    }

    fn closed(&mut self, conn: ConnId) -> Option<Input> {
        match self.conns.remove(&conn)? {
            Carries::Link(link) => {
                self.links.remove(&link);
                Some(Input::AgentLinkClosed { link })
            }
            Carries::Stream(stream) => {
                self.streams.remove(&stream);
                Some(Input::StreamClosed { stream })
            }
            Carries::Calls => None,
        }
    }

    fn subscribe(
        &mut self,
        kernel: &mut Kernel,
        conn: ConnId,
        body: &[u8],
    ) -> Result<Input, String> {
        let (framework_id, framework) = scheduler::subscribe(body)?;
        let stream = StreamRef(self.number());
        self.conns.insert(conn, Carries::Stream(stream));
        self.streams.insert(stream, conn);
        let life = kernel.is(MASTER).life;
        let stream_id = format!("stream-{life}-{}", stream.0);
        let answer = Packet::Answer {
            number: 0,
            status: 200,
            stream_id: Some(stream_id.clone()),
            text: String::new(),
        };
        kernel.send(conn, MASTER, answer);
        Ok(Input::Subscribe(Box::new(Subscribe {
            caller: Caller::default(),
            stream,
            stream_id: StreamId::parse(&stream_id).expect("letters, digits and dashes are an id"),
            framework_id,
            framework,
        })))
    }

    fn call(
        &mut self,
        conn: ConnId,
        number: u64,
        stream_id: String,
        body: &[u8],
    ) -> Result<Input, String> {
        let (framework, call) = scheduler::call(body)?;
        let reply = ReplyTo(self.number());
        self.calls.insert(reply, (conn, number));
        let stream_id = Some(stream_id);
        let caller = Caller::default();
        Ok(Input::Call(Box::new(Call { caller, reply, framework, stream_id, call })))
    }

    /// An operator removes a framework.
    pub(crate) fn tear_down(&mut self, kernel: &mut Kernel, framework: FrameworkId) {
        let reply = ReplyTo(self.number());
        self.teardowns.insert(reply, framework.clone());
        let caller = Caller::default();
        self.feed(kernel, Input::OperatorTeardown { caller, reply, framework });
    }

    fn feed(&mut self, kernel: &mut Kernel, input: Input) {
        let now = kernel.read_clock(MASTER).mono;
        kernel.truth.offers.master_hears(now, &input);
        if let Some(gate) = &mut self.gate {
            gate.feed(kernel, input);
        }
    }

    pub(crate) fn turn(&mut self, kernel: &mut Kernel) {
        let Some(gate) = &mut self.gate else { return };
        let released = gate.turn(kernel);
        self.turns += 1;
        if self.turns.is_multiple_of(kernel.truth.look_every) {
            self.check(kernel);
        }
        self.release(kernel, released);
    }

    /// Walks all of the core's books.
    pub(crate) fn check(&self, kernel: &mut Kernel) {
        let broken = self.gate.as_ref().and_then(|gate| gate.core.broken_invariant());
        if let Some(broken) = broken {
            kernel
                .breaks("free, offered and used add up in the master's books", broken.to_string());
        }
    }

    pub(crate) fn synced(&mut self, kernel: &mut Kernel) {
        let Some(released) = self.gate.as_mut().and_then(Gate::synced) else { return };
        if kernel.is(MASTER).disk_full {
            kernel.counts.add("died of a full disk");
            return kernel.died.push(MASTER);
        }
        self.release(kernel, Some(released));
        let released = self.gate.as_mut().and_then(|gate| gate.go_on(kernel));
        self.release(kernel, released);
    }

    fn release(&mut self, kernel: &mut Kernel, released: Option<Released<Master>>) {
        let Some(Released { records, effects }) = released else { return };
        self.stored(kernel, &records);
        for effect in effects {
            if !kernel.survives_effect(MASTER) {
                return;
            }
            self.perform(kernel, effect);
        }
    }

    fn stored(&mut self, kernel: &mut Kernel, ops: &[Op]) {
        self.log.append(ops);
        for op in ops {
            if let Some((rule, how)) = kernel.truth.master_stored(op) {
                kernel.breaks(rule, how);
            }
        }
        if self.log.len() > OPS_MAX {
            self.log.begin_with(State::SNAPSHOT, kernel.truth.registry.encode());
            kernel.counts.add("the master's log was shortened");
        }
    }

    fn perform(&mut self, kernel: &mut Kernel, effect: Effect) {
        match effect {
            Effect::Reply { to, answer } => self.answer(kernel, to, &answer),
            Effect::Event { stream, event } => {
                let now = kernel.read_clock(MASTER).mono;
                if let Some(how) = kernel.truth.offers.master_tells(now, &event) {
                    kernel.breaks("an agent is offered twice an interval at most", how);
                }
                if let Some(conn) = self.streams.get(&stream) {
                    kernel.send(*conn, MASTER, Packet::Event(scheduler::event(event)));
                }
            }
            Effect::CloseStream { stream } => {
                if let Some(conn) = self.streams.get(&stream).copied() {
                    kernel.close(conn, MASTER);
                    self.told(kernel, conn);
                }
            }
            Effect::ToAgent { link, message } => {
                self.depends_on_its_record(kernel, &message);
                if let Some(conn) = self.links.get(&link) {
                    kernel.send(*conn, MASTER, Packet::Link(link::to_agent(message)));
                }
            }
            Effect::CloseLink { link } => {
                if let Some(conn) = self.links.get(&link).copied() {
                    kernel.close(conn, MASTER);
                    self.told(kernel, conn);
                }
            }
            Effect::Notice(notice) => {
                let now = kernel.now();
                if kernel.trace.is_shown() {
                    kernel.trace.note(now, 0, &[], || format!("master: {notice}"));
                }
                kernel.counts.noticed(&notice);
            }
        }
    }

    fn depends_on_its_record(&self, kernel: &mut Kernel, message: &AgentMessage) {
        const RULE: &str = "no effect leaves before its record";
        match message {
            AgentMessage::Registered { agent, .. } if !kernel.truth.is_admitted(agent) => {
                kernel.breaks(RULE, format!("agent {agent} is taken in, which is not on record"));
            }
            AgentMessage::ShutdownFramework { framework }
                if !kernel.truth.is_removed(framework) =>
            {
                let how = format!("framework {framework} is ended, which is not on record");
                kernel.breaks(RULE, how);
            }
            _ => {}
        }
    }

    fn answer(&mut self, kernel: &mut Kernel, to: ReplyTo, answer: &Answer) {
        if let Some(framework) = self.teardowns.remove(&to) {
            if matches!(answer, Answer::Done) {
                kernel.counts.add("operator tore a framework down");
                if !kernel.truth.is_removed(&framework) {
                    let how = format!("the removal of {framework} was answered and is not stored");
                    kernel.breaks("what was answered as stored is stored", how);
                }
            }
            return;
        }
        let Some((conn, number)) = self.calls.remove(&to) else { return };
        let (status, text) = match answer {
            Answer::Accepted => (202, String::new()),
            Answer::Done | Answer::View(_) => (200, String::new()),
            Answer::Refused(refusal) => (refusal.status(), refusal.to_string()),
        };
        kernel.send(conn, MASTER, Packet::Answer { number, status, stream_id: None, text });
    }

    /// A look at everything, past the write-ahead rule: for checks only.
    pub(crate) fn look(&mut self, kernel: &Kernel) -> Option<Arc<Snapshot>> {
        let gate = self.gate.as_mut()?;
        let mut out = Outputs::default();
        let now = kernel.read_clock(MASTER);
        gate.core.handle(now, Input::View { reply: ReplyTo(0) }, &mut out);
        out.effects.into_iter().find_map(|effect| match effect {
            Effect::Reply { answer: Answer::View(snapshot), .. } => Some(snapshot),
            _ => None,
        })
    }
}
