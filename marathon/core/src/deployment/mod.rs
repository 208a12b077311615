//! Deployments: how what is wanted becomes what runs.
//!
//! [`plan`] says which steps lead from one root to another, `progress` carries them out one after
//! another, `steps` says what each action does and when it is done, [`capacity`] is the
//! arithmetic of replacing instances, `rollback` undoes one.
//!
//! No action remembers what it did: each compares what there is with what is wanted, as often as
//! something changes. So a restarted Marathon begins the steps anew, and they find their work done.

pub mod capacity;
pub mod plan;
pub(crate) mod progress;
mod rollback;
mod steps;

pub use plan::{Action, ActionKind, Affected, DeploymentId, Plan, Step};
