//! All instances, by app, with an index of those that wait for an offer.
//!
//! Every change of an instance goes through [`Registry::put`] or [`Registry::remove`], so the index
//! is never stale.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::{Instance, InstanceId};
use crate::path_id::PathId;

/// The instances of one app.
pub(crate) type OfApp = Arc<BTreeMap<InstanceId, Arc<Instance>>>;

/// All instances.
#[derive(Debug, Default)]
pub(crate) struct Registry {
    by_app: BTreeMap<PathId, OfApp>,
    scheduled: BTreeMap<PathId, BTreeSet<InstanceId>>,
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
    pub(crate) fn by_app(&self) -> &BTreeMap<PathId, OfApp> {
        &self.by_app
    }

    /// Whether an app has an instance.
    pub(crate) fn has_any(&self, app: &PathId) -> bool {
        self.by_app.contains_key(app)
    }

    /// The instances that wait for an offer, by app. No app without one is among them.
    pub(crate) fn scheduled(&self) -> &BTreeMap<PathId, BTreeSet<InstanceId>> {
        &self.scheduled
    }

    /// Adds an instance, or replaces what is known of it.
    pub(crate) fn put(&mut self, instance: Arc<Instance>) {
        let app = instance.id.app();
        if instance.is_scheduled() {
            self.scheduled.entry(app.clone()).or_default().insert(instance.id.clone());
        } else {
            self.unschedule(&instance.id);
        }
        let of_app = Arc::make_mut(self.by_app.entry(app.clone()).or_default());
        of_app.insert(instance.id.clone(), instance);
    }

    /// Takes an instance out.
    pub(crate) fn remove(&mut self, id: &InstanceId) -> Option<Arc<Instance>> {
        self.unschedule(id);
        let of_app = Arc::make_mut(self.by_app.get_mut(id.app())?);
        let instance = of_app.remove(id);
        if of_app.is_empty() {
            self.by_app.remove(id.app());
        }
        instance
    }

    fn unschedule(&mut self, id: &InstanceId) {
        if let Some(waiting) = self.scheduled.get_mut(id.app()) {
            waiting.remove(id);
            if waiting.is_empty() {
                self.scheduled.remove(id.app());
            }
        }
    }
}
