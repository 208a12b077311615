//! Looks at running tasks: health checks, which may end a task, and checks, which only tell.
//!
//! What is looked at, and how often, is in [`Terms`]; a look is an [`Effect::Check`] that the shell
//! carries out and answers with [`Input::Checked`]. A task is looked at for as long as it runs and
//! nobody asked for its end: after its delay, then so long after each answer as its interval says.
//! What answers mean for a task's health is in [`health`], for its check in [`result`], and who is
//! told in [`watch`].
//!
//! Nothing of it is on record but the updates: an agent that comes back looks again from the start,
//! and knows from what it said whether a task was ever healthy.
//!
//! [`Effect::Check`]: crate::Effect::Check
//! [`Input::Checked`]: crate::Input::Checked

mod terms;

mod health;
mod result;
mod watch;

pub use result::CheckStatus;
pub use terms::{CheckTerms, HealthTerms, How, Pace, Terms};
pub use watch::{Answer, Probe, ProbeId, Purpose};

pub(crate) use watch::Watches;
