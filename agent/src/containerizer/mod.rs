//! Turns "run this command in that sandbox" into processes, and says what became of them.
//!
//! Start at [`Containerizer`]: a handle that queues and never waits. Behind it `actor` owns the
//! state of every container, prepares sandboxes and talks to the launcher process, which is the
//! parent of the tasks. What a task runs is decided in `plain`, what fences it in in
//! `isolators`.
//!
//! Knows nothing of tasks, frameworks or status updates: a container has an id, a command, a
//! sandbox, limits and an end.
//!
//! Invariant: every launch is answered by exactly one `LaunchFailed`, or by one `Started` and then
//! one `Exited`; unless the launcher is lost, which is said once for all.

mod config;
mod event;
mod handle;

pub(crate) mod user;

mod actor;
mod plain;
mod prepare;

mod isolators;

pub use config::{ContainerizerConfig, StartError};
pub use event::{ContainerEvent, WaitStatus};
pub use handle::{Containerizer, LaunchSpec, Limits};
