//! How long to wait before the next master is tried.
//!
//! All known masters at once, then quickly in turn for as long as an election may take, then with
//! full jitter, from 1 s doubling to 1 min, so that a cluster's agents don't come all together.

use std::time::Duration;

use rand::RngExt;
use rand::rngs::StdRng;

/// Between two quick turns, over all masters.
const QUICK: Duration = Duration::from_millis(100);
/// Quick turns over all masters: together longer than an election of masters takes.
const QUICK_TURNS: usize = 30;
const CEILING_MIN: Duration = Duration::from_secs(1);
const CEILING_MAX: Duration = Duration::from_secs(60);

/// The waits of one outage.
#[derive(Debug)]
pub(super) struct Backoff {
    masters: usize,
    /// Since the agent was last registered.
    failures: usize,
    rng: StdRng,
}

impl Backoff {
    pub(super) fn new(masters: usize, rng: StdRng) -> Self {
        Self { masters: masters.max(1), failures: 0, rng }
    }

    /// A new outage begins.
    pub(super) fn start_over(&mut self) {
        self.failures = 0;
    }

    /// How long to wait after another attempt that failed.
    pub(super) fn next_wait(&mut self) -> Duration {
        self.failures += 1;
        let turn = self.failures / self.masters;
        match turn {
            0 => Duration::ZERO,
            1..=QUICK_TURNS => QUICK / u32::try_from(self.masters).unwrap_or(u32::MAX),
            // One wait a turn, before its first master.
            _ if !self.failures.is_multiple_of(self.masters) => Duration::ZERO,
            slow => {
                let doubled = 1 << (slow - QUICK_TURNS - 1).min(16);
                self.rng.random_range(Duration::ZERO..=(CEILING_MIN * doubled).min(CEILING_MAX))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;

    #[test]
    fn a_lost_master_is_looked_for_quickly_and_then_ever_more_seldom() {
        for masters in [1, 3] {
            let mut backoff = Backoff::new(masters, StdRng::seed_from_u64(7));
            let waits: Vec<Duration> = (0..masters * 60).map(|_| backoff.next_wait()).collect();
            assert_eq!(
                waits.iter().take(masters - 1).max().copied().unwrap_or_default(),
                Duration::ZERO
            );
            let quick: Duration = waits[..masters * QUICK_TURNS].iter().sum();
            assert!(quick > Duration::from_secs(2) && quick < Duration::from_secs(4), "{quick:?}");
            let slow = &waits[masters * (QUICK_TURNS + 1)..];
            assert!(slow.iter().all(|wait| *wait <= CEILING_MAX), "{slow:?}");
            assert!(slow.iter().any(|wait| *wait > Duration::from_secs(20)), "{slow:?}");
            backoff.start_over();
            assert!(backoff.next_wait() <= QUICK);
        }
    }
}
