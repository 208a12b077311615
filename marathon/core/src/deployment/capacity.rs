//! How many old instances may go, and how many new ones may start, while an app is replaced.

use crate::apps::UpgradeStrategy;

/// What is known of an app that is being replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Situation {
    /// How many instances are wanted.
    pub wanted: usize,
    /// How many that are to stay count as healthy, old and new.
    pub healthy: usize,
    /// How many old ones there are that are to stay.
    pub old: usize,
    /// How many new ones there are.
    pub started: usize,
    /// Whether an instance can't run beside the one that it replaces, since it needs its volume.
    pub resident: bool,
}

/// The bounds that follow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// How many have to stay healthy.
    pub min_healthy: usize,
    /// How many there may be at once, those included that are being killed.
    pub max_capacity: usize,
    /// How many old ones may be killed now.
    pub kill_now: usize,
}

impl Bounds {
    /// The bounds of an upgrade strategy in a situation.
    ///
    /// Where the strategy leaves no room at all, there is one instance more for a while, until the
    /// last is replaced; or, for resident instances, one less than must be healthy.
    pub fn of(strategy: &UpgradeStrategy, now: Situation) -> Self {
        let wanted = now.wanted as f64;
        let min_healthy = (wanted * strategy.minimum_health_capacity).ceil() as usize;
        let mut max_capacity = (wanted * (1.0 + strategy.maximum_over_capacity)).floor() as usize;
        let mut kill_now = now.healthy.saturating_sub(min_healthy);
        let all_healthy = max_capacity <= now.healthy;
        match (min_healthy == max_capacity, now.resident) {
            (true, true) if all_healthy => kill_now = now.healthy - min_healthy + 1,
            (true, false) if all_healthy || now.started > 0 => max_capacity += 1,
            _ => {}
        }
        let surplus = now.old.saturating_sub(now.wanted);
        Self { min_healthy, max_capacity, kill_now: kill_now.max(surplus).min(now.old) }
    }

    /// How many new ones may start, when `started` have and `old_active` old ones have not ended.
    pub fn may_start(&self, wanted: usize, old_active: usize, started: usize) -> usize {
        let room = self.max_capacity.saturating_sub(old_active + started);
        wanted.saturating_sub(started).min(room)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Wanted, strategy, resident, healthy; then what follows, and how many start at once and as
    /// soon as those killed have ended.
    type Case = (usize, f64, f64, bool, usize, usize, usize, usize, usize, usize);

    #[test]
    fn replacing_keeps_to_the_table_of_marathons_documentation() {
        let cases: [Case; 9] = [
            // n, mhc, moc, resident, H, minHealthy, maxCapacity, killNow, at once, then
            (4, 1.0, 1.0, false, 4, 4, 8, 0, 4, 0),
            (4, 0.5, 0.0, false, 4, 2, 4, 2, 0, 2),
            (10, 0.8, 0.2, false, 10, 8, 12, 2, 2, 2),
            (3, 1.0, 0.0, false, 3, 3, 4, 0, 1, 0),
            (3, 1.0, 0.0, true, 3, 3, 3, 1, 0, 1),
            (1, 0.0, 0.0, false, 1, 0, 1, 1, 0, 1),
            (5, 0.5, 0.5, false, 5, 3, 7, 2, 2, 2),
            (2, 1.0, 1.0, false, 6, 2, 4, 4, 0, 2),
            (0, 1.0, 1.0, false, 2, 0, 1, 2, 0, 0),
        ];
        for (wanted, mhc, moc, resident, healthy, min, max, kill, at_once, then) in cases {
            let strategy =
                UpgradeStrategy { minimum_health_capacity: mhc, maximum_over_capacity: moc };
            let now = Situation { wanted, healthy, old: healthy, started: 0, resident };
            let bounds = Bounds::of(&strategy, now);
            let name = format!("n={wanted} mhc={mhc} moc={moc} H={healthy}");
            if wanted > 0 {
                let expected = Bounds { min_healthy: min, max_capacity: max, kill_now: kill };
                assert_eq!(bounds, expected, "{name}");
            }
            assert_eq!(bounds.may_start(wanted, healthy, 0), at_once, "{name}: at once");
            let later = bounds.may_start(wanted, healthy - kill, at_once);
            assert_eq!(later, then, "{name}: when those killed have ended");
        }
    }

    #[test]
    fn each_new_healthy_one_lets_an_old_one_go() {
        let strategy = UpgradeStrategy { minimum_health_capacity: 1.0, maximum_over_capacity: 0.0 };
        let at = |healthy, old| {
            let now = Situation { wanted: 3, healthy, old, started: 0, resident: false };
            Bounds::of(&strategy, now)
        };
        assert_eq!(at(3, 3).may_start(3, 3, 0), 1);
        assert_eq!(at(3, 3).kill_now, 0, "the new one isn't healthy yet");
        assert_eq!(at(4, 3).kill_now, 1, "it is");
        assert_eq!(at(3, 2).may_start(3, 3, 1), 0, "the old one has not ended yet");
        assert_eq!(at(3, 2).may_start(3, 2, 1), 1, "it has");
    }

    #[test]
    fn instances_that_are_not_healthy_are_no_reason_to_kill_healthy_ones() {
        let strategy = UpgradeStrategy { minimum_health_capacity: 0.5, maximum_over_capacity: 0.0 };
        let now = Situation { wanted: 4, healthy: 1, old: 4, started: 0, resident: false };
        assert_eq!(Bounds::of(&strategy, now).kill_now, 0);
    }

    #[test]
    fn no_strategy_kills_below_the_minimum_or_starts_beyond_the_maximum() {
        for wanted in 0..12 {
            for percent in 0..=10 {
                for over in 0..=10 {
                    let strategy = UpgradeStrategy {
                        minimum_health_capacity: f64::from(percent) / 10.0,
                        maximum_over_capacity: f64::from(over) / 10.0,
                    };
                    let now = Situation {
                        wanted,
                        healthy: wanted,
                        old: wanted,
                        started: 0,
                        resident: false,
                    };
                    let bounds = Bounds::of(&strategy, now);
                    assert!(wanted - bounds.kill_now >= bounds.min_healthy);
                    let starts = bounds.may_start(wanted, wanted, 0);
                    assert!(wanted + starts <= bounds.max_capacity.max(wanted));
                    assert!(wanted == 0 || bounds.kill_now + starts > 0, "it must go on");
                }
            }
        }
    }
}
