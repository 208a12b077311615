//! Scalars against integers, ranges against a set of numbers.

use std::collections::BTreeSet;

use meros_proto::resources::{Range, Ranges, Scalar};
use proptest::collection::vec;
use proptest::prelude::{Strategy, prop_assert, prop_assert_eq, proptest};

/// Ranges over few numbers, so that they meet, and the set that they mean.
fn ranges_and_model() -> impl Strategy<Value = (Ranges, BTreeSet<u64>)> {
    vec((0u64..60, 0u64..8), 0..8).prop_map(|spans| {
        let ranges = spans.iter().filter_map(|(begin, more)| Range::new(*begin, begin + more));
        let numbers = spans.iter().flat_map(|(begin, more)| *begin..=begin + more);
        (ranges.collect(), numbers.collect())
    })
}

fn model(ranges: &Ranges) -> BTreeSet<u64> {
    ranges.numbers().collect()
}

/// Sorted, with a gap between any two.
fn is_canonical(ranges: &Ranges) -> bool {
    let all: Vec<_> = ranges.iter().collect();
    all.iter().all(|range| range.begin() <= range.end())
        && all.windows(2).all(|pair| pair[0].end() + 1 < pair[1].begin())
}

proptest! {
    #[test]
    fn ranges_behave_as_the_set_of_their_numbers(
        (a, set_a) in ranges_and_model(),
        (b, set_b) in ranges_and_model(),
        count in 0u64..20,
    ) {
        prop_assert_eq!(&model(&a), &set_a);
        prop_assert_eq!(a.len(), set_a.len() as u64);
        prop_assert_eq!(a.contains(&b), set_a.is_superset(&set_b));
        prop_assert_eq!(a.is_disjoint(&b), set_a.is_disjoint(&set_b));
        prop_assert_eq!(a == b, set_a == set_b);
        (0..70).for_each(|number| assert_eq!(a.has(number), set_a.contains(&number)));

        let mut union = a.clone();
        union += &b;
        prop_assert_eq!(model(&union), set_a.union(&set_b).copied().collect());
        let mut difference = a.clone();
        difference -= &b;
        prop_assert_eq!(model(&difference), set_a.difference(&set_b).copied().collect());
        let common = a.intersection(&b);
        prop_assert_eq!(model(&common), set_a.intersection(&set_b).copied().collect());
        let first = a.first(count);
        prop_assert_eq!(model(&first), set_a.iter().copied().take(count as usize).collect());
        for ranges in [&a, &union, &difference, &common, &first] {
            prop_assert!(is_canonical(ranges), "{}", ranges);
        }
    }

    #[test]
    fn pairs_are_taken_exactly_when_they_do_not_overlap(pairs in vec((0u64..60, 0u64..60), 0..5)) {
        let valid = pairs.iter().all(|(begin, end)| begin <= end);
        let numbers: Vec<u64> = pairs.iter().flat_map(|(begin, end)| *begin..=*end).collect();
        let distinct: BTreeSet<u64> = numbers.iter().copied().collect();
        let taken = Ranges::from_pairs(pairs.iter().copied());
        prop_assert_eq!(taken.is_ok(), valid && distinct.len() == numbers.len());
        if let Ok(ranges) = taken {
            prop_assert_eq!(model(&ranges), distinct);
        }
    }

    #[test]
    fn an_amount_of_thousandths_survives_the_wire_exactly(millis in 0..=Scalar::MAX.as_millis()) {
        let amount = Scalar::from_millis(millis);
        prop_assert_eq!(Scalar::from_f64(amount.as_f64()), Ok(amount));
        prop_assert_eq!(amount.to_string().parse::<f64>().map(Scalar::from_f64), Ok(Ok(amount)));
    }

    #[test]
    fn amounts_add_and_subtract_as_integers_do(a in 0..=1i64 << 50, b in 0..=1i64 << 50) {
        let (x, y) = (Scalar::from_millis(a), Scalar::from_millis(b));
        prop_assert_eq!((x + y).as_millis(), a + b);
        prop_assert_eq!(x.checked_add(y).and_then(|sum| sum.checked_sub(y)), Some(x));
        prop_assert_eq!(x.checked_sub(y).map(Scalar::as_millis), (a >= b).then(|| a - b));
        prop_assert_eq!(x.saturating_sub(y).as_millis(), (a - b).max(0));
    }
}
