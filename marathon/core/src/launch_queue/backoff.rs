//! Growing pauses between launches of an app that fails.
//!
//! Kept per app and configuration: scaling keeps a delay, a changed definition starts without. Not
//! on record: a restart of Marathon starts without.

use std::collections::BTreeMap;
use std::time::Duration;

use meros_proto::time::{Mono, Now};

use crate::apps::AppSpec;
use crate::path_id::PathId;
use crate::version::Version;
use crate::view::DelayLeft;

/// The delays of all apps that have one.
#[derive(Debug, Default)]
pub(crate) struct Delays {
    of: BTreeMap<PathId, Delay>,
}

#[derive(Debug)]
struct Delay {
    /// The configuration that failed.
    config: Version,
    /// The present length of the pause.
    length: Duration,
    /// When the pause began.
    since: Mono,
}

/// When something becomes of a delay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Times {
    /// When launches go on.
    pub(crate) over: Mono,
    /// When it is as if nothing had failed.
    pub(crate) forgotten: Mono,
}

impl Delays {
    /// Notes that a launch failed: the first pause, or a longer one.
    pub(crate) fn failed(&mut self, now: Mono, spec: &AppSpec) -> Times {
        let config = spec.version_info.last_config_change;
        let backoff = &spec.backoff;
        let length = match self.of.get(&spec.id).filter(|delay| delay.config == config) {
            None => backoff.initial,
            // A product beyond all durations is beyond the longest pause, too.
            Some(delay) => Duration::try_from_secs_f64(delay.length.as_secs_f64() * backoff.factor)
                .unwrap_or(backoff.max),
        };
        let delay = Delay { config, length: length.min(backoff.max), since: now };
        let times = delay.times(spec);
        self.of.insert(spec.id.clone(), delay);
        times
    }

    /// Notes that a launch came a step further: a pause that there is begins anew.
    pub(crate) fn went_on(&mut self, now: Mono, spec: &AppSpec) -> Option<Times> {
        let config = spec.version_info.last_config_change;
        let delay = self.of.get_mut(&spec.id).filter(|delay| delay.config == config)?;
        delay.since = now;
        Some(delay.times(spec))
    }

    /// Forgets an app's delay. Returns whether there was one.
    pub(crate) fn forget(&mut self, app: &PathId) -> bool {
        self.of.remove(app).is_some()
    }

    /// Whether launches of `spec` have to wait.
    pub(crate) fn holds(&self, now: Mono, spec: &AppSpec) -> bool {
        self.find(spec).is_some_and(|delay| now < delay.since + delay.length)
    }

    /// The delay of `spec`, for showing.
    pub(crate) fn left(&self, now: Now, spec: &AppSpec) -> Option<DelayLeft> {
        let delay = self.find(spec)?;
        let left = (delay.since + delay.length).since(now.mono);
        Some(DelayLeft { until: now.wall + left, length: delay.length })
    }

    fn find(&self, spec: &AppSpec) -> Option<&Delay> {
        let config = spec.version_info.last_config_change;
        self.of.get(&spec.id).filter(|delay| delay.config == config)
    }
}

impl Delay {
    fn times(&self, spec: &AppSpec) -> Times {
        // A task that lives longer than the longest pause is not one that fails to start.
        let lives = spec.backoff.max.max(self.length) + Duration::from_millis(1);
        Times { over: self.since + self.length, forgotten: self.since + lives }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::apps::tests::app;

    fn at(seconds: u64) -> Mono {
        Mono::from_nanos(seconds * 1_000_000_000)
    }

    #[test]
    fn the_pause_grows_by_its_factor_up_to_the_longest() {
        let spec = app("/a", 1);
        let mut delays = Delays::default();
        let mut pauses = Vec::new();
        for _ in 0..45 {
            let over = delays.failed(at(100), &spec).over;
            pauses.push(over.since(at(100)).as_secs_f64());
        }
        for (nth, seconds) in [(0, 1.0), (1, 1.15), (2, 1.3225), (3, 1.520_875), (4, 1.749_006)] {
            assert!((pauses[nth] - seconds).abs() < 1e-5, "failure {nth}: {}", pauses[nth]);
        }
        assert!(pauses[40] < 300.0);
        assert_eq!(pauses[41], 300.0);
        assert_eq!(pauses[44], 300.0);
    }

    #[test]
    fn a_step_further_begins_the_pause_anew_and_a_long_life_ends_it() {
        let spec = app("/a", 1);
        let mut delays = Delays::default();
        assert_eq!(delays.went_on(at(1), &spec), None);
        delays.failed(at(1), &spec);
        assert!(delays.holds(at(1), &spec));
        assert!(!delays.holds(at(2), &spec));
        let times = delays.went_on(at(10), &spec).unwrap();
        assert_eq!(times.over, at(11));
        assert!(times.forgotten > at(310) && times.forgotten < at(311));
        assert!(delays.forget(&spec.id));
        assert!(!delays.holds(at(10), &spec));
    }

    #[test]
    fn scaling_keeps_a_delay_and_another_configuration_has_none() {
        let mut spec = app("/a", 1);
        let mut delays = Delays::default();
        delays.failed(at(1), &spec);
        spec.instances = 5;
        spec.version_info.last_scaling = Version::from_millis(9);
        assert!(delays.holds(at(1), &spec));
        spec.version_info.last_config_change = Version::from_millis(9);
        assert!(!delays.holds(at(1), &spec));
        assert_eq!(delays.failed(at(1), &spec).over, at(2));
    }

    #[test]
    fn the_first_pause_is_no_longer_than_the_longest() {
        let mut spec = app("/a", 1);
        spec.backoff.max = Duration::from_millis(500);
        let over = Delays::default().failed(at(1), &spec).over;
        assert_eq!(over.since(at(1)), Duration::from_millis(500));
    }
}
