//! The master role: what stands between the master's core and the world.
//!
//! The core ([`meros_master_core`]) decides; this crate gives it a thread and a log, parses what
//! comes in and encodes what goes out. Start at [`run()`]: it binds the one port (`server`) and
//! wires everything. `api` serves schedulers, operators and tools over HTTP, `agents` the agents
//! over gRPC; through `outlets` the core's effects find their way out.
//!
//! Nothing here decides: a handler checks the form of a request, asks whether it is permitted, and
//! sends the core an input.

mod config;
mod flags;
mod run;

mod identity;
mod log;

mod outlets;
mod server;

mod agents;
mod api;

mod metrics;

pub use config::{Config, ConfigError};
pub use flags::Flags;
pub use log::LogError;
pub use meros_shell::server::Bound;
pub use run::{RunError, run};
