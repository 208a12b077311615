//! All instances, by app, with indexes of what is asked of them at every turn: how many there are
//! of what kind, and which wait for an offer.
//!
//! Every change of an instance goes through [`Registry::put`], [`Registry::change`] or
//! [`Registry::remove`], so the indexes are never stale.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeBounds;
use std::sync::Arc;

use super::tally::Tally;
use super::{Instance, InstanceId};
use crate::path_id::PathId;
use crate::version::Version;
use crate::view::InstancesOfApp;

/// Instances that wait for an offer, by the version of their app.
pub(crate) type Waiting = BTreeMap<Version, BTreeSet<InstanceId>>;

/// All instances.
#[derive(Debug, Default)]
pub(crate) struct Registry {
    by_app: Arc<BTreeMap<PathId, InstancesOfApp>>,
    tallies: BTreeMap<PathId, BTreeMap<Version, Tally>>,
    waiting: BTreeMap<PathId, Waiting>,
}

impl Registry {
    /// One instance.
    pub(crate) fn get(&self, id: &InstanceId) -> Option<&Arc<Instance>> {
        self.by_app.get(id.app())?.get(id)
    }

    /// All instances of an app, in the order of their ids.
    pub(crate) fn of(&self, app: &PathId) -> impl Iterator<Item = &Arc<Instance>> + Clone {
        self.by_app.get(app).into_iter().flat_map(|instances| instances.values())
    }

    /// All instances.
    pub(crate) fn all(&self) -> impl Iterator<Item = &Arc<Instance>> {
        self.by_app.values().flat_map(|instances| instances.values())
    }

    /// All instances, by app. No app without an instance is among them.
    pub(crate) fn by_app(&self) -> &BTreeMap<PathId, InstancesOfApp> {
        &self.by_app
    }

    /// The same, to keep: it stays as it is now.
    pub(crate) fn share(&self) -> Arc<BTreeMap<PathId, InstancesOfApp>> {
        Arc::clone(&self.by_app)
    }

    /// Whether an app has an instance.
    pub(crate) fn has_any(&self, app: &PathId) -> bool {
        self.by_app.contains_key(app)
    }

    /// How many instances an app has of some of its versions.
    pub(crate) fn tally(&self, app: &PathId, versions: impl RangeBounds<Version>) -> Tally {
        let of_app = self.tallies.get(app).into_iter();
        of_app
            .flat_map(|of_app| of_app.range((versions.start_bound(), versions.end_bound())))
            .fold(Tally::default(), |sum, (_, tally)| sum + *tally)
    }

