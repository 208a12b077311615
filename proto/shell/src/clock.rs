//! The one place that reads the clocks.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use meros_proto::time::{Mono, Now, Timestamp};

/// Where the monotonic readings of a process begin: far enough from zero that "an hour ago" exists.
const ORIGIN: Duration = Duration::from_hours(24);

/// Gives the present moment to a shell, which hands it to its core.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    started: Instant,
}

impl Clock {
    /// A clock that starts now. Monotonic readings of different clocks must not be compared.
    pub fn start() -> Self {
        Self { started: Instant::now() }
    }

    /// The present moment.
    pub fn now(&self) -> Now {
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Now {
            mono: Mono::default() + ORIGIN + self.started.elapsed(),
            wall: Timestamp::from_nanos(u64::try_from(wall.as_nanos()).unwrap_or(u64::MAX)),
        }
    }
}
