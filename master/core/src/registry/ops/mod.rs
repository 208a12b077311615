//! The operations, a file for each group that belongs together.
//!
//! Each is a plain value with all that it needs in it, a `check` that says whether it fits a state,
//! and an `apply` that carries it out on a state that it fits. Numbers are given in
//! [`Op`](crate::registry::Op); a changed layout gets the next version, and the old ones stay
//! readable.

mod cluster;
mod ids;

mod admit;
mod gone;
mod unreachable;

mod activity;
mod drain;

mod framework;

mod maintenance;
mod quota;
mod weights;

mod forget;

pub use activity::{AgentDeactivated, AgentReactivated};
pub use admit::{AgentAdmitted, AgentRemoved};
pub use cluster::{ClusterCreated, ClusterVersionRaised};
pub use drain::{DrainFinished, DrainStarted, DrainStopped};
pub use forget::{GoneTrimmed, RemovedFrameworksTrimmed, UnreachableTrimmed};
pub use framework::FrameworkRemoved;
pub use gone::AgentGone;
pub use ids::{AgentIdsTaken, FrameworkIdsTaken};
pub use maintenance::{MachinesDown, MachinesUp, MaintenanceScheduled};
pub use quota::{QuotaRemoved, QuotasSet};
pub use unreachable::{AgentReachable, AgentUnreachable};
pub use weights::WeightsSet;
