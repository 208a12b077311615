//! Sets of unsigned numbers, kept as ranges: ports, in practice.
//!
//! Invariant: sorted, and no two ranges overlap or touch. So equal sets are equal in memory.

use std::fmt;
use std::ops::{AddAssign, SubAssign};

use crate::v1;

/// The numbers from `begin` to `end`, both included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Range {
    begin: u64,
    end: u64,
}

impl Range {
    /// The numbers from `begin` to `end`; `None` when `begin` is the greater.
    pub fn new(begin: u64, end: u64) -> Option<Self> {
        (begin <= end).then_some(Self { begin, end })
    }

    /// The least number in it.
    pub fn begin(self) -> u64 {
        self.begin
    }

    /// The greatest number in it.
    pub fn end(self) -> u64 {
        self.end
    }

    /// Whether one range could hold both: they overlap or touch. `self` must not begin later.
    fn reaches(self, later: Self) -> bool {
        later.begin <= self.end.saturating_add(1)
    }
}

impl From<u64> for Range {
    fn from(number: u64) -> Self {
        Self { begin: number, end: number }
    }
}

/// A set of unsigned numbers.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Ranges(Vec<Range>);

impl Ranges {
    /// No number.
    pub fn new() -> Self {
        Self::default()
    }

    /// The numbers of `(begin, end)` pairs, in any order.
    ///
    /// # Errors
    /// [`RangesError`] when a pair is inverted or two overlap: the rule for messages. Collecting an
    /// iterator of [`Range`] unites overlapping ones instead.
    pub fn from_pairs(pairs: impl IntoIterator<Item = (u64, u64)>) -> Result<Self, RangesError> {
        let mut ranges = pairs
            .into_iter()
            .map(|(begin, end)| Range::new(begin, end).ok_or(RangesError::Inverted { begin, end }))
            .collect::<Result<Vec<_>, _>>()?;
        ranges.sort_unstable();
        match ranges.windows(2).find(|pair| pair[1].begin <= pair[0].end) {
            Some(pair) => Err(RangesError::Overlapping(pair[0], pair[1])),
            None => Ok(Self::merged(ranges)),
        }
    }

    /// Whether there is no number in it.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many numbers are in it.
    pub fn len(&self) -> u64 {
        self.0
            .iter()
            .fold(0u64, |sum, range| sum.saturating_add(range.end - range.begin).saturating_add(1))
    }

    /// The ranges, sorted, with a gap between any two.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Range> + '_ {
        self.0.iter().copied()
    }

    /// The numbers, sorted. There may be very many: take few.
    pub fn numbers(&self) -> impl Iterator<Item = u64> + '_ {
        self.0.iter().flat_map(|range| range.begin..=range.end)
    }

    /// Whether `number` is in it.
    pub fn has(&self, number: u64) -> bool {
        let after = self.0.partition_point(|range| range.begin <= number);
        after > 0 && number <= self.0[after - 1].end
    }

    /// Whether all of `other` is in it.
    pub fn contains(&self, other: &Self) -> bool {
        let mut outer = self.0.iter();
        let mut around = outer.next();
        other.0.iter().all(|inner| {
            while around.is_some_and(|around| around.end < inner.begin) {
                around = outer.next();
            }
            around.is_some_and(|around| around.begin <= inner.begin && inner.end <= around.end)
        })
    }

    /// Whether nothing of `other` is in it.
    pub fn is_disjoint(&self, other: &Self) -> bool {
        self.intersection(other).is_empty()
    }

    /// The numbers in both.
    pub fn intersection(&self, other: &Self) -> Self {
        let (mut left, mut right) = (self.0.as_slice(), other.0.as_slice());
        let mut both = Vec::new();
        while let ([a, ..], [b, ..]) = (left, right) {
            both.extend(Range::new(a.begin.max(b.begin), a.end.min(b.end)));
            if a.end < b.end { left = &left[1..] } else { right = &right[1..] }
        }
        Self(both)
    }

    /// The least `count` numbers, or all when there are fewer.
    pub fn first(&self, count: u64) -> Self {
        let mut wanted = count;
        let mut taken = Vec::new();
        for range in &self.0 {
            if wanted == 0 {
                break;
            }
            let end = range.end.min(range.begin.saturating_add(wanted - 1));
            taken.push(Range { begin: range.begin, end });
            wanted -= end - range.begin + 1;
        }
        Self(taken)
    }

    /// The message for these ranges.
    pub fn to_proto(&self) -> v1::value::Ranges {
        let message =
            |range: Range| v1::value::Range { begin: Some(range.begin), end: Some(range.end) };
        v1::value::Ranges { range: self.iter().map(message).collect() }
    }

    /// Unites what overlaps or touches in ranges sorted by their begin.
    fn merged(sorted: impl IntoIterator<Item = Range>) -> Self {
        let mut merged: Vec<Range> = Vec::new();
        for range in sorted {
            match merged.last_mut() {
                Some(last) if last.reaches(range) => last.end = last.end.max(range.end),
                _ => merged.push(range),
            }
        }
        Self(merged)
    }
}

impl FromIterator<Range> for Ranges {
    fn from_iter<I: IntoIterator<Item = Range>>(ranges: I) -> Self {
        let mut ranges: Vec<_> = ranges.into_iter().collect();
        ranges.sort_unstable();
        Self::merged(ranges)
    }
}

