//! What must always be true of the machine's memory. For tests, after every step.

use std::collections::{BTreeMap, BTreeSet};

use crate::instances::tally::Tally;
use crate::instances::{Instance, InstanceId};
use crate::path_id::PathId;
use crate::state::Marathon;
use crate::version::Version;

/// Instances by app and version.
type Groups<T> = BTreeMap<PathId, BTreeMap<Version, T>>;

impl Marathon {
    /// Which invariant is broken, if any. Walks everything.
    pub fn broken_invariant(&self) -> Option<&'static str> {
        [
            ("the tallies are what a count comes to", self.tallies_hold()),
            ("the index of what waits is what waits", self.waiting_holds()),
            ("every app with a deployment is locked by it, and no other is", self.locks_hold()),
            ("no task has more results than its app has checks", self.checks_hold()),
        ]
        .into_iter()
        .find(|(_, holds)| !holds)
        .map(|(name, _)| name)
    }

    fn tallies_hold(&self) -> bool {
        let mut counted: Groups<Tally> = Groups::new();
        for instance in self.instances.all() {
            let of_app = counted.entry(instance.id.app().clone()).or_default();
            *of_app.entry(instance.spec.version).or_default() += Tally::of(instance);
        }
        let of = |app: &PathId, version: Version| self.instances.tally(app, version..=version);
        counted.iter().all(|(app, versions)| {
            versions.iter().all(|(version, tally)| of(app, *version) == *tally)
                && self.instances.versions(app).count() == versions.len()
        })
    }

    fn waiting_holds(&self) -> bool {
        let mut waiting: Groups<BTreeSet<InstanceId>> = Groups::new();
        for instance in self.instances.all().filter(|instance| instance.is_scheduled()) {
            let of_app = waiting.entry(instance.id.app().clone()).or_default();
            of_app.entry(instance.spec.version).or_default().insert(instance.id.clone());
        }
        *self.instances.all_waiting() == waiting
    }

    fn locks_hold(&self) -> bool {
        let views = self.deployments.views();
        let affected = views.iter().flat_map(|deployment| {
            let id = &deployment.plan.id;
            deployment.plan.affected.keys().map(move |app| (app, id))
        });
        affected.clone().all(|(app, id)| self.deployments.lock_of(app) == Some(id))
            && self.deployments.locks() == affected.count()
    }

    fn checks_hold(&self) -> bool {
        let fits = |instance: &Instance| {
            let Some(task) = &instance.task else { return true };
            task.health.len() <= instance.spec.health_checks.len()
                && task.readiness.len() <= instance.spec.readiness_checks.len()
        };
        self.instances.all().all(|instance| fits(instance))
    }
}
