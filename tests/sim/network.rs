//! Connections between processes: ordered each, at their own pace, and not to be relied on.
//!
//! A connection is like one of TCP. What is sent arrives in order, or the connection breaks. When a
//! way is blocked nothing is lost at first: it arrives once the way is open again, unless one end
//! has given up by then. A link that is cut breaks its connections; each end is told, each at its
//! own time, and what was on its way is gone from some point on.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use bytes::Bytes;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use crate::clock::Time;
use crate::schedule::{Event, Schedule};

/// A process, by number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Node(pub(crate) u8);

/// One connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ConnId(pub(crate) u64);

/// An end of a connection: 0 opened it, 1 took it.
pub(crate) type Side = usize;

/// What goes over a connection.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Packet {
    /// A message of an agent's link, either way.
    Link(Bytes),
    /// SUBSCRIBE: opens a stream.
    Subscribe(Bytes),
    /// Any other call of a scheduler.
    Call { number: u64, stream_id: String, body: Bytes },
    /// The answer to a call; to a SUBSCRIBE under the number 0.
    Answer { number: u64, status: u16, stream_id: Option<String>, text: String },
    /// An event of a scheduler's stream.
    Event(Bytes),
    /// Nobody listens there.
    Refused,
    /// The other end is gone.
    Closed,
}

#[derive(Debug, Default)]
struct Way {
    /// On their way, the first to arrive first.
    packets: VecDeque<Packet>,
    last_due: Time,
    /// Of those so many are due, and held up by a blocked way.
    held: u32,
}

#[derive(Debug)]
struct Conn {
    ends: [Node; 2],
    /// In which life of the process that did it was it opened.
    life: u32,
    open: [bool; 2],
    /// The other side has taken it.
    accepted: bool,
    /// Broken: nothing arrives any more.
    dead: bool,
    /// Indexed by the end that sends.
    ways: [Way; 2],
}

/// All connections, and the ways between the processes.
#[derive(Debug)]
pub(crate) struct Network {
    conns: BTreeMap<ConnId, Conn>,
    last: u64,
    blocked: BTreeSet<(Node, Node)>,
    chance: StdRng,
    /// The share of messages that take long.
    pub(crate) slow: f64,
    /// How long those take at most.
    pub(crate) slowest: Duration,
}

/// What comes out of a connection.
#[derive(Debug)]
pub(crate) struct Arrival {
    pub(crate) conn: ConnId,
    pub(crate) node: Node,
    pub(crate) from: Node,
    pub(crate) packet: Packet,
    /// In which life of the process that did it the connection was opened.
    pub(crate) life: u32,
    /// It is the first of a connection that the other side opens.
    pub(crate) is_first: bool,
}

