//! When an instance counts as healthy, and as ready; and the asking that tells.
//!
//! Checks run by agents tell by statuses. Checks run by Marathon are asked for as effects: this
//! room owns when they are asked and what is made of the answers, the shell only asks.
//! [`checks`] and [`readiness`] are what a user wants asked, [`record`] is what the answers say,
//! [`verdict`] is what follows for an instance. `probing` keeps a timer for each check of each
//! running instance, `results` counts what comes back and kills, `ready` does the same for
//! readiness while a deployment waits for it, `announce` tells which checks there are.
//!
//! Nothing of it is on record, but the last word of an agent: a restarted Marathon asks anew.

pub(crate) mod announce;
pub mod checks;
pub mod probe;
pub(crate) mod probing;
pub mod readiness;
mod ready;
pub mod record;
mod results;
mod verdict;

pub use checks::{CheckCommand, CheckKind, CheckPort, HealthCheck, HealthCheckKind, StatusCheck};
pub use probe::{Probe, ProbeId, ProbeOutcome, ProbeTarget, ReadinessOutcome, ReadinessProbe};
pub use readiness::{ReadinessCheck, ReadinessResponse, ReadinessResult};
pub use record::{CheckResult, HealthRecord};
pub use verdict::{Verdict, is_up, verdict};
pub(crate) use verdict::{is_ready, of_records};
