//! A token bucket: so often, and a few more at once.

use std::time::Duration;

use meros_proto::time::Mono;

/// Tokens that fill up one every `every`, to `burst` of them.
#[derive(Debug)]
pub(super) struct Bucket {
    every: Duration,
    burst: u32,
    tokens: u32,
    /// When the next token is counted from.
    since: Mono,
}

impl Bucket {
    /// A full bucket.
    pub(super) fn new(every: Duration, burst: u32) -> Self {
        let burst = burst.max(1);
        Self { every, burst, tokens: burst, since: Mono::default() }
    }

    /// Takes a token, if there is one.
    pub(super) fn take(&mut self, now: Mono) -> bool {
        self.fill(now);
        if self.tokens == 0 {
            return false;
        }
        self.tokens -= 1;
        true
    }

    /// When there is a token, if there is none now.
    pub(super) fn ready_at(&self) -> Option<Mono> {
        (self.tokens == 0).then(|| self.since + self.every)
    }

    fn fill(&mut self, now: Mono) {
        while self.tokens < self.burst && self.since + self.every <= now {
            self.tokens += 1;
            self.since = self.since + self.every;
        }
        if self.tokens == self.burst {
            self.since = now;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_is_followed_by_one_at_a_time() {
        let at = |ms: u64| Mono::from_nanos(ms * 1_000_000);
        let mut bucket = Bucket::new(Duration::from_secs(1), 2);
        let taken: Vec<bool> = [0, 0, 0, 999, 1_000, 1_001, 2_000, 9_000, 9_000, 9_000]
            .map(|ms| bucket.take(at(ms)))
            .into();
        assert_eq!(taken, [true, true, false, false, true, false, true, true, true, false]);
        assert_eq!(bucket.ready_at(), Some(at(10_000)));
    }
}
