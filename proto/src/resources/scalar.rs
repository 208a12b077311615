//! An amount, exact to a thousandth.
//!
//! Mesos puts doubles on the wire and computes in fixed point; here the double exists only at the
//! edge, so that taking and giving back 0.1 a million times ends where it began.

use std::fmt;
use std::iter::Sum;
use std::ops::{Add, AddAssign, Sub, SubAssign};

/// An amount of a resource, in thousandths.
///
/// `+` and `-` saturate: sums of amounts that came through [`Scalar::from_f64`] don't get there
/// below some eight thousand entries at the bound.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Scalar(i64);

impl Scalar {
    /// Nothing.
    pub const ZERO: Self = Self(0);

    /// The greatest amount taken from outside, about 10^12: up to it a double is exact to a
    /// thousandth.
    pub const MAX: Self = Self(1 << 50);

    /// The amount of `thousandths`.
    pub const fn from_millis(thousandths: i64) -> Self {
        Self(thousandths)
    }

    /// The amount nearest to `value`; a half goes away from zero, as in Mesos.
    ///
    /// # Errors
    /// [`ScalarError`] when it isn't finite or lies beyond [`Scalar::MAX`].
    pub fn from_f64(value: f64) -> Result<Self, ScalarError> {
        if !value.is_finite() {
            return Err(ScalarError::NotFinite);
        }
        let thousandths = (value * 1_000.0).round();
        if thousandths.abs() > Self::MAX.0 as f64 {
            return Err(ScalarError::TooLarge);
        }
        Ok(Self(thousandths as i64))
    }

    /// The amount as it goes on the wire.
    pub fn as_f64(self) -> f64 {
        self.0 as f64 / 1_000.0
    }

    /// The amount in thousandths.
    pub const fn as_millis(self) -> i64 {
        self.0
    }

    /// Whether it is exactly nothing.
    pub const fn is_zero(self) -> bool {
        self.0 == 0
    }

    /// Whether it is less than nothing, which no resource is.
    pub const fn is_negative(self) -> bool {
        self.0 < 0
    }

    /// Whether it is a whole number, as gpus must be.
    pub const fn is_whole(self) -> bool {
        self.0 % 1_000 == 0
    }

    /// The sum, unless it overflows.
    pub fn checked_add(self, other: Self) -> Option<Self> {
        self.0.checked_add(other.0).map(Self)
    }

    /// The difference, unless `other` is more than there is.
    pub fn checked_sub(self, other: Self) -> Option<Self> {
        let left = self.0.checked_sub(other.0)?;
        (left >= 0).then_some(Self(left))
    }

    /// The difference, or nothing when `other` is more than there is.
    pub fn saturating_sub(self, other: Self) -> Self {
        self.checked_sub(other).unwrap_or(Self::ZERO)
    }

    /// `times` the amount.
    pub fn times(self, times: u32) -> Self {
        Self(self.0.saturating_mul(i64::from(times)))
    }
}

impl From<u32> for Scalar {
    fn from(whole: u32) -> Self {
        Self(i64::from(whole) * 1_000)
    }
}

impl Add for Scalar {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl Sub for Scalar {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }
}

impl AddAssign for Scalar {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

impl SubAssign for Scalar {
    fn sub_assign(&mut self, other: Self) {
        *self = *self - other;
    }
}

impl Sum for Scalar {
    fn sum<I: Iterator<Item = Self>>(amounts: I) -> Self {
        amounts.fold(Self::ZERO, Add::add)
    }
}

/// Without trailing zeros: `4`, `0.5`, `1.125`.
impl fmt::Display for Scalar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let magnitude = self.0.unsigned_abs();
        let sign = if self.0 < 0 { "-" } else { "" };
        let (whole, mut fraction) = (magnitude / 1_000, magnitude % 1_000);
        if fraction == 0 {
            return write!(f, "{sign}{whole}");
        }
        let mut digits = 3;
        while fraction.is_multiple_of(10) {
            fraction /= 10;
            digits -= 1;
        }
        write!(f, "{sign}{whole}.{fraction:0digits$}")
    }
}

impl fmt::Debug for Scalar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Why a number is not an amount.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ScalarError {
    /// NaN or an infinity.
    #[error("is not a finite number")]
    NotFinite,
    /// Beyond [`Scalar::MAX`].
    #[error("is larger than 1125899906842.624")]
    TooLarge,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_rounded_to_a_thousandth_a_half_away_from_zero() {
        for (value, millis) in [
            (0.0, 0),
            (0.000_1, 0),
            (0.000_5, 1),
            (-0.000_5, -1),
            (0.1 + 0.2, 300),
            (1.234_4, 1_234),
            (1e12, 1_000_000_000_000_000),
        ] {
            assert_eq!(Scalar::from_f64(value), Ok(Scalar::from_millis(millis)), "{value}");
        }
    }

    #[test]
    fn what_is_not_a_finite_number_in_bounds_is_refused() {
        for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            assert_eq!(Scalar::from_f64(value), Err(ScalarError::NotFinite));
        }
        for value in [1e13, -1e13, f64::MAX] {
            assert_eq!(Scalar::from_f64(value), Err(ScalarError::TooLarge));
        }
        let bound = Scalar::MAX.to_string();
        assert!(ScalarError::TooLarge.to_string().ends_with(&bound), "{bound}");
    }

    #[test]
    fn taking_a_tenth_ten_times_leaves_nothing() {
        let tenth = Scalar::from_f64(0.1).unwrap();
        let left = (0..10).fold(Scalar::from(1), |left, _| left.checked_sub(tenth).unwrap());
        assert!(left.is_zero());
        assert_eq!(left.checked_sub(tenth), None);
        assert_eq!(left.saturating_sub(tenth), Scalar::ZERO);
    }

    #[test]
    fn an_amount_prints_without_trailing_zeros() {
        for (millis, text) in
            [(0, "0"), (4_000, "4"), (500, "0.5"), (1_125, "1.125"), (10, "0.01"), (-50, "-0.05")]
        {
            assert_eq!(Scalar::from_millis(millis).to_string(), text);
        }
    }
}
