//! Tells which health checks there are: those of a version begin with its deployment, and end with
//! its last instance, or as soon as its app is to go.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use meros_proto::time::Now;

use crate::apps::AppSpec;
use crate::events::EventKind;
use crate::path_id::PathId;
use crate::state::{Marathon, Out};
use crate::version::Version;

/// The versions whose checks were told of, with the number of checks of each.
#[derive(Debug, Default)]
pub(crate) struct Announced {
    by_app: BTreeMap<PathId, BTreeMap<Version, usize>>,
}

impl Marathon {
    /// A version of an app begins to be deployed, or is found running after a restart.
    pub(crate) fn announce_checks(&mut self, now: Now, spec: &Arc<AppSpec>, out: &mut Out) {
        if self.note_checks(spec) {
            for check in &spec.health_checks {
                let (app, version) = (spec.id.clone(), spec.version);
                let event = EventKind::AddHealthCheck { app, version, check: check.clone() };
                self.publish(now, event, out);
            }
        }
    }

    /// Takes the checks of a version for announced. Returns whether they weren't.
    pub(crate) fn note_checks(&mut self, spec: &AppSpec) -> bool {
        if spec.health_checks.is_empty() {
            return false;
        }
        let of_app = self.announced.by_app.entry(spec.id.clone()).or_default();
        of_app.insert(spec.version, spec.health_checks.len()).is_none()
    }

    /// Tells of the checks of versions that nothing runs any more, and nothing will.
    pub(crate) fn retire_checks(&mut self, now: Now, app: &PathId, out: &mut Out) {
        let Some(of_app) = self.announced.by_app.get(app) else { return };
        let current = self.root.apps.get(app).map(|spec| spec.version);
        let in_use: BTreeSet<Version> = self.instances.versions(app).chain(current).collect();
        let over: Vec<Version> =
            of_app.keys().filter(|version| !in_use.contains(version)).copied().collect();
        for version in over {
            self.end_checks(now, app, version, out);
        }
    }

    /// Tells that no check of an app is asked any more.
    pub(crate) fn end_all_checks(&mut self, now: Now, app: &PathId, out: &mut Out) {
        let Some(of_app) = self.announced.by_app.get(app) else { return };
        for version in of_app.keys().copied().collect::<Vec<_>>() {
            self.end_checks(now, app, version, out);
        }
    }

    fn end_checks(&mut self, now: Now, app: &PathId, version: Version, out: &mut Out) {
        let Some(of_app) = self.announced.by_app.get_mut(app) else { return };
        let checks = of_app.remove(&version).unwrap_or(0);
        if of_app.is_empty() {
            self.announced.by_app.remove(app);
        }
        for _ in 0..checks {
            self.publish(now, EventKind::RemoveHealthCheck { app: app.clone() }, out);
        }
    }
}
