//! Where a container is on its way.
//!
//! ```text
//! Waiting ──▶ Preparing ──▶ Ready ──▶ Sent ──Started──▶ Running ──Exited──▶ unconfirmed ──▶ forgotten
//!    └───────────┴────────────┴─────────┴── LaunchFailed ──▶ unconfirmed       │
//!                                                  Running ──launcher died──▶ Orphan ──Exited──▶ ...
//! ```

use std::time::Duration;

use tokio::time::Instant;

use super::held::Held;

#[derive(Debug)]
pub(super) enum Stage {
    Waiting,
    Preparing {
        killed: bool,
    },
    Ready,
    /// The launcher was asked to start it.
    Sent {
        kill_at: Option<Instant>,
    },
    /// The launcher has it.
    Running {
        pid: i32,
        /// So that its end can be read should the launcher die.
        process: Option<Held>,
        kill_at: Option<Instant>,
    },
    /// It has no launcher.
    Orphan,
    /// An earlier agent's start that took too long: given up, and ended without a word.
    Abandoned,
}

/// Brings the time of SIGKILL forward, never back.
pub(super) fn hasten(kill_at: &mut Option<Instant>, grace: Duration) {
    let at = Instant::now() + grace;
    if kill_at.is_none_or(|before| at < before) {
        *kill_at = Some(at);
    }
}
