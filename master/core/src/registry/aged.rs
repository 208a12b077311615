//! Things with the time since when they are here, the oldest first to be forgotten.

use std::collections::{BTreeMap, BTreeSet};

use meros_proto::record::BadRecord;
use meros_proto::time::Timestamp;

use crate::registry::field::{Field, Fields};

/// Entries by their key, and by their age.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Aged<K, V> {
    entries: BTreeMap<K, (Timestamp, V)>,
    oldest: BTreeSet<(Timestamp, K)>,
}

impl<K, V> Default for Aged<K, V> {
    fn default() -> Self {
        Self { entries: BTreeMap::new(), oldest: BTreeSet::new() }
    }
}

impl<K: Ord + Clone, V> Aged<K, V> {
    /// Puts an entry in; what was there under its key goes.
    pub(super) fn insert(&mut self, key: K, since: Timestamp, value: V) {
        self.remove(&key);
        self.oldest.insert((since, key.clone()));
        self.entries.insert(key, (since, value));
    }

    pub(super) fn remove(&mut self, key: &K) -> Option<V> {
        let (since, value) = self.entries.remove(key)?;
        self.oldest.remove(&(since, key.clone()));
        Some(value)
    }

    pub(super) fn get(&self, key: &K) -> Option<&(Timestamp, V)> {
        self.entries.get(key)
    }

    pub(super) fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        self.entries.get_mut(key).map(|(_, value)| value)
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// By key.
    pub(super) fn iter(&self) -> impl ExactSizeIterator<Item = (&K, Timestamp)> {
        self.entries.iter().map(|(key, (since, _))| (key, *since))
    }

    /// Whether anything is older than `before`, or one too many for `keep`.
    pub(super) fn has_excess(&self, before: Timestamp, keep: u32) -> bool {
        self.excess(before, keep).is_some()
    }

    /// Forgets what is older than `before`, and the oldest ones beyond `keep`.
    pub(super) fn trim(&mut self, before: Timestamp, keep: u32) {
        while let Some(oldest) = self.excess(before, keep).cloned() {
            self.oldest.remove(&oldest);
            self.entries.remove(&oldest.1);
        }
    }

    fn excess(&self, before: Timestamp, keep: u32) -> Option<&(Timestamp, K)> {
        let too_many = self.oldest.len() > keep as usize;
        self.oldest.first().filter(|(since, _)| too_many || *since < before)
    }
}

impl<K: Field + Ord + Clone, V: Field> Field for Aged<K, V> {
    fn put(&self, out: &mut Vec<u8>) {
        self.entries.put(out);
    }

    fn take(fields: &mut Fields<'_>) -> Result<Self, BadRecord> {
        let entries = BTreeMap::<K, (Timestamp, V)>::take(fields)?;
        let oldest = entries.iter().map(|(key, (since, _))| (*since, key.clone())).collect();
        Ok(Self { entries, oldest })
    }
}

impl Field for () {
    fn put(&self, _: &mut Vec<u8>) {}

    fn take(_: &mut Fields<'_>) -> Result<Self, BadRecord> {
        Ok(())
    }
}
