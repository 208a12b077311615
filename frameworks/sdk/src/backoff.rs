//! Waiting longer and longer, each time for a random part of it.

use std::time::Duration;

use rand::{Rng, RngExt};

/// Delays with a ceiling that doubles from `first` to `last`, with full jitter: anything from
/// nothing to the ceiling, so that many clients that lost one master don't come back in step.
#[derive(Debug, Clone)]
pub(crate) struct Backoff {
    first: Duration,
    last: Duration,
    ceiling: Duration,
}

impl Backoff {
    /// Begins at a ceiling of `first`.
    pub(crate) fn new(first: Duration, last: Duration) -> Self {
        Self { first, last, ceiling: first }
    }

    /// The next delay.
    pub(crate) fn next(&mut self, rng: &mut impl Rng) -> Duration {
        let delay = self.ceiling.mul_f64(rng.random::<f64>());
        self.ceiling = (self.ceiling * 2).min(self.last);
        delay
    }

    /// What the next delay is at most.
    pub(crate) fn ceiling(&self) -> Duration {
        self.ceiling
    }

    /// Begins anew.
    pub(crate) fn reset(&mut self) {
        self.ceiling = self.first;
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    use super::*;

    #[test]
    fn the_ceiling_doubles_up_to_the_last_and_delays_stay_below_it() {
        for seed in 0..200 {
            let mut rng = StdRng::seed_from_u64(seed);
            let mut backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(15));
            for ceiling in [1, 2, 4, 8, 15, 15, 15] {
                let delay = backoff.next(&mut rng);
                assert!(delay <= Duration::from_secs(ceiling), "seed={seed} {delay:?}");
            }
            backoff.reset();
            assert!(backoff.next(&mut rng) <= Duration::from_secs(1), "seed={seed}");
        }
    }

    #[test]
    fn the_jitter_is_full() {
        let mut rng = StdRng::seed_from_u64(7);
        let delays: Vec<f64> = (0..1_000)
            .map(|_| {
                Backoff::new(Duration::from_secs(1), Duration::from_secs(1))
                    .next(&mut rng)
                    .as_secs_f64()
            })
            .collect();
        let mean = delays.iter().sum::<f64>() / 1_000.0;
        assert!((0.45..0.55).contains(&mean), "{mean}");
    }
}
