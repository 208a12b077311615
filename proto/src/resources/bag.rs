//! The multiset itself: adding, subtracting, containing.

use std::ops::{Add, AddAssign, Sub, SubAssign};

use super::Resource;

/// A canonical multiset of resources.
///
/// Invariant: entries are sorted by kind, no two are of one kind, none is empty. So `==` is
/// equality of meaning.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Resources {
    entries: Vec<Resource>,
}

impl Resources {
    /// Nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether there is nothing.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// How many entries there are, not how much.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// The entries, in canonical order. A shared one comes once, whatever its count.
    pub fn iter(&self) -> std::slice::Iter<'_, Resource> {
        self.entries.iter()
    }

    /// Adds one entry; an empty one changes nothing.
    pub fn add(&mut self, resource: Resource) {
        if resource.is_empty() {
            return;
        }
        match self.position(&resource) {
            Ok(at) => self.entries[at].add_alike(&resource),
            Err(at) => self.entries.insert(at, resource),
        }
    }

    /// Takes one entry away, as far as it is there.
    pub fn subtract(&mut self, resource: &Resource) {
        if let Ok(at) = self.position(resource) {
            let entry = &mut self.entries[at];
            entry.subtract_alike(resource);
            if entry.is_empty() {
                self.entries.remove(at);
            }
        }
    }

    /// Whether all of `other` is in it, each entry within the one of its kind.
    pub fn contains(&self, other: &Self) -> bool {
        other.entries.iter().all(|resource| self.contains_one(resource))
    }

    /// Whether `resource` is in it.
    pub fn contains_one(&self, resource: &Resource) -> bool {
        resource.is_empty()
            || self.position(resource).is_ok_and(|at| self.entries[at].contains_alike(resource))
    }

    /// What is left without `other`; `None` when `other` isn't all there.
    pub fn checked_sub(&self, other: &Self) -> Option<Self> {
        let mut left = self.clone();
        left.try_subtract(other).then_some(left)
    }

    /// Takes `other` away if it is all there. `false`: it isn't, and nothing has changed.
    #[must_use = "`false` means that nothing was taken"]
    pub fn try_subtract(&mut self, other: &Self) -> bool {
        let all_there = self.contains(other);
        if all_there {
            *self -= other;
        }
        all_there
    }

    /// Where the entry of this kind is, or would be.
    fn position(&self, resource: &Resource) -> Result<usize, usize> {
        self.entries.binary_search_by(|entry| entry.cmp_kind(resource))
    }

    /// Keeps the entries' order and kinds: nothing is merged, only left out.
    pub(super) fn from_sorted(entries: Vec<Resource>) -> Self {
        debug_assert!(entries.is_sorted_by(|a, b| a.cmp_kind(b).is_lt()));
        Self { entries }
    }

    /// For changes that keep order and kinds apart.
    pub(super) fn entries_mut(&mut self) -> &mut [Resource] {
        &mut self.entries
    }
}

impl FromIterator<Resource> for Resources {
    fn from_iter<I: IntoIterator<Item = Resource>>(resources: I) -> Self {
        let mut all = Self::new();
        all.extend(resources);
        all
    }
}

impl Extend<Resource> for Resources {
    fn extend<I: IntoIterator<Item = Resource>>(&mut self, resources: I) {
        resources.into_iter().for_each(|resource| self.add(resource));
    }
}

impl From<Resource> for Resources {
    fn from(resource: Resource) -> Self {
        Self::from_iter([resource])
    }
}

impl<'a> IntoIterator for &'a Resources {
    type Item = &'a Resource;
    type IntoIter = std::slice::Iter<'a, Resource>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl IntoIterator for Resources {
    type Item = Resource;
    type IntoIter = std::vec::IntoIter<Resource>;

    fn into_iter(self) -> Self::IntoIter {
        self.entries.into_iter()
    }
}

impl AddAssign<&Resources> for Resources {
    fn add_assign(&mut self, other: &Self) {
        if self.is_empty() {
            self.entries.clone_from(&other.entries);
            return;
        }
        for resource in &other.entries {
            match self.position(resource) {
                Ok(at) => self.entries[at].add_alike(resource),
                Err(at) => self.entries.insert(at, resource.clone()),
            }
        }
    }
}

impl AddAssign for Resources {
    fn add_assign(&mut self, other: Self) {
        if self.is_empty() {
            *self = other;
        } else {
            self.extend(other);
        }
    }
}

impl Add<&Resources> for Resources {
    type Output = Self;

    fn add(mut self, other: &Self) -> Self {
        self += other;
        self
    }
}

impl Add for Resources {
    type Output = Self;

    fn add(mut self, other: Self) -> Self {
        self += other;
        self
    }
}

/// Saturates: takes away what is there. See [`Resources::try_subtract`] for all or nothing.
impl SubAssign<&Resources> for Resources {
    fn sub_assign(&mut self, other: &Self) {
        other.entries.iter().for_each(|resource| self.subtract(resource));
    }
}

/// Saturates: takes away what is there. See [`Resources::checked_sub`] for all or nothing.
impl Sub<&Resources> for Resources {
    type Output = Self;

    fn sub(mut self, other: &Self) -> Self {
        self -= other;
        self
    }
}

impl std::iter::Sum for Resources {
    fn sum<I: Iterator<Item = Self>>(all: I) -> Self {
        all.fold(Self::new(), Add::add)
    }
}

impl<'a> std::iter::Sum<&'a Resources> for Resources {
    fn sum<I: Iterator<Item = &'a Self>>(all: I) -> Self {
        all.fold(Self::new(), Add::add)
    }
}