impl FromIterator<u64> for Ranges {
    fn from_iter<I: IntoIterator<Item = u64>>(numbers: I) -> Self {
        numbers.into_iter().map(Range::from).collect()
    }
}

impl From<Range> for Ranges {
    fn from(range: Range) -> Self {
        Self(vec![range])
    }
}

/// Union.
impl AddAssign<&Ranges> for Ranges {
    fn add_assign(&mut self, other: &Self) {
        if other.is_empty() {
            return;
        }
        if self.is_empty() {
            self.0.clone_from(&other.0);
            return;
        }
        let (mut left, mut right) = (self.0.iter().peekable(), other.0.iter().peekable());
        let sorted = std::iter::from_fn(|| match (left.peek(), right.peek()) {
            (Some(a), Some(b)) if a <= b => left.next(),
            (_, Some(_)) => right.next(),
            (_, None) => left.next(),
        });
        *self = Self::merged(sorted.copied());
    }
}

/// Difference: what isn't there needn't be.
impl SubAssign<&Ranges> for Ranges {
    fn sub_assign(&mut self, other: &Self) {
        if self.is_empty() || other.is_empty() {
            return;
        }
        let mut left = Vec::with_capacity(self.0.len() + other.0.len());
        let mut holes = other.0.as_slice();
        for range in &self.0 {
            while holes.first().is_some_and(|hole| hole.end < range.begin) {
                holes = &holes[1..];
            }
            let mut rest = Some(*range);
            // A hole may reach into the next range: walk them without using them up.
            for hole in holes.iter().take_while(|hole| hole.begin <= range.end) {
                let Some(now) = rest else { break };
                if hole.begin > now.begin {
                    left.push(Range { begin: now.begin, end: hole.begin - 1 });
                }
                rest = hole.end.checked_add(1).and_then(|begin| Range::new(begin, now.end));
            }
            left.extend(rest);
        }
        self.0 = left;
    }
}

/// `[31000-32000, 33000-33000]`, as Mesos prints them; `[]` when empty.
impl fmt::Display for Ranges {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[")?;
        for (i, range) in self.0.iter().enumerate() {
            let comma = if i == 0 { "" } else { ", " };
            write!(f, "{comma}{}-{}", range.begin, range.end)?;
        }
        f.write_str("]")
    }
}

impl fmt::Debug for Ranges {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Why pairs of numbers are not ranges.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RangesError {
    /// A range that begins after its end.
    #[error("the range {begin}-{end} begins after its end")]
    Inverted {
        /// Where it begins.
        begin: u64,
        /// Where it ends.
        end: u64,
    },
    /// Two ranges with a number in common.
    #[error("the ranges {}-{} and {}-{} overlap", .0.begin, .0.end, .1.begin, .1.end)]
    Overlapping(Range, Range),
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ranges(pairs: &[(u64, u64)]) -> Ranges {
        Ranges::from_pairs(pairs.iter().copied()).unwrap()
    }

    #[test]
    fn ranges_that_touch_are_one_range() {
        let joined = ranges(&[(5, 6), (1, 2), (3, 4), (8, 9)]);
        assert_eq!(joined.to_string(), "[1-6, 8-9]");
        assert_eq!(joined.len(), 8);
        let end = u64::MAX;
        assert_eq!(ranges(&[(end - 1, end - 1), (end, end)]), ranges(&[(end - 1, end)]));
    }

    #[test]
    fn inverted_and_overlapping_pairs_are_refused() {
        let inverted = Ranges::from_pairs([(2, 1)]).unwrap_err();
        assert_eq!(inverted.to_string(), "the range 2-1 begins after its end");
        let overlapping = Ranges::from_pairs([(3, 5), (1, 3)]).unwrap_err();
        assert_eq!(overlapping.to_string(), "the ranges 1-3 and 3-5 overlap");
    }

    #[test]
    fn a_hole_splits_a_range_and_may_span_several() {
        for (from, hole, left) in [
            (&[(1, 10)][..], &[(4, 5)][..], &[(1, 3), (6, 10)][..]),
            (&[(1, 10)], &[(1, 10)], &[]),
            (&[(1, 10)], &[(0, 3), (9, 20)], &[(4, 8)]),
            (&[(1, 3), (5, 7), (9, 11)], &[(2, 10)], &[(1, 1), (11, 11)]),
            (&[(1, 3)], &[(5, 7)], &[(1, 3)]),
            (&[(0, u64::MAX)], &[(5, u64::MAX)], &[(0, 4)]),
        ] {
            let mut ranges_left = ranges(from);
            ranges_left -= &ranges(hole);
            assert_eq!(ranges_left, ranges(left), "{from:?} - {hole:?}");
        }
    }

    #[test]
    fn the_first_numbers_come_from_the_front_across_gaps() {
        let ports = ranges(&[(10, 11), (20, 29)]);
        assert_eq!(ports.first(0), Ranges::new());
        assert_eq!(ports.first(3), ranges(&[(10, 11), (20, 20)]));
        assert_eq!(ports.first(u64::MAX), ports);
        assert_eq!(ports.numbers().take(3).collect::<Vec<_>>(), [10, 11, 20]);
        assert!(ports.has(29) && !ports.has(12) && !ports.has(30) && !ports.has(9));
    }
}