    /// The versions of an app that an instance is of, in order.
    pub(crate) fn versions(&self, app: &PathId) -> impl Iterator<Item = Version> + use<'_> {
        self.tallies.get(app).into_iter().flat_map(|of_app| of_app.keys().copied())
    }

    /// The instances of an app that wait for an offer. No version without one is among them.
    pub(crate) fn waiting(&self, app: &PathId) -> Option<&Waiting> {
        self.waiting.get(app)
    }

    /// All apps of which an instance waits for an offer.
    pub(crate) fn all_waiting(&self) -> &BTreeMap<PathId, Waiting> {
        &self.waiting
    }

    /// Adds an instance, or replaces what is known of it.
    pub(crate) fn put(&mut self, instance: Arc<Instance>) {
        let by_app = Arc::make_mut(&mut self.by_app);
        let of_app = Arc::make_mut(by_app.entry(instance.id.app().clone()).or_default());
        let before = of_app.insert(instance.id.clone(), Arc::clone(&instance));
        self.recount(before.as_deref().map(Traits::of), Some(Traits::of(&instance)), &instance.id);
    }

    /// Changes an instance where it is; nothing is copied unless somebody looks at it. Its id and
    /// its definition stay as they are.
    pub(crate) fn change(&mut self, id: &InstanceId, change: impl FnOnce(&mut Instance)) {
        let Some(of_app) = Arc::make_mut(&mut self.by_app).get_mut(id.app()) else { return };
        let Some(instance) = Arc::make_mut(of_app).get_mut(id) else { return };
        let before = Traits::of(instance);
        change(Arc::make_mut(instance));
        let after = Traits::of(instance);
        self.recount(Some(before), Some(after), id);
    }

    /// Takes an instance out.
    pub(crate) fn remove(&mut self, id: &InstanceId) -> Option<Arc<Instance>> {
        let by_app = Arc::make_mut(&mut self.by_app);
        let of_app = Arc::make_mut(by_app.get_mut(id.app())?);
        let instance = of_app.remove(id)?;
        if of_app.is_empty() {
            by_app.remove(id.app());
        }
        self.recount(Some(Traits::of(&instance)), None, id);
        Some(instance)
    }

    /// Brings the indexes up to date with an instance.
    fn recount(&mut self, before: Option<Traits>, after: Option<Traits>, id: &InstanceId) {
        if before == after {
            return;
        }
        let app = id.app();
        if let Some(before) = &before {
            self.uncount(app, before);
        }
        if let Some(after) = &after {
            let of_app = self.tallies.entry(app.clone()).or_default();
            *of_app.entry(after.version).or_default() += after.tally;
        }
        let place =
            |traits: Option<Traits>| traits.filter(|traits| traits.waits).map(|t| t.version);
        let (was, is) = (place(before), place(after));
        if was == is {
            return;
        }
        if let Some(version) = was {
            self.no_longer_waits(id, version);
        }
        if let Some(version) = is {
            let waiting = self.waiting.entry(app.clone()).or_default();
            waiting.entry(version).or_default().insert(id.clone());
        }
    }

    fn uncount(&mut self, app: &PathId, traits: &Traits) {
        let Some(of_app) = self.tallies.get_mut(app) else { return };
        let Some(tally) = of_app.get_mut(&traits.version) else { return };
        *tally -= traits.tally;
        if tally.all == 0 {
            of_app.remove(&traits.version);
            if of_app.is_empty() {
                self.tallies.remove(app);
            }
        }
    }

    fn no_longer_waits(&mut self, id: &InstanceId, version: Version) {
        let Some(waiting) = self.waiting.get_mut(id.app()) else { return };
        let Some(of_version) = waiting.get_mut(&version) else { return };
        of_version.remove(id);
        if of_version.is_empty() {
            waiting.remove(&version);
            if waiting.is_empty() {
                self.waiting.remove(id.app());
            }
        }
    }
}

/// What the indexes know of an instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Traits {
    version: Version,
    tally: Tally,
    waits: bool,
}

impl Traits {
    fn of(instance: &Instance) -> Self {
        Self {
            version: instance.spec.version,
            tally: Tally::of(instance),
            waits: instance.is_scheduled(),
        }
    }
}

#[cfg(test)]
mod tests {
    use meros_proto::time::Timestamp;

    use super::*;
    use crate::groups::tests::id;
    use crate::instances::tests::{instance, with_task};
    use crate::instances::{Condition, Goal};

    /// What a count of all instances of `/a` comes to.
    fn counted(registry: &Registry) -> Tally {
        registry.of(&id("/a")).fold(Tally::default(), |sum, instance| sum + Tally::of(instance))
    }

    #[test]
    fn the_tallies_are_what_a_count_would_come_to() {
        let mut registry = Registry::default();
        let running = with_task("/a", Condition::Running, "h", Timestamp::default());
        let waiting = instance("/a");
        for instance in [&running, &waiting] {
            registry.put(Arc::clone(instance));
            assert_eq!(registry.tally(&id("/a"), ..), counted(&registry));
        }
        assert_eq!(registry.tally(&id("/a"), ..).up, 1);
        assert_eq!(registry.waiting(&id("/a")).map(BTreeMap::len), Some(1));
        registry.change(&waiting.id, |instance| instance.goal = Goal::Decommissioned);
        assert_eq!(registry.waiting(&id("/a")), None);
        assert_eq!(registry.tally(&id("/a"), ..), counted(&registry));
        let later = Version::from_millis(5)..;
        assert_eq!(registry.tally(&id("/a"), later), Tally::default());
        assert_eq!(registry.versions(&id("/a")).collect::<Vec<_>>(), [Version::default()]);
        registry.remove(&running.id);
        registry.remove(&waiting.id);
        assert_eq!(registry.tally(&id("/a"), ..), Tally::default());
        assert!(registry.tallies.is_empty() && registry.by_app.is_empty());
    }
}
