//! Looks at tasks, because the core asks for it, and says what was seen.
//!
//! Start at [`Looks`]. [`http`] asks a task's port as Mesos's agents do it, [`command`] lays out what
//! runs beside a task. When to look, and what follows from it, is decided in the core.
//!
//! Invariant: each look is answered once, unless the agent goes before.

mod command;
mod http;
mod looks;

pub(crate) use looks::{Looker, Looks, end_left_over};
