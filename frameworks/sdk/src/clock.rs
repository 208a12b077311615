//! The one place of this crate that reads clocks.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use meros_proto::time::{Mono, Now, Timestamp};
use tokio::time::Instant;

/// As good as never: whoever sleeps that long looks again.
const DAY: Duration = Duration::from_secs(86_400);

/// A clock that counts from when it was made.
#[derive(Debug, Clone)]
pub(crate) struct Clock {
    origin: Instant,
}

impl Clock {
    pub(crate) fn start() -> Self {
        Self { origin: Instant::now() }
    }

    pub(crate) fn now(&self) -> Now {
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Now {
            mono: Mono::from_nanos(nanos(self.origin.elapsed())),
            wall: Timestamp::from_nanos(nanos(wall)),
        }
    }

    /// Sleeps until `deadline`, a day at most; a day without one.
    pub(crate) async fn sleep_until(&self, deadline: Option<Mono>) {
        let far = self.origin.elapsed() + DAY;
        let span = deadline.map_or(far, |at| Duration::from_nanos(at.as_nanos()).min(far));
        tokio::time::sleep_until(self.origin + span).await;
    }
}

fn nanos(span: Duration) -> u64 {
    u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)
}