impl Network {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            conns: BTreeMap::new(),
            last: 0,
            blocked: BTreeSet::new(),
            chance: StdRng::seed_from_u64(seed),
            slow: 0.0,
            slowest: Duration::ZERO,
        }
    }

    /// Opens a connection and sends its first packet.
    pub(crate) fn open(
        &mut self,
        schedule: &mut Schedule,
        (from, life): (Node, u32),
        to: Node,
        first: Packet,
    ) -> ConnId {
        self.last += 1;
        let id = ConnId(self.last);
        let conn = Conn {
            ends: [from, to],
            life,
            open: [true, false],
            accepted: false,
            dead: false,
            ways: [Way::default(), Way::default()],
        };
        self.conns.insert(id, conn);
        self.put(schedule, id, 0, first);
        id
    }

    /// Sends a packet. Over a connection that is gone it goes nowhere.
    pub(crate) fn send(&mut self, schedule: &mut Schedule, id: ConnId, from: Node, packet: Packet) {
        let Some(side) = self.side_of(id, from) else { return };
        self.put(schedule, id, side, packet);
    }

    /// Closes an end; the other one is told after what was sent before.
    pub(crate) fn close(&mut self, schedule: &mut Schedule, id: ConnId, at: Node) {
        let Some(side) = self.side_of(id, at) else { return };
        self.put(schedule, id, side, Packet::Closed);
        self.shut(id, side);
    }

    fn side_of(&self, id: ConnId, node: Node) -> Option<Side> {
        let conn = self.conns.get(&id)?;
        (0..2).find(|side| conn.ends[*side] == node && conn.open[*side])
    }

    fn put(&mut self, schedule: &mut Schedule, id: ConnId, side: Side, packet: Packet) {
        let delay = self.delay();
        let Some(conn) = self.conns.get_mut(&id) else { return };
        if conn.dead {
            return;
        }
        let way = &mut conn.ways[side];
        let due = (schedule.now() + delay).max(Time(way.last_due.0 + 1));
        way.last_due = due;
        way.packets.push_back(packet);
        schedule.at(due, Event::Packet { conn: id, side });
    }

    fn shut(&mut self, id: ConnId, side: Side) {
        let Some(conn) = self.conns.get_mut(&id) else { return };
        conn.open[side] = false;
        let idle = conn.ways.iter().all(|way| way.packets.is_empty());
        if !conn.open[0] && !conn.open[1] && (idle || conn.dead) {
            self.conns.remove(&id);
        }
    }

    /// The next packet that `side` sent is due. `is_up`: whether a process runs, and its host.
    pub(crate) fn arrive(
        &mut self,
        schedule: &mut Schedule,
        id: ConnId,
        side: Side,
        is_up: impl Fn(Node) -> (bool, bool),
    ) -> Option<Arrival> {
        let conn = self.conns.get_mut(&id)?;
        let (from, to, life) = (conn.ends[side], conn.ends[1 - side], conn.life);
        if self.blocked.contains(&(from, to)) {
            conn.ways[side].held += 1;
            return None;
        }
        let packet = conn.ways[side].packets.pop_front()?;
        if conn.dead && !conn.open[1 - side] {
            return None;
        }
        let (process, host) = is_up(to);
        let is_first = side == 0 && !conn.accepted;
        if is_first {
            conn.accepted = true;
            if !process {
                if host {
                    self.put(schedule, id, 1, Packet::Refused);
                }
                return None;
            }
            conn.open[1] = true;
        }
        if !conn.open[1 - side] {
            let ends = matches!(packet, Packet::Closed | Packet::Refused);
            if host && !ends && conn.open[side] {
                self.put(schedule, id, 1 - side, Packet::Closed);
            } else if !conn.open[side] && conn.ways.iter().all(|way| way.packets.is_empty()) {
                self.conns.remove(&id);
            }
            return None;
        }
        if matches!(packet, Packet::Closed | Packet::Refused) {
            self.shut(id, 1 - side);
        }
        Some(Arrival { conn: id, node: to, from, packet, life, is_first })
    }

    /// One end of a connection that was cut learns of it. True: it did not know yet.
    pub(crate) fn told(&mut self, id: ConnId, side: Side) -> Option<Node> {
        let conn = self.conns.get(&id)?;
        let node = conn.ends[side];
        if !conn.open[side] {
            return None;
        }
        self.shut(id, side);
        Some(node)
    }

    /// A process is gone. With `farewell` its kernel tells the other ends; a host without power
    /// doesn't.
    pub(crate) fn process_gone(&mut self, schedule: &mut Schedule, node: Node, farewell: bool) {
        for (id, side) in self.ends_of(node) {
            if farewell {
                self.put(schedule, id, side, Packet::Closed);
            }
            self.shut(id, side);
        }
    }

    fn ends_of(&self, node: Node) -> Vec<(ConnId, Side)> {
        let conns = self.conns.iter();
        conns
            .flat_map(|(id, conn)| {
                let mine = |side: &Side| conn.ends[*side] == node && conn.open[*side];
                (0..2).filter(mine).map(|side| (*id, side))
            })
            .collect()
    }

    /// Breaks all connections between two processes; or `just_one` of them, as a device on the way
    /// may do that forgets it.
    pub(crate) fn cut(
        &mut self,
        schedule: &mut Schedule,
        one: Node,
        other: Node,
        just_one: bool,
    ) -> usize {
        let between = |conn: &Conn| conn.ends == [one, other] || conn.ends == [other, one];
        let mut ids: Vec<ConnId> =
            self.conns.iter().filter(|(_, c)| between(c) && !c.dead).map(|(id, _)| *id).collect();
        if just_one && !ids.is_empty() {
            let chosen = self.chance.random_range(0..ids.len());
            ids = vec![ids[chosen]];
        }
        for id in &ids {
            let Some(conn) = self.conns.get_mut(id) else { continue };
            conn.dead = true;
            for way in &mut conn.ways {
                let kept = self.chance.random_range(0..=way.packets.len());
                way.packets.truncate(kept);
            }
            for side in 0..2 {
                let after = Duration::from_millis(self.chance.random_range(0..5_000));
                schedule.at(schedule.now() + after, Event::Told { conn: *id, side });
            }
        }
        ids.len()
    }

    /// Lets nothing through from one process to another.
    pub(crate) fn block(&mut self, from: Node, to: Node) {
        self.blocked.insert((from, to));
    }

    /// Whether nothing gets through.
    pub(crate) fn is_blocked(&self, from: Node, to: Node) -> bool {
        self.blocked.contains(&(from, to))
    }

    /// Lets everything through again; what was held up arrives now.
    pub(crate) fn unblock(&mut self, schedule: &mut Schedule, from: Node, to: Node) {
        self.blocked.remove(&(from, to));
        let now = schedule.now();
        for (id, conn) in &mut self.conns {
            for side in 0..2 {
                if conn.ends[side] != from || conn.ends[1 - side] != to {
                    continue;
                }
                let way = &mut conn.ways[side];
                for _ in 0..std::mem::take(&mut way.held) {
                    let after = Duration::from_micros(self.chance.random_range(100..2_000));
                    schedule.at(now + after, Event::Packet { conn: *id, side });
                }
            }
        }
    }

    pub(crate) fn unblock_all(&mut self, schedule: &mut Schedule) {
        for (from, to) in self.blocked.clone() {
            self.unblock(schedule, from, to);
        }
    }

    fn delay(&mut self) -> Duration {
        if self.slow > 0.0 && self.chance.random_bool(self.slow) {
            return self.slowest.mul_f64(self.chance.random::<f64>());
        }
        Duration::from_micros(self.chance.random_range(80..900))
    }
}
