//! The agent role: starts tasks on this host, isolates them, and reports what becomes of them.
//!
//! What is decided is in the crate `meros-agent-core`; here it is carried out. Read in this order:
//! [`flags`] and [`config`] say what an agent is run with, [`run`](mod@run) puts the parts together,
//! the link carries the talk with the master, [`containerizer`] and [`launcher`] turn a command into
//! processes, [`sandbox`] is where those leave their output, the API shows all of it. [`simulate`] runs
//! many agents at once that only pretend to start anything.

pub mod config;
pub mod flags;

pub mod run;

mod effects;
mod host;
mod link;
mod log;
mod mailbox;
mod work_dir;

pub mod containerizer;
pub mod launcher;
pub mod sandbox;

mod executor;
mod health;
pub mod resources;

pub mod simulate;

mod api;

#[cfg(test)]
#[path = "../tests/agent/small_disk.rs"]
mod small_disk;

pub use config::Config;
pub use flags::Flags;
pub use meros_shell::server::Bound;
pub use run::{RunError, run};
