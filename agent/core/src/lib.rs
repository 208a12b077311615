//! What the agent decides: which task starts, what is reported of it, and until when.
//!
//! A pure state machine: it starts no process, opens no connection and reads no clock. Its shell,
//! the crate `meros-agent`, feeds it [`Input`]s, writes its [`Record`]s and carries out its
//! [`Effect`]s; the simulation does the same under a virtual clock.
//!
//! Start at [`Agent`]. A task's life is in [`task`], what is told to the framework in [`updates`],
//! the talk with the master in [`registration`].
//!
//! Invariant: a task's updates are delivered in order, each at least once until it is acknowledged,
//! and the last of them is its only terminal one. See [`Agent::broken_invariant`].

mod dispatch;

pub mod effect;
pub mod input;
pub mod record;

pub mod exit;
pub mod status;
pub mod task;
pub mod updates;

pub mod messages;
mod unbuilt;

pub mod checks;

mod adopt;
mod containers;
mod disk;
mod kill;
mod recover;
mod registration;
mod run;
mod stop;
mod timers;

pub mod invariants;
pub mod view;

pub use dispatch::{Agent, Config};
pub use effect::Effect;
pub use input::Input;
pub use record::Record;
