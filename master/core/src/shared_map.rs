//! A sorted map that is cheap to clone: clones share runs of entries until one of them changes a run.
//!
//! A picture of the whole master is a clone of each framework's tasks: some hundred runs instead of
//! tens of thousands of tasks. What a picture costs is paid by what changes while somebody holds it:
//! one copy of the run around it.
//!
//! Invariant: runs are sorted, none is empty, none is longer than [`RUN_MAX`].

use std::borrow::Borrow;
use std::sync::Arc;

/// The longest run: so much is copied when one entry of a shared run changes.
const RUN_MAX: usize = 64;
/// Neighbours that have so few entries together become one run.
const MERGED_MAX: usize = RUN_MAX / 2;

type Run<K, V> = Vec<(K, V)>;

/// The map.
#[derive(Debug, Clone)]
pub(crate) struct SharedMap<K, V> {
    runs: Vec<Arc<Run<K, V>>>,
    len: usize,
}

impl<K, V> Default for SharedMap<K, V> {
    fn default() -> Self {
        Self { runs: Vec::new(), len: 0 }
    }
}

impl<K: Ord + Clone, V: Clone> SharedMap<K, V> {
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len == 0
    }

    pub(crate) fn get<Q: Ord + ?Sized>(&self, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
    {
        let (run, at) = self.find(key).ok()?;
        Some(&self.runs[run][at].1)
    }

    pub(crate) fn contains_key<Q: Ord + ?Sized>(&self, key: &Q) -> bool
    where
        K: Borrow<Q>,
    {
        self.find(key).is_ok()
    }

    /// Copies the run that the entry is in, if it is shared.
    pub(crate) fn get_mut<Q: Ord + ?Sized>(&mut self, key: &Q) -> Option<&mut V>
    where
        K: Borrow<Q>,
    {
        let (run, at) = self.find(key).ok()?;
        Some(&mut Arc::make_mut(&mut self.runs[run])[at].1)
    }

    /// Puts an entry in; returns what was there under its key.
    pub(crate) fn insert(&mut self, key: K, value: V) -> Option<V> {
        let (at_run, at) = match self.find(&key) {
            Ok((run, at)) => {
                let entry = &mut Arc::make_mut(&mut self.runs[run])[at];
                return Some(std::mem::replace(&mut entry.1, value));
            }
            Err(place) => place,
        };
        self.len += 1;
        let is_last = at_run + 1 >= self.runs.len();
        let Some(run) = self.runs.get_mut(at_run) else {
            self.runs.push(Arc::new(vec![(key, value)]));
            return None;
        };
        if run.len() < RUN_MAX {
            Arc::make_mut(run).insert(at, (key, value));
        } else if is_last && at == run.len() {
            // What comes in order fills whole runs.
            self.runs.push(Arc::new(vec![(key, value)]));
        } else {
            let mut tail = Arc::make_mut(run).split_off(RUN_MAX / 2);
            match at.checked_sub(RUN_MAX / 2) {
                Some(at) => tail.insert(at, (key, value)),
                None => Arc::make_mut(run).insert(at, (key, value)),
            }
            self.runs.insert(at_run + 1, Arc::new(tail));
        }
        None
    }

    pub(crate) fn remove<Q: Ord + ?Sized>(&mut self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
    {
        let (at_run, at) = self.find(key).ok()?;
        let run = Arc::make_mut(&mut self.runs[at_run]);
        let (_, value) = run.remove(at);
        self.len -= 1;
        if run.is_empty() {
            self.runs.remove(at_run);
        } else if !self.merge(at_run) && at_run > 0 {
            self.merge(at_run - 1);
        }
        Some(value)
    }

    /// In the order of their keys.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&K, &V)> + Clone {
        self.runs.iter().flat_map(|run| run.iter()).map(|(key, value)| (key, value))
    }

    pub(crate) fn keys(&self) -> impl Iterator<Item = &K> + Clone {
        self.iter().map(|(key, _)| key)
    }

    pub(crate) fn values(&self) -> impl Iterator<Item = &V> + Clone {
        self.iter().map(|(_, value)| value)
    }

    /// Makes one of a run and the next, if they are short. Whether they were.
    fn merge(&mut self, at: usize) -> bool {
        let (Some(first), Some(second)) = (self.runs.get(at), self.runs.get(at + 1)) else {
            return false;
        };
        if first.len() + second.len() > MERGED_MAX {
            return false;
        }
        let second = self.runs.remove(at + 1);
        let second = Arc::try_unwrap(second).unwrap_or_else(|shared| Run::clone(&shared));
        Arc::make_mut(&mut self.runs[at]).extend(second);
        true
    }

    /// The run and the place in it where `key` is, or where it would have to go in.
    fn find<Q: Ord + ?Sized>(&self, key: &Q) -> Result<(usize, usize), (usize, usize)>
    where
        K: Borrow<Q>,
    {
        let begins_before = |run: &Arc<Run<K, V>>| run[0].0.borrow() <= key;
        let run = self.runs.partition_point(begins_before).saturating_sub(1);
        let Some(entries) = self.runs.get(run) else { return Err((run, 0)) };
        match entries.binary_search_by(|(own, _)| own.borrow().cmp(key)) {
            Ok(at) => Ok((run, at)),
            Err(at) => Err((run, at)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    #[derive(Debug, Clone)]
    enum Step {
        Insert(u16),
        Remove(u16),
        Change(u16),
        Share,
    }

    fn step() -> impl Strategy<Value = Step> {
        let key = || 0..600_u16;
        prop_oneof![
            5 => key().prop_map(Step::Insert),
            4 => key().prop_map(Step::Remove),
            2 => key().prop_map(Step::Change),
            1 => Just(Step::Share),
        ]
    }

    fn listed(map: &SharedMap<u16, u32>) -> Vec<(u16, u32)> {
        map.iter().map(|(key, value)| (*key, *value)).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(40))]

        #[test]
        fn it_is_a_map_and_clones_stay_as_they_were(
            in_order in 0..500_u16,
            steps in vec(step(), 0..2_000),
        ) {
            let mut map = SharedMap::default();
            let mut model = BTreeMap::new();
            let mut clones = Vec::new();
            for key in 0..in_order {
                prop_assert_eq!(map.insert(key, 0), model.insert(key, 0));
            }
            for (step, number) in steps.into_iter().zip(1_u32..) {
                match step {
                    Step::Insert(key) => {
                        prop_assert_eq!(map.insert(key, number), model.insert(key, number));
                    }
                    Step::Remove(key) => prop_assert_eq!(map.remove(&key), model.remove(&key)),
                    Step::Change(key) => {
                        prop_assert_eq!(map.get(&key), model.get(&key));
                        let (own, expected) = (map.get_mut(&key), model.get_mut(&key));
                        prop_assert_eq!(own.is_some(), expected.is_some());
                        if let (Some(own), Some(expected)) = (own, expected) {
                            *own += 1;
                            *expected += 1;
                        }
                    }
                    Step::Share => clones.push((map.clone(), listed(&map))),
                }
                prop_assert_eq!(map.len(), model.len());
                prop_assert!(map.runs.iter().all(|run| (1..=RUN_MAX).contains(&run.len())));
            }
            prop_assert_eq!(listed(&map), model.into_iter().collect::<Vec<_>>());
            for (clone, then) in clones {
                prop_assert_eq!(listed(&clone), then);
            }
        }
    }

    #[test]
    fn what_comes_in_order_fills_its_runs_and_what_goes_frees_them() {
        let mut map = SharedMap::default();
        for key in 0..10 * RUN_MAX {
            map.insert(key, ());
        }
        assert_eq!(map.runs.len(), 10);
        for key in 0..10 * RUN_MAX {
            if key % 16 != 0 {
                map.remove(&key);
            }
        }
        assert_eq!(map.len(), 40);
        assert!(map.runs.len() <= 3, "{} runs", map.runs.len());
    }
}
