//! The launcher: a small process of our own that is the parent of the tasks.
//!
//! It outlives the agent, so that an agent can be stopped, upgraded or killed without its tasks;
//! it has little memory and few files, so that starting a process from it is cheap; and it alone
//! reaps, so that an exit status is never lost. It knows no tokio, takes no lock for long, and
//! decides nothing: what to start, in which sandbox and cgroups, it is told.
//!
//! The agent's side is `client`, what both speak is `wire`. The process itself begins in [`main`]
//! (the event thread) and has its table of tasks in `tasks`; `start` starts them, on the threads of
//! `workers`, `reap` collects them, `tree` finds everything that descends from one, and `cgroups`
//! makes, empties and removes the control groups that it is told of.
//!
//! Invariants: the event thread never blocks and never starts a process; every child is collected by
//! it alone; between vfork and exec only the kernel is called.

pub(crate) mod client;
pub(crate) mod wire;

pub(crate) mod cgroups;
pub(crate) mod tree;

mod codec;
mod connection;
mod main;
mod reap;
mod start;
mod sys;
mod tasks;
mod workers;

pub use main::main;
