//! What a set of measurements says.

use std::time::Duration;

/// The value below which `percent` of the sorted measurements lie (nearest rank).
///
/// # Panics
/// When there are none.
pub(crate) fn of(sorted: &[Duration], percent: usize) -> Duration {
    let rank = (sorted.len() * percent).div_ceil(100).max(1);
    sorted[rank - 1]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentile_is_a_value_that_was_measured() {
        let values: Vec<Duration> = (1..=200).map(Duration::from_millis).collect();
        for (percent, millis) in [(0, 1), (50, 100), (99, 198), (100, 200)] {
            assert_eq!(of(&values, percent), Duration::from_millis(millis), "{percent} %");
        }
        assert_eq!(of(&values[..1], 99), Duration::from_millis(1));
    }
}
