//! What every core is: a state machine that inputs move and that answers with outputs.
//!
//! A core decides, its shell does. The shell feeds inputs in batches, makes the records durable with
//! one sync, and only then lets that batch's effects out (the write-ahead rule). The shell's half
//! of this contract is the crate `meros-shell`; the simulation drives the same trait under a virtual
//! clock.

use crate::time::{Mono, Now};

/// A deterministic state machine: no clock, socket, file, thread or global randomness in it.
pub trait Core {
    /// Everything that can make the machine move.
    type Input;
    /// What must be durable before any effect of the same batch leaves.
    type Record;
    /// What the shell is asked to do. Performing it only queues: it never blocks.
    type Effect;

    /// Takes in one input.
    fn handle(
        &mut self,
        now: Now,
        input: Self::Input,
        out: &mut Outputs<Self::Record, Self::Effect>,
    );

    /// Ends a batch of inputs: acts on the timers that are due, then on what the batch changed as
    /// a whole (the master allocates, Marathon revives). Also called when a deadline passes
    /// without an input.
    fn round(&mut self, now: Now, out: &mut Outputs<Self::Record, Self::Effect>);

    /// When [`Core::round`] wants to be called next, at the latest. `None`: not before an input.
    fn deadline(&self) -> Option<Mono>;
}

/// What a core asks for, in order. Effects may depend on any record put in before them.
#[derive(Debug)]
pub struct Outputs<R, E> {
    /// To be made durable, in this order.
    pub records: Vec<R>,
    /// To be carried out once the records are durable, in this order.
    pub effects: Vec<E>,
}

impl<R, E> Outputs<R, E> {
    /// Asks for `record` to be made durable before any effect of this batch leaves.
    pub fn persist(&mut self, record: R) {
        self.records.push(record);
    }

    /// Asks for `effect` to be carried out after the batch's records are durable.
    pub fn effect(&mut self, effect: E) {
        self.effects.push(effect);
    }

    /// Whether nothing was asked for.
    pub fn is_empty(&self) -> bool {
        self.records.is_empty() && self.effects.is_empty()
    }
}

impl<R, E> Default for Outputs<R, E> {
    fn default() -> Self {
        Self { records: Vec::new(), effects: Vec::new() }
    }
}
