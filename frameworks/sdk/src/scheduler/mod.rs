//! A scheduler whose author writes what is particular to it, and nothing else.
//!
//! Implement [`Handler`], start a [`Scheduler`]. It subscribes, hands out offers, gives back those
//! that weren't used, acknowledges updates once they were dealt with, reconciles after every
//! subscription, and keeps framework id and tasks in a store, written before anything is launched.
//!
//! Without a store it must be said aloud: [`Scheduler::ephemeral`] ends its tasks with itself.

mod book;
mod cluster;
mod handler;
mod run;
mod settings;
mod task;

pub use cluster::{Cluster, LaunchError};
pub use handler::{Handler, HandlerResult};
pub use run::RunError;
pub use settings::Scheduler;
pub use task::command_task;
