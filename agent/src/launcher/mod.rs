//! The launcher: a small process of our own that is the parent of the tasks.
//!
//! It outlives the agent, so that an agent can be stopped, upgraded or killed without its tasks;
//! it has little memory and few files, so that starting a process from it is cheap; and it alone
//! reaps, so that an exit status is never lost. It knows no tokio, takes no lock for long, and
//! decides nothing: what to start, in which sandbox and cgroups, it is told.
//!
//! The agent's side is `attach` (finds the launcher that runs), `spawn` (starts one) and `client`
//! (the stream to it), with `watch` for its end; what both speak is `wire`, where they meet `socket`. The process itself begins
//! in [`main()`], then stays in `event_loop`; `peers` is who is connected, `tasks` its table, `ends`
//! what became of those that are over, `ending` how they get there. `start` starts tasks, on the threads of `workers`, `reap`
//! collects them, `tree` finds everything that descends from one, `pidfd` which process a number
//! means and how it ended, and `cgroups` makes, empties and removes the control groups that it is
//! told of. `upgrade` lets another build take its place, to which it leaves a `state_file`.
//!
//! ```text
//! an agent's life      ├─ attach ── launch, kill, forget ──┤          ├─ attach ──▶
//! the launcher's       ├─ tasks and ends ─────────────── alone ────── list ─ upgrade ──▶
//! ```
//!
//! Invariants: the event thread never blocks and never starts a process; every child is collected by
//! it alone; between vfork and exec only the kernel is called; an end is kept until it is forgotten.

pub(crate) mod attach;
pub(crate) mod client;
pub(crate) mod socket;
pub(crate) mod spawn;
pub(crate) mod watch;
pub(crate) mod wire;

pub(crate) mod build;
pub(crate) mod cgroups;
pub(crate) mod pidfd;
pub(crate) mod tree;

mod codec;
mod connection;
mod ending;
mod ends;
pub(crate) mod event_loop;
mod main;
mod options;
mod peers;
mod reap;
mod start;
mod state_file;
mod sys;
mod tasks;
mod traces;
mod upgrade;
mod workers;

pub use main::main;
