//! Runs a core as its shell does: inputs in batches, one sync for a batch's records, and only then
//! its effects.
//!
//! A crash may fall anywhere: before the batch, during its sync (some of its records are durable
//! then), after the sync, and between two effects.

use std::mem;
use std::time::Duration;

use meros_proto::machine::{Core, Outputs};
use rand::RngExt;

use crate::clock::Time;
use crate::kernel::Kernel;
use crate::network::Node;
use crate::schedule::Timer;

/// Records that may be kept back before they are synced all the same.
const LATE_MAX: usize = 1_000;

/// A core that runs.
#[derive(Debug)]
pub(crate) struct Gate<C: Core> {
    node: Node,
    pub(crate) core: C,
    inbox: Vec<C::Input>,
    turn_is_due: bool,
    wakes: u64,
    wake_at: Option<Time>,
    waiting: Outputs<C::Record, C::Effect>,
    syncing: Option<Outputs<C::Record, C::Effect>>,
    may_be_late: fn(&C::Record) -> bool,
    late: Vec<C::Record>,
}

/// What has become durable, and what may leave now.
#[derive(Debug)]
pub(crate) struct Released<C: Core> {
    pub(crate) records: Vec<C::Record>,
    pub(crate) effects: Vec<C::Effect>,
}

impl<C: Core> Gate<C> {
    /// `may_be_late`: records whose loss does no harm, which don't need a sync of their own.
    pub(crate) fn new(node: Node, core: C, may_be_late: fn(&C::Record) -> bool) -> Self {
        Self {
            node,
            core,
            inbox: Vec::new(),
            turn_is_due: false,
            wakes: 0,
            wake_at: None,
            waiting: Outputs::default(),
            syncing: None,
            may_be_late,
            late: Vec::new(),
        }
    }

    /// Queues an input for the core's next turn.
    pub(crate) fn feed(&mut self, kernel: &mut Kernel, input: C::Input) {
        self.inbox.push(input);
        self.soon(kernel);
    }

    /// Has the core take a turn, with or without an input.
    pub(crate) fn soon(&mut self, kernel: &mut Kernel) {
        if !self.turn_is_due {
            self.turn_is_due = true;
            let pause = kernel.micros(1..120);
            kernel.after(pause, self.node, Timer::Turn);
        }
    }

    /// Whether a timer is the core's latest deadline.
    pub(crate) fn is_deadline(&self, number: u64) -> bool {
        number == self.wakes
    }

    /// The core takes in what waits. What may leave without a sync is returned.
    pub(crate) fn turn(&mut self, kernel: &mut Kernel) -> Option<Released<C>> {
        self.turn_is_due = false;
        let now = kernel.read_clock(self.node);
        let mut out = Outputs::default();
        for input in self.inbox.drain(..) {
            self.core.handle(now, input, &mut out);
        }
        self.core.round(now, &mut out);
        self.waiting.records.append(&mut out.records);
        self.waiting.effects.append(&mut out.effects);
        self.wake_up(kernel);
        self.pump(kernel)
    }

    fn wake_up(&mut self, kernel: &mut Kernel) {
        let Some(deadline) = self.core.deadline() else {
            self.wake_at = None;
            self.wakes += 1;
            return;
        };
        let clock = kernel.is(self.node).clock;
        let at = clock.when(deadline).max(Time(kernel.now().0 + 1));
        if self.wake_at != Some(at) {
            self.wakes += 1;
            self.wake_at = Some(at);
            kernel.at(at, self.node, Timer::Wake(self.wakes));
        }
    }

    /// The deadline has come.
    pub(crate) fn woken(&mut self) {
        self.wake_at = None;
    }

    fn pump(&mut self, kernel: &mut Kernel) -> Option<Released<C>> {
        if self.syncing.is_some() || self.waiting.is_empty() {
            return None;
        }
        let mut batch = mem::take(&mut self.waiting);
        let can_wait = batch.records.iter().all(self.may_be_late) && self.late.len() < LATE_MAX;
        if can_wait {
            self.late.append(&mut batch.records);
            return Some(Released { records: Vec::new(), effects: batch.effects });
        }
        let mut records = mem::take(&mut self.late);
        records.append(&mut batch.records);
        batch.records = records;
        self.syncing = Some(batch);
        let most = kernel.is(self.node).sync_max;
        let sync = most.mul_f64(kernel.chance.random_range(0.05..1.0));
        kernel.after(sync.max(Duration::from_micros(50)), self.node, Timer::Synced);
        None
    }

    /// The sync under way is done.
    pub(crate) fn synced(&mut self) -> Option<Released<C>> {
        let Outputs { records, effects } = self.syncing.take()?;
        Some(Released { records, effects })
    }

    /// Begins the next sync, or lets go what needs none.
    pub(crate) fn go_on(&mut self, kernel: &mut Kernel) -> Option<Released<C>> {
        self.pump(kernel)
    }

    /// Whether nothing waits, neither for the core nor for the disk.
    pub(crate) fn is_idle(&self) -> bool {
        self.inbox.is_empty() && self.waiting.is_empty() && self.syncing.is_none()
    }

    /// How many records the sync under way is of.
    pub(crate) fn under_sync(&self) -> usize {
        self.syncing.as_ref().map_or(0, |batch| batch.records.len())
    }

    /// The process dies: what of the batch under way happens to be on disk already.
    pub(crate) fn crash(mut self, kernel: &mut Kernel) -> Vec<C::Record> {
        let Some(Outputs { mut records, .. }) = self.syncing.take() else { return Vec::new() };
        let kept = kernel.chance.random_range(0..=records.len());
        kernel.counts.add(match kept {
            0 => "killed before a sync",
            kept if kept < records.len() => "killed in the middle of a sync",
            _ => "killed after a sync, before its effects",
        });
        records.truncate(kept);
        records
    }
}
