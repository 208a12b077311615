//! Whom to ask for the leader next, and when.
//!
//! After a lost leader: all known masters at once, then one of them every 100 ms for two election
//! time-outs, then all of them with back-off. A framework's first subscription starts with the
//! back-off: there was no leader that could have changed.

use std::collections::VecDeque;
use std::time::Duration;

use meros_proto::time::Mono;
use rand::Rng;

use super::address::Address;
use crate::backoff::Backoff;

const RAPID_EVERY: Duration = Duration::from_millis(100);
const BACKOFF_FIRST: Duration = Duration::from_secs(1);
const BACKOFF_LAST: Duration = Duration::from_secs(15);

/// The search for a leader.
#[derive(Debug)]
pub(super) struct Hunt {
    pace: Pace,
    /// When the next wave begins.
    next: Mono,
    backoff: Backoff,
    /// Whose turn it is when one is asked at a time.
    turn: usize,
    /// Who is still to be asked in this wave.
    wave: VecDeque<Address>,
    /// Whether a wave has failed as a whole.
    failed: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Pace {
    /// All of them, now; then rapidly until then.
    AtOnce { rapid_until: Mono },
    /// One every 100 ms.
    Rapid { until: Mono },
    /// All of them, at growing distances.
    BackedOff,
}

impl Hunt {
    /// The search at the start: asks at once, then backs off.
    pub(super) fn first(now: Mono) -> Self {
        Self::new(now, Pace::BackedOff)
    }

    /// The search after a leader was lost.
    pub(super) fn after_loss(now: Mono, election_timeout: Duration) -> Self {
        Self::new(now, Pace::AtOnce { rapid_until: now + election_timeout * 2 })
    }

    fn new(now: Mono, pace: Pace) -> Self {
        Self {
            pace,
            next: now,
            backoff: Backoff::new(BACKOFF_FIRST, BACKOFF_LAST),
            turn: 0,
            wave: VecDeque::new(),
            failed: false,
        }
    }

    /// When the next wave begins.
    pub(super) fn next(&self) -> Mono {
        self.next
    }

    /// Begins a wave if one is due, over `masters`.
    pub(super) fn round(&mut self, now: Mono, masters: &[Address], rng: &mut impl Rng) {
        if now < self.next || masters.is_empty() {
            return;
        }
        match self.pace {
            Pace::AtOnce { rapid_until } => {
                self.wave = masters.iter().cloned().collect();
                self.next = now + RAPID_EVERY;
                self.pace = Pace::Rapid { until: rapid_until };
            }
            Pace::Rapid { until } if now < until => {
                self.turn = (self.turn + 1) % masters.len();
                self.wave = VecDeque::from([masters[self.turn].clone()]);
                self.next = now + RAPID_EVERY;
            }
            Pace::Rapid { .. } => self.back_off(now, rng),
            Pace::BackedOff => {
                self.wave = masters.iter().cloned().collect();
                self.next = now + self.backoff.next(rng);
            }
        }
    }

    /// From now on with back-off: whoever was asked last can't be relied on.
    pub(super) fn back_off(&mut self, now: Mono, rng: &mut impl Rng) {
        self.pace = Pace::BackedOff;
        self.wave.clear();
        self.next = now + self.backoff.next(rng);
    }

    /// The next to ask in this wave.
    pub(super) fn ask(&mut self) -> Option<Address> {
        self.wave.pop_front()
    }

    /// Notes that nobody who was asked is the leader. True the first time: then it is worth a
    /// line in the log, later ones would only repeat it.
    pub(super) fn fail(&mut self) -> bool {
        !std::mem::replace(&mut self.failed, true)
    }

    /// Whether anybody is left to be asked in this wave.
    pub(super) fn wave_is_over(&self) -> bool {
        self.wave.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    use super::*;

    const MILLI: u64 = 1_000_000;

    fn at(millis: u64) -> Mono {
        Mono::from_nanos(millis * MILLI)
    }

    fn masters(count: usize) -> Vec<Address> {
        (1..=count).map(|n| Address::parse(&format!("m{n}:5050")).expect("an address")).collect()
    }

    /// Runs the search for `span_ms` and returns who is asked when.
    fn asked(mut hunt: Hunt, count: usize, span_ms: u64) -> Vec<(u64, String)> {
        let (masters, mut rng) = (masters(count), StdRng::seed_from_u64(1));
        let mut asked = Vec::new();
        for now in 0..span_ms {
            hunt.round(at(now), &masters, &mut rng);
            while let Some(address) = hunt.ask() {
                asked.push((now, address.to_string()));
            }
        }
        asked
    }

    #[test]
    fn after_a_loss_all_are_asked_at_once_then_one_every_tenth_of_a_second() {
        let hunt = Hunt::after_loss(at(0), Duration::from_secs(1));
        let asked = asked(hunt, 3, 450);
        let expected: Vec<(u64, String)> = [
            (0, "m1:5050"),
            (0, "m2:5050"),
            (0, "m3:5050"),
            (100, "m2:5050"),
            (200, "m3:5050"),
            (300, "m1:5050"),
            (400, "m2:5050"),
        ]
        .map(|(when, who)| (when, who.to_owned()))
        .into();
        assert_eq!(asked, expected);
    }

    #[test]
    fn after_two_election_timeouts_it_backs_off_to_fifteen_seconds_at_most() {
        let hunt = Hunt::after_loss(at(0), Duration::from_secs(1));
        let asked: Vec<u64> = asked(hunt, 1, 200_000).into_iter().map(|(when, _)| when).collect();
        let rapid: Vec<u64> = asked.iter().copied().filter(|when| *when < 2_000).collect();
        assert_eq!(rapid, (0..20).map(|n| n * 100).collect::<Vec<_>>());
        let later = &asked[rapid.len()..];
        assert!(later.windows(2).all(|pair| pair[1] - pair[0] <= 15_000), "{later:?}");
        let average = 200_000 / later.len();
        assert!((4_000..12_000).contains(&average), "one every {average} ms: {later:?}");
    }

    #[test]
    fn the_first_search_asks_at_once_and_backs_off_from_there() {
        let asked: Vec<u64> =
            asked(Hunt::first(at(0)), 1, 3_100).into_iter().map(|(when, _)| when).collect();
        assert_eq!(asked[0], 0);
        assert!(asked.len() >= 2 && asked.len() < 15, "{asked:?}");
        assert!(asked[1] <= 1_000, "{asked:?}");
    }
}
