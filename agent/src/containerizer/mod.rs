//! Turns "run this command in that sandbox" into processes, and says what became of them.
//!
//! Start at [`Containerizer`]: a handle that queues and never waits. Behind it `actor` owns the
//! state of every `container`: `launching` prepares sandboxes and orders starts, `told` takes in what
//! the launcher process says, which is the parent of the tasks. What a task runs is decided in
//! `plain`, what fences it in in `isolators`.
//!
//! Agent and launcher die and come back one without the other. `adopt` is what an agent finds when it
//! starts, `relink` what it does when its launcher dies, `survivors` finds tasks that no launcher
//! has, `orphans` follows them, each an `orphan`, by a process that is `held`.
//!
//! Knows nothing of tasks, frameworks or status updates: a container has an id, a command, a
//! sandbox, limits and an end.
//!
//! Invariants: every launch is answered by exactly one `LaunchFailed`, or by one `Started` and then
//! one `Exited`, unless no launcher can be had, which is said once for all; a `Started` may be missing
//! where an end was found. An end is told by every life of the agent until it is forgotten, if a
//! launcher lived to see it.

mod config;
mod event;
mod handle;

pub(crate) mod user;

mod actor;
mod container;
mod launching;
mod told;

mod adopt;
mod relink;
mod survivors;

mod held;
mod orphan;
mod orphans;

mod plain;
mod prepare;

mod isolators;

pub use config::{ContainerizerConfig, StartError};
pub use event::{ContainerEvent, Found, WaitStatus};
pub use handle::{Containerizer, LaunchSpec, Limits};
