//! Hollow agents: many in one process, each with the real core and a link of its own to the master,
//! whose tasks only pretend to run. For tests of scale.
//!
//! [`flags`] and [`terms`] say how many there are and how long a pretended task takes; [`run`](mod@run)
//! puts the parts together. All cores are one [`herd`] with one thread and one log, synced as a lone
//! agent's is; [`containers`] is what takes the place of processes, [`pretend`] the clock that drives
//! it. No launcher is started, no sandbox made, nothing isolated.
//!
//! Invariant: what the master and the frameworks see of a hollow agent is what they would see of a
//! real one.

mod flags;
mod terms;

mod run;

mod herd;
mod log;
mod record;

mod adopt;
mod containers;
mod pretend;

mod api;
mod effects;

pub use flags::Flags;
pub use terms::{Simulation, Terms};

pub(crate) use herd::Member;
pub(crate) use run::run;
