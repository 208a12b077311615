//! The marathon role: what stands between Marathon's core and the world.
//!
//! The core ([`meros_marathon_core`]) decides; this crate gives it a thread and a store, speaks with
//! the master through the SDK, and serves Marathon's v2 REST API. Start at [`run()`], which wires
//! it: `scheduler` turns the master's events into inputs and the core's wishes into calls,
//! `store` keeps its records, `core_client` is how the `api` asks it, `hub` tells those who
//! listen at the event stream, `probes` asks tasks how they are.
//!
//! An ordinary framework: it knows nothing of the master but the public scheduler API.

mod config;
mod flags;
mod run;

mod core_client;
mod hub;
mod probes;
mod scheduler;
mod store;

mod api;

mod metrics;

pub use config::{Config, ConfigError};
pub use flags::Flags;
pub use meros_shell::server::Bound;
pub use run::{RunError, run};
pub use scheduler::SchedulerError;
