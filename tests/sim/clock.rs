//! Virtual time, and the clocks of hosts, which don't agree with it or with each other.

use std::time::Duration;

use meros_proto::time::{Mono, Now, Timestamp};

/// True time: nanoseconds since the world began. Only the simulation knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(crate) struct Time(pub(crate) u64);

impl Time {
    pub(crate) fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

impl std::ops::Add<Duration> for Time {
    type Output = Self;

    fn add(self, span: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)))
    }
}

impl std::fmt::Display for Time {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:>11.6}", self.0 as f64 / 1e9)
    }
}

/// Where all wall clocks would be at the beginning, if they were right.
const EPOCH_NANOS: u64 = 1_700_000_000_000_000_000;
const MILLION: i128 = 1_000_000;

/// A host's clocks: a monotonic one that runs at its own rate, a wall clock that may be wrong.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Clock {
    /// What the monotonic clock shows at true time 0.
    origin: u64,
    /// Parts in a million by which it runs too fast.
    drift: i32,
    /// Nanoseconds by which the wall clock is ahead.
    wall_ahead: i64,
}

impl Clock {
    pub(crate) fn new(origin: u64, drift: i32, wall_ahead: i64) -> Self {
        Self { origin, drift, wall_ahead }
    }

    /// Sets the wall clock forward, or back.
    pub(crate) fn jump(&mut self, nanos: i64) {
        self.wall_ahead += nanos;
    }

    /// The wall clock is right again.
    pub(crate) fn set_right(&mut self) {
        self.wall_ahead = 0;
    }

    /// What both clocks show.
    pub(crate) fn read(&self, time: Time) -> Now {
        let wall = (EPOCH_NANOS + time.0).saturating_add_signed(self.wall_ahead);
        Now { mono: Mono::from_nanos(self.mono(time)), wall: Timestamp::from_nanos(wall) }
    }

    /// The first true time at which the monotonic clock shows `mono` or later.
    pub(crate) fn when(&self, mono: Mono) -> Time {
        let passed = i128::from(mono.as_nanos()) - i128::from(self.origin);
        let true_nanos = passed * MILLION / (MILLION + i128::from(self.drift));
        let mut time = Time(u64::try_from(true_nanos.max(0)).unwrap_or(u64::MAX));
        while self.mono(time) < mono.as_nanos() && time.0 < u64::MAX {
            time.0 += 1;
        }
        time
    }

    fn mono(&self, time: Time) -> u64 {
        let passed = i128::from(time.0) * (MILLION + i128::from(self.drift)) / MILLION;
        u64::try_from(i128::from(self.origin) + passed).unwrap_or(u64::MAX)
    }
}

#[test]
fn a_deadline_is_reached_when_the_clock_says_so_and_not_before() {
    for drift in [-500, 0, 137, 500] {
        let clock = Clock::new(77, drift, -5);
        for nanos in [78, 1_000, 999_999_999, 3_600_000_000_001] {
            let at = clock.when(Mono::from_nanos(nanos));
            assert!(clock.read(at).mono >= Mono::from_nanos(nanos), "{drift} {nanos}");
            if at.0 > 0 {
                let before = Time(at.0 - 1);
                assert!(clock.read(before).mono < Mono::from_nanos(nanos), "{drift} {nanos}");
            }
        }
    }
}
