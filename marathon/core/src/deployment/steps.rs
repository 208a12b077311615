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
use crate::instances::tally::Tally;
use crate::instances::{Condition, Goal, Instance, InstanceId, victims};
use crate::path_id::PathId;
use crate::state::{Marathon, Out};

impl Marathon {
    /// What is done once, when the step of an action begins.
    pub(super) fn begin_action(
        &mut self,
        now: Now,
        action: &Action,
        target: Option<&Arc<AppSpec>>,
        out: &mut Out,
    ) {
        if let Some(target) = target {
            self.announce_checks(now, target, out);
            self.retire_checks(now, &action.app, out);
        }
        match &action.kind {
            ActionKind::Start => return,
            ActionKind::Stop => self.end_all_checks(now, &action.app, out),
            ActionKind::Scale { victims } => {
                for victim in victims {
                    self.decommission(now, victim, out);
                }
            }
            ActionKind::Restart => self.forget_delay(&action.app),
        }
        let waits = |instance: &&Arc<Instance>| {
            instance.condition() == Condition::Running && !instance.spec.readiness_checks.is_empty()
        };
        let asked: Vec<_> = self.instances.of(&action.app).filter(waits).cloned().collect();
        for instance in asked {
            self.watch_readiness(now, &instance);
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
        let tally = self.instances.tally(&target.id, ..);
        tally.up == count(target.instances) && tally.ending == 0
    }

    /// Starts instances that an app lacks, ends those that it has too many.
    pub(super) fn keep_count(&mut self, now: Now, target: &Arc<AppSpec>, out: &mut Out) {
        let there = self.instances.tally(&target.id, ..).counted;
        let wanted = count(target.instances);
        if there > wanted {
            let counted = self.instances.of(&target.id).filter(|instance| instance.counts());
            for victim in victims::choose(counted, there - wanted, target.kill_selection) {
                self.decommission(now, &victim, out);
            }
        }
        self.add_instances(now, target, wanted.saturating_sub(there), out);
    }

    /// Replaces the instances of older definitions by those of `target`, within the bounds of its
    /// upgrade strategy. Done when only those are left, and all up.
    fn replace(&mut self, now: Now, target: &Arc<AppSpec>, out: &mut Out) -> bool {
        let wanted = count(target.instances);
        if self.old_tally(target).broken > 0 {
            self.drop_broken(now, target, out);
        }
        let (old, new) = (self.old_tally(target), self.new_tally(target));
        let situation = Situation {
            wanted,
            // An old one was ready long ago; a new one must be, before another goes for it.
            healthy: old.healthy + new.up,
            old: old.wanted,
            started: new.counted,
            resident: false,
        };
        let bounds = Bounds::of(&target.upgrade, situation);
        if bounds.kill_now > 0 {
            for victim in self.old_in_order(target).into_iter().take(bounds.kill_now) {
                self.decommission(now, &victim, out);
            }
        }
        let starts = bounds.may_start(wanted, old.active, new.counted);
        self.add_instances(now, target, starts, out);
        if new.counted > wanted {
            self.drop_surplus(now, target, new.counted - wanted, out);
        }
        let (old, new) = (self.old_tally(target), self.new_tally(target));
        old.all == 0 && new.all == wanted && new.up == wanted
    }

    /// The instances that `target` replaces.
    fn old_tally(&self, target: &AppSpec) -> Tally {
        self.instances.tally(&target.id, ..target.version)
    }

    /// The instances that replace them.
    fn new_tally(&self, target: &AppSpec) -> Tally {
        self.instances.tally(&target.id, target.version..)
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

    /// The old instances that are to run so far, in the order in which they go: those whose health
    /// isn't known before the healthy ones.
    fn old_in_order(&self, target: &AppSpec) -> Vec<InstanceId> {
        let old = self.instances.of(&target.id).filter(|instance| {
            instance.spec.version < target.version && instance.goal == Goal::Running
        });
        let healthy = |instance: &Instance| health::verdict(instance) == Verdict::Healthy;
        let mut order: Vec<(bool, InstanceId)> =
            old.map(|instance| (healthy(instance), instance.id.clone())).collect();
        order.sort_unstable();
        order.into_iter().map(|(_, id)| id).collect()
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

fn count(instances: u32) -> usize {
    usize::try_from(instances).unwrap_or(usize::MAX)
}
