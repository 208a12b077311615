//! What the cluster has to remember whatever becomes of its masters: who was admitted, who is
//! unreachable or gone, who is drained, weights, quota, maintenance, which ids were handed out and
//! which frameworks are removed.
//!
//! Start at [`State`]: a value that only [`Op`]s change. [`State::apply`] checks an operation
//! against the state and carries it out, or refuses it and changes nothing; it reads no clock and
//! makes up no id, since both arrive inside the operation. So whoever applies the same operations
//! holds the same state, byte for byte in its snapshot ([`State::encode`]): the master, the log
//! behind it, and, once there are several, every other master. Each operation has its file in
//! [`ops`].
//!
//! # The contract: `propose(op) → committed`
//!
//! The core decides, *proposes* the operation and goes on as if it were done: it is applied in
//! memory at once, so that the next input sees it. What the outside would notice of it (an answer,
//! an event, a message to an agent) is an effect, and the gate between core and world lets no
//! effect out before every operation proposed ahead of it is *committed*, which means durable: on
//! this master's disk, or on a majority's when there are several. An operation that can't be
//! committed ends the role: its memory, which is ahead of what was promised, goes with it, and
//! nobody outside ever saw the difference. Raft will take the place of the log under this contract
//! and change no operation.
//!
//! Why so, rather than to wait for the commit and act then? A core that waits holds up everybody
//! else, or holds a half-done decision that others must step around. Here there is one state, it
//! is always the newest, and the waiting is done once, at the door.
//!
//! Deliberately absent: tasks, offers, subscriptions. Agents and frameworks bring those back by
//! themselves. Nothing of what is here is kept a second time elsewhere in the core: who needs it
//! asks [`State`].
//!
//! Invariants: no operation's cost grows with the cluster (those that forget or replace many
//! entries cost what they forget or replace); an agent is admitted, unreachable or gone, or
//! unknown, never two of them; a number of an id that was handed out once is never handed out
//! again.

mod op;
mod rejected;
mod state;

mod agent;
mod maintenance;
mod quota;

pub mod ops;

mod aged;
mod field;
mod propose;
mod snapshot;
#[cfg(test)]
mod tests;

pub use agent::{Activity, AdmittedAgent, DrainConfig};
pub use maintenance::{MachineId, MachineMode, Maintenance, Unavailability, Window};
pub use op::Op;
pub use quota::Quota;
pub use rejected::Rejected;
pub use state::{Cluster, State, VERSION};

pub(crate) use propose::Registry;
