//! Sets of names, such as the devices of an agent.

use std::collections::BTreeSet;
use std::fmt;
use std::ops::{AddAssign, SubAssign};
use std::sync::Arc;

/// A set of strings.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Set(BTreeSet<Arc<str>>);

impl Set {
    /// The empty set.
    pub fn new() -> Self {
        Self::default()
    }

    /// Puts `item` in. `false` when it was there.
    pub fn insert(&mut self, item: &str) -> bool {
        self.0.insert(item.into())
    }

    /// Whether nothing is in it.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many items are in it.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// The items, sorted.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &str> {
        self.0.iter().map(AsRef::as_ref)
    }

    /// Whether `item` is in it.
    pub fn has(&self, item: &str) -> bool {
        self.0.contains(item)
    }

    /// Whether all of `other` is in it.
    pub fn contains(&self, other: &Self) -> bool {
        self.0.is_superset(&other.0)
    }

    /// Whether nothing of `other` is in it.
    pub fn is_disjoint(&self, other: &Self) -> bool {
        self.0.is_disjoint(&other.0)
    }

    /// The items in both.
    pub fn intersection(&self, other: &Self) -> Self {
        Self(self.0.intersection(&other.0).cloned().collect())
    }
}

impl<S: AsRef<str>> FromIterator<S> for Set {
    fn from_iter<I: IntoIterator<Item = S>>(items: I) -> Self {
        Self(items.into_iter().map(|item| item.as_ref().into()).collect())
    }
}

/// Union.
impl AddAssign<&Set> for Set {
    fn add_assign(&mut self, other: &Self) {
        self.0.extend(other.0.iter().cloned());
    }
}

/// Difference: what isn't there needn't be.
impl SubAssign<&Set> for Set {
    fn sub_assign(&mut self, other: &Self) {
        self.0.retain(|item| !other.0.contains(item));
    }
}

/// `{a, b}`; `{}` when empty.
impl fmt::Display for Set {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("{")?;
        for (i, item) in self.0.iter().enumerate() {
            let comma = if i == 0 { "" } else { ", " };
            write!(f, "{comma}{item}")?;
        }
        f.write_str("}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_unite_subtract_and_contain() {
        let mut set: Set = ["b", "a"].into_iter().collect();
        let other: Set = ["b", "c"].into_iter().collect();
        assert_eq!(set.to_string(), "{a, b}");
        assert_eq!(set.intersection(&other).iter().collect::<Vec<_>>(), ["b"]);
        assert!(!set.contains(&other) && !set.is_disjoint(&other));
        set += &other;
        assert!(set.contains(&other) && set.len() == 3);
        set -= &other;
        assert_eq!(set.to_string(), "{a}");
        assert!(!set.insert("a"));
    }
}
