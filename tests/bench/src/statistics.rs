//! What a set of measurements says.

/// The value below which `percent` of the measurements lie (nearest rank); they need not be sorted.
///
/// # Panics
/// When there are none.
pub(crate) fn percentile(values: &[f64], percent: usize) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    let rank = (sorted.len() * percent).div_ceil(100).max(1);
    sorted[rank - 1]
}

/// See [`percentile`].
pub(crate) fn median(values: &[f64]) -> f64 {
    percentile(values, 50)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentile_is_a_value_that_was_measured() {
        let values: Vec<f64> = (1..=200).rev().map(f64::from).collect();
        for (percent, value) in [(0, 1.0), (50, 100.0), (99, 198.0), (100, 200.0)] {
            assert_eq!(percentile(&values, percent), value, "{percent} %");
        }
        assert_eq!(percentile(&values[..1], 99), 200.0);
        assert_eq!(median(&[3.0, 1.0, 2.0]), 2.0);
    }
}
