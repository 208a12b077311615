//! The SDK's driver in a framework's process: the real machine, with streams and lanes around it
//! that need no sockets.

use std::collections::{BTreeMap, VecDeque};

use meros_proto::machine::{Core, Outputs};
use meros_proto::v1;
use meros_proto::v1::scheduler::Call;
use meros_proto::v1::scheduler::call::Type;
use meros_sdk::driver::machine::{Effect, Input, Machine};
use meros_sdk::driver::{Event, Link, Options, answer};
use rand::RngExt;

use super::lane::{Lane, Queued};
use super::master::MASTER;
use crate::clock::Time;
use crate::kernel::Kernel;
use crate::network::{Arrival, ConnId, Node, Packet};
use crate::schedule::Timer;
use crate::wire;

/// No deadline has this number.
const NOW: u64 = 0;
/// No subscription has this number.
const NO_EPOCH: u64 = 0;

/// One driver.
#[derive(Debug)]
pub(crate) struct Driver {
    node: Node,
    machine: Machine,
    attempts: BTreeMap<u64, ConnId>,
    streams: BTreeMap<ConnId, u64>,
    link: Option<Link>,
    /// Calls, and acknowledgements.
    lanes: [Lane; 2],
    wakes: u64,
}

impl Driver {
    /// A driver that has not asked anybody yet.
    pub(crate) fn start(kernel: &mut Kernel, node: Node, framework: v1::FrameworkInfo) -> Self {
        let options = Options::new(["master:5050"], framework);
        let seed = kernel.chance.random();
        let machine = Machine::new(options, kernel.read_clock(node), seed);
        kernel.after(std::time::Duration::from_micros(10), node, Timer::Driver(NOW));
        Self {
            node,
            machine: machine.expect("the master's address is one"),
            attempts: BTreeMap::new(),
            streams: BTreeMap::new(),
            link: None,
            lanes: [Lane::new(node, 0), Lane::new(node, 1)],
            wakes: 0,
        }
    }

    /// Whether it is over, by the framework's own wish too.
    pub(crate) fn is_ended(&self) -> bool {
        self.machine.is_ended()
    }

    /// Sends a call. False: there is no subscription, and it is dropped.
    pub(crate) fn send(&mut self, kernel: &mut Kernel, mut call: Call) -> bool {
        let Some(link) = &self.link else { return false };
        call.framework_id = Some(link.framework_id.to_proto());
        let epoch = link.epoch;
        self.queue(kernel, Queued { epoch, call });
        true
    }

    /// Has the framework described anew; may be asked for without a subscription.
    pub(crate) fn update_framework(
        &mut self,
        kernel: &mut Kernel,
        mut framework: v1::FrameworkInfo,
        suppressed_roles: Vec<String>,
    ) {
        framework.id = self.link.as_ref().map(|link| link.framework_id.to_proto());
        let call = Call {
            framework_id: framework.id.clone(),
            r#type: Some(Type::UpdateFramework.into()),
            update_framework: Some(v1::scheduler::call::UpdateFramework {
                framework_info: Some(framework),
                suppressed_roles,
                offer_constraints: None,
            }),
            ..Call::default()
        };
        let epoch = self.link.as_ref().map_or(NO_EPOCH, |link| link.epoch);
        self.queue(kernel, Queued { epoch, call });
    }

