//! Turns wire messages into what the core decides on, with every check that needs no state.
//!
//! The shell calls this on its own threads, before an input enters the inbox: the state machine
//! itself never sees a message. Checks against what is offered or running are in
//! `offers/accept.rs`, those against the configuration in `frameworks/subscribe.rs`.

mod agent;
mod check;
mod command;
mod container;
mod framework;
mod status;
mod task;

pub use agent::AgentError;
pub use framework::FrameworkError;
pub use status::StatusError;
