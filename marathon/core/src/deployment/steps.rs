//! What an action does, and when it is done. And what is done for an app outside of deployments.
//!
//! Every function here compares the whole of what is wanted of an app with the whole of what there
//! is, and may be called at any time.

use std::sync::Arc;

use meros_proto::time::Now;

use super::capacity::{Bounds, Situation};
use super::{Action, ActionKind};
use crate::apps::AppSpec;
use crate::events::EventKind;
use crate::health::{self, Verdict};
use crate::instances::{Goal, Instance, InstanceId, victims};
use crate::path_id::PathId;
use crate::state::{Marathon, Out};

impl Marathon {
    /// What is done once, when the step of an action begins.
    pub(super) fn begin_action(&mut self, now: Now, action: &Action, out: &mut Out) {
        match &action.kind {
            ActionKind::Start | ActionKind::Stop => {}
            ActionKind::Scale { victims } => {
                for victim in victims {
                    self.decommission(now, victim, out);
                }
            }
            ActionKind::Restart => self.forget_delay(&action.app),
        }
    }

    /// Does what an action can do by now. Returns whether it is done.
    pub(super) fn act(
        &mut self,
        now: Now,
        action: &Action,
        target: Option<&Arc<AppSpec>>,
        out: &mut Out,
    ) -> bool {
        match (&action.kind, target) {
            (ActionKind::Stop, _) | (_, None) => self.stop(now, &action.app, out),
            (ActionKind::Start, _) => true,
            (ActionKind::Scale { .. }, Some(target)) => self.scale(now, target, out),
            (ActionKind::Restart, Some(target)) => self.replace(now, target, out),
        }
    }

    /// Ends all instances of an app. Done when none is left; then nothing of it is.
    fn stop(&mut self, now: Now, app: &PathId, out: &mut Out) -> bool {
        self.decommission_all(now, app, out);
        if self.instances.has_any(app) {
            return false;
        }
        self.forget(app, out);
        self.publish(now, EventKind::AppTerminated { app: app.clone() }, out);
        true
    }

    /// Gives an app as many instances as it wants. Done when they are all up, and no others left.
    fn scale(&mut self, now: Now, target: &Arc<AppSpec>, out: &mut Out) -> bool {
        self.keep_count(now, target, out);
        let (mut up, mut ending) = (0, 0);
        for instance in self.instances.of(&target.id) {
            up += usize::from(instance.counts() && health::is_up(instance));
            ending += usize::from(instance.goal == Goal::Decommissioned);
        }
        up == count(target.instances) && ending == 0
    }

    /// Starts instances that an app lacks, ends those that it has too many.
    pub(super) fn keep_count(&mut self, now: Now, target: &Arc<AppSpec>, out: &mut Out) {
        let counted = self.instances.of(&target.id).filter(|instance| instance.counts());
        let there = counted.clone().count();
        let wanted = count(target.instances);
        let surplus = there.saturating_sub(wanted);
        let victims = victims::choose(counted, surplus, target.kill_selection);
        for victim in victims {
            self.decommission(now, &victim, out);
        }
        self.add_instances(now, target, wanted.saturating_sub(there), out);
    }

    /// Replaces the instances of older definitions by those of `target`, within the bounds of its
    /// upgrade strategy. Done when only those are left, and all up.
    fn replace(&mut self, now: Now, target: &Arc<AppSpec>, out: &mut Out) -> bool {
        self.drop_broken(now, target, out);
        let wanted = count(target.instances);
        let census = self.census(target);
        let situation =
            Situation { wanted, healthy: census.healthy, old: census.old.len(), resident: false };
        let bounds = Bounds::of(&target.upgrade, situation);
        for victim in census.old.iter().take(bounds.kill_now) {
            self.decommission(now, victim, out);
        }
        let starts = bounds.may_start(wanted, census.old_active, census.started);
        self.add_instances(now, target, starts, out);
        if census.started > wanted {
            self.drop_surplus(now, target, census.started - wanted, out);
        }
        let left = self.instances.of(&target.id);
        let is_new = |instance: &&Arc<Instance>| instance.spec.version >= target.version;
        let (new, old): (Vec<_>, Vec<_>) = left.partition(is_new);
        old.is_empty()
            && new.len() == wanted
            && new.iter().all(|instance| instance.counts() && health::is_up(instance))
    }

    /// Ends old instances that serve nobody: their end costs no health.
    fn drop_broken(&mut self, now: Now, target: &AppSpec, out: &mut Out) {
        let broken: Vec<InstanceId> = self
            .instances
            .of(&target.id)
            .filter(|instance| {
                instance.spec.version < target.version
                    && instance.goal == Goal::Running
                    && health::verdict(instance) == Verdict::Unhealthy
            })
            .map(|instance| instance.id.clone())
            .collect();
        for id in broken {
            self.decommission(now, &id, out);
        }
    }

    /// Ends new instances beyond the wanted number: one that was given up has come back.
    fn drop_surplus(&mut self, now: Now, target: &AppSpec, surplus: usize, out: &mut Out) {
        let new = self
            .instances
            .of(&target.id)
            .filter(|instance| instance.counts() && instance.spec.version >= target.version);
        for id in victims::choose(new, surplus, target.kill_selection) {
            self.decommission(now, &id, out);
        }
    }

    fn census(&self, target: &AppSpec) -> Census {
        let mut census = Census::default();
        let mut old = Vec::new();
        for instance in self.instances.of(&target.id) {
            let healthy = instance.counts() && health::is_up(instance);
            census.healthy += usize::from(healthy);
            if instance.spec.version >= target.version {
                census.started += usize::from(instance.counts());
                continue;
            }
            census.old_active += usize::from(instance.condition().is_active());
            if instance.goal == Goal::Running {
                old.push((healthy, instance.id.clone()));
            }
        }
        // Those whose health isn't known go before the healthy ones.
        old.sort_unstable();
        census.old = old.into_iter().map(|(_, id)| id).collect();
        census
    }

    /// Looks after an app that no deployment changes: as many instances as it wants, none if there
    /// is no such app.
    pub(crate) fn keep(&mut self, now: Now, app: &PathId, out: &mut Out) {
        match self.root.apps.get(app).map(Arc::clone) {
            Some(spec) => self.keep_count(now, &spec, out),
            None if self.instances.has_any(app) => self.decommission_all(now, app, out),
            None if self.history.contains_key(app) => self.forget(app, out),
            None => {}
        }
    }
}

/// The instances of an app that is being replaced.
#[derive(Debug, Default)]
struct Census {
    /// How many that are to stay count as healthy.
    healthy: usize,
    /// New ones.
    started: usize,
    /// Old ones that take resources.
    old_active: usize,
    /// Old ones that are to stay so far, in the order in which they go.
    old: Vec<InstanceId>,
}

fn count(instances: u32) -> usize {
    usize::try_from(instances).unwrap_or(usize::MAX)
}