    fn queue(&mut self, kernel: &mut Kernel, queued: Queued) {
        let lane = usize::from(answer::is_acknowledgement(queued.call.r#type()));
        self.lanes[lane].push(queued);
        // Sent from a turn of its own, as from a task of its own.
        kernel.after(std::time::Duration::from_micros(5), self.node, Timer::Driver(NOW));
    }

    pub(crate) fn arrived(&mut self, kernel: &mut Kernel, arrival: Arrival) -> Vec<Event> {
        let Arrival { conn, packet, .. } = arrival;
        let mut told = VecDeque::new();
        match packet {
            Packet::Answer { number: 0, status, stream_id, text } => {
                if let Some(attempt) = self.streams.get(&conn).copied() {
                    told.push_back(match status {
                        200 => Input::Opened { attempt, stream_id },
                        _ => Input::Answered { attempt, status, location: None, body: text },
                    });
                }
            }
            Packet::Answer { number, status, text, .. } => {
                for lane in self.lanes.iter_mut().filter(|lane| lane.owns(conn)) {
                    lane.answered(kernel, number, status, &text, &mut told);
                }
            }
            Packet::Event(record) => {
                if let Some(attempt) = self.streams.get(&conn).copied() {
                    match wire::decoded(&record) {
                        Ok(event) => {
                            let event = Box::new(event);
                            told.push_back(Input::Event { attempt, event, record });
                        }
                        Err(why) => kernel.breaks("every message makes sense", why),
                    }
                }
            }
            Packet::Refused => self.broke(kernel, conn, true, &mut told),
            Packet::Closed => self.broke(kernel, conn, false, &mut told),
            Packet::Link(_) | Packet::Subscribe(_) | Packet::Call { .. } => {}
        }
        self.run(kernel, told)
    }

    fn broke(
        &mut self,
        kernel: &mut Kernel,
        conn: ConnId,
        unsent: bool,
        told: &mut VecDeque<Input>,
    ) {
        if let Some(attempt) = self.streams.remove(&conn) {
            self.attempts.remove(&attempt);
            let why = "the connection broke".to_owned();
            // What was not opened yet has failed; the machine takes either for what it is.
            told.push_back(Input::Failed { attempt, why: why.clone() });
            told.push_back(Input::Closed { attempt, why });
        }
        for lane in self.lanes.iter_mut().filter(|lane| lane.owns(conn)) {
            lane.broke(kernel, unsent, told);
        }
    }

    pub(crate) fn timer(&mut self, kernel: &mut Kernel, timer: &Timer) -> Vec<Event> {
        let mut told = VecDeque::new();
        match timer {
            Timer::Driver(number) if *number == NOW || *number == self.wakes => {}
            Timer::LaneRetry { lane, number } => self.lanes[*lane].retry(kernel, *number),
            Timer::LaneOverdue { lane, number } => {
                self.lanes[*lane].overdue(kernel, *number, &mut told);
            }
            _ => return Vec::new(),
        }
        self.run(kernel, told)
    }

    /// Has the machine take in what there is until nothing is left to do.
    fn run(&mut self, kernel: &mut Kernel, mut told: VecDeque<Input>) -> Vec<Event> {
        let mut events = Vec::new();
        loop {
            for lane in &mut self.lanes {
                lane.pump(kernel, self.link.as_ref(), &mut told);
            }
            let now = kernel.read_clock(self.node);
            let mut out = Outputs::default();
            for input in told.drain(..) {
                self.machine.handle(now, input, &mut out);
            }
            self.machine.round(now, &mut out);
            for effect in out.effects {
                self.perform(kernel, effect, &mut told, &mut events);
            }
            if told.is_empty() {
                break;
            }
        }
        self.wakes += 1;
        if let Some(deadline) = self.machine.deadline() {
            let at = kernel.is(self.node).clock.when(deadline);
            let at = at.max(Time(kernel.now().0 + 1));
            kernel.at(at, self.node, Timer::Driver(self.wakes));
        }
        events
    }

    fn perform(
        &mut self,
        kernel: &mut Kernel,
        effect: Effect,
        told: &mut VecDeque<Input>,
        events: &mut Vec<Event>,
    ) {
        match effect {
            Effect::Subscribe { attempt, call, .. } => {
                let packet = Packet::Subscribe(wire::encoded(call.as_ref()));
                let conn = kernel.open(self.node, MASTER, packet);
                self.attempts.insert(attempt, conn);
                self.streams.insert(conn, attempt);
            }
            Effect::Close { attempt } => {
                if let Some(conn) = self.attempts.remove(&attempt) {
                    self.streams.remove(&conn);
                    kernel.close(conn, self.node);
                }
            }
            Effect::Link(link) => {
                self.link = link;
                for lane in &mut self.lanes {
                    lane.link_changed(kernel, self.link.as_ref(), told);
                }
            }
            Effect::Disconnected { why, renewing } => {
                let unanswered_calls = self.lanes.iter().map(Lane::unanswered).sum();
                events.push(Event::Disconnected { why, renewing, unanswered_calls });
            }
            Effect::Tell(event) => events.push(*event),
        }
    }
}
