//! Waiting for a condition, with an end.

use std::time::{Duration, Instant};

/// Far longer than anything here takes, also on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// How often a condition is looked at.
const LOOK_AGAIN: Duration = Duration::from_millis(30);

/// Looks again and again until `look` has what is waited for; otherwise it says what it saw.
///
/// # Panics
/// With `what` and the last thing seen, after [`PATIENCE`].
pub(crate) async fn until<T, S: std::fmt::Display>(
    what: &str,
    mut look: impl AsyncFnMut() -> Result<T, S>,
) -> T {
    let began = Instant::now();
    loop {
        match look().await {
            Ok(found) => return found,
            Err(seen) if began.elapsed() > PATIENCE => {
                panic!("waited {PATIENCE:?} for {what}, and last saw {seen}")
            }
            Err(_) => tokio::time::sleep(LOOK_AGAIN).await,
        }
    }
}

/// Waits for `event`.
///
/// # Panics
/// After [`PATIENCE`].
pub(crate) async fn within_patience<T>(what: &str, event: impl Future<Output = T>) -> T {
    let waited = tokio::time::timeout(PATIENCE, event).await;
    waited.unwrap_or_else(|_| panic!("waited {PATIENCE:?} for {what}"))
}
