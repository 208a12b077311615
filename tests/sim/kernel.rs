//! What all processes share: the schedule, the network, the trace, and who is up.

use std::time::Duration;

use meros_proto::time::Now;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use crate::clock::{Clock, Time};
use crate::counts::Counts;
use crate::invariants::{Broken, Truth};
use crate::network::{ConnId, Network, Node, Packet};
use crate::schedule::{Event, Schedule, Timer};
use crate::trace::Trace;

/// What is true of one process.
#[derive(Debug)]
pub(crate) struct Standing {
    /// It runs.
    pub(crate) up: bool,
    /// Its host has power.
    pub(crate) host_up: bool,
    /// How often it was started: what belongs to an earlier life is void.
    pub(crate) life: u32,
    /// It was stopped, and will go on: what happens meanwhile waits.
    pub(crate) paused: bool,
    backlog: Vec<Event>,
    /// It dies after so many effects.
    pub(crate) dies_after: Option<u32>,
    pub(crate) clock: Clock,
    /// How long its disk takes for a sync, at most.
    pub(crate) sync_max: Duration,
    pub(crate) disk_full: bool,
    /// When a SUBSCRIBE of an earlier life came last.
    stray_at: Option<Time>,
    /// Since when nothing can be heard of it.
    pub(crate) silent_since: Option<Time>,
}

/// See the [module](self).
#[derive(Debug)]
pub(crate) struct Kernel {
    pub(crate) schedule: Schedule,
    pub(crate) network: Network,
    pub(crate) trace: Trace,
    pub(crate) counts: Counts,
    pub(crate) truth: Truth,
    pub(crate) broken: Option<Broken>,
    pub(crate) nodes: Vec<Standing>,
    /// Things go wrong: containers fail by themselves, too.
    pub(crate) at_war: bool,
    /// For how long things take, and the like.
    pub(crate) chance: StdRng,
    /// Processes that died of themselves in this step.
    pub(crate) died: Vec<Node>,
}

/// How long after an earlier life's SUBSCRIBE its consequences may be heard of.
const STRAY_WITHIN: Duration = Duration::from_secs(200);
/// A sync of a healthy disk.
pub(crate) const SYNC_MAX: Duration = Duration::from_millis(4);

impl Kernel {
    pub(crate) fn new(seed: u64, nodes: usize, shown: bool) -> Self {
        let mut chance = StdRng::seed_from_u64(seed ^ 0x6b65_726e);
        let standing = |_| Standing {
            up: false,
            host_up: true,
            life: 0,
            paused: false,
            backlog: Vec::new(),
            dies_after: None,
            clock: Clock::new(
                chance.random_range(1..1 << 40),
                chance.random_range(-300..=300),
                chance.random_range(-2_000_000_000..2_000_000_000),
            ),
            sync_max: SYNC_MAX,
            disk_full: false,
            stray_at: None,
            silent_since: None,
        };
        let nodes = (0..nodes).map(standing).collect();
        Self {
            schedule: Schedule::default(),
            network: Network::new(seed ^ 0x6e65_7477),
            trace: Trace::new(shown),
            counts: Counts::default(),
            truth: Truth::default(),
            broken: None,
            nodes,
            at_war: false,
            chance,
            died: Vec::new(),
        }
    }

    pub(crate) fn now(&self) -> Time {
        self.schedule.now()
    }

    pub(crate) fn standing(&mut self, node: Node) -> &mut Standing {
        &mut self.nodes[usize::from(node.0)]
    }

    pub(crate) fn is(&self, node: Node) -> &Standing {
        &self.nodes[usize::from(node.0)]
    }

    /// What a process's clocks show.
    pub(crate) fn read_clock(&self, node: Node) -> Now {
        self.is(node).clock.read(self.now())
    }

    /// Has a process woken after `span`.
    pub(crate) fn after(&mut self, span: Duration, node: Node, timer: Timer) {
        let life = self.is(node).life;
        let at = self.now() + span;
        self.schedule.at(at, Event::Of { node, life, timer });
    }

    /// Has a process woken at `at`.
    pub(crate) fn at(&mut self, at: Time, node: Node, timer: Timer) {
        let life = self.is(node).life;
        self.schedule.at(at, Event::Of { node, life, timer });
    }

    /// A random span, in microseconds.
    pub(crate) fn micros(&mut self, span: std::ops::Range<u64>) -> Duration {
        Duration::from_micros(self.chance.random_range(span))
    }

    pub(crate) fn open(&mut self, from: Node, to: Node, first: Packet) -> ConnId {
        let life = self.is(from).life;
        self.network.open(&mut self.schedule, (from, life), to, first)
    }

    pub(crate) fn send(&mut self, conn: ConnId, from: Node, packet: Packet) {
        self.network.send(&mut self.schedule, conn, from, packet);
    }

    pub(crate) fn close(&mut self, conn: ConnId, at: Node) {
        self.network.close(&mut self.schedule, conn, at);
    }

    /// An invariant doesn't hold. The first one counts.
    pub(crate) fn breaks(&mut self, invariant: &'static str, how: impl Into<String>) {
        if self.broken.is_none() {
            self.broken = Some(Broken { invariant, how: how.into() });
        }
    }

    /// A SUBSCRIBE of `node` arrives that was sent in `life`.
    pub(crate) fn subscribes(&mut self, node: Node, life: u32) {
        let now = self.now();
        let standing = self.standing(node);
        if standing.life != life {
            standing.stray_at = Some(now);
        }
    }

    /// A framework is told that another took its place: only an earlier life of its own may have,
    /// whose SUBSCRIBE lay in the network. What this life gave up must not end it.
    pub(crate) fn superseded(&mut self, node: Node) {
        let now = self.now();
        let by_earlier = self.is(node).stray_at.is_some_and(|at| now.since(at) < STRAY_WITHIN);
        match by_earlier {
            true => self.counts.add("framework was superseded by its earlier life"),
            false => self.breaks("no framework supersedes itself", format!("process {}", node.0)),
        }
        self.died.push(node);
    }

    /// An effect of `node` is about to leave. False: the process died before it could.
    pub(crate) fn survives_effect(&mut self, node: Node) -> bool {
        if self.died.contains(&node) {
            return false;
        }
        let Some(left) = self.standing(node).dies_after else { return true };
        if left > 0 {
            self.standing(node).dies_after = Some(left - 1);
            return true;
        }
        self.standing(node).dies_after = None;
        self.counts.add("killed between two effects");
        self.died.push(node);
        false
    }

    /// Keeps an event for a paused process. Gives it back when it is not paused.
    pub(crate) fn hold_back(&mut self, node: Node, event: Event) -> Option<Event> {
        let standing = self.standing(node);
        if !standing.paused {
            return Some(event);
        }
        standing.backlog.push(event);
        None
    }

    /// A paused process goes on.
    pub(crate) fn resume(&mut self, node: Node) {
        let now = self.now();
        let standing = &mut self.nodes[usize::from(node.0)];
        standing.paused = false;
        for event in std::mem::take(&mut standing.backlog) {
            self.schedule.at(now, event);
        }
    }
}
