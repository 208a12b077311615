//! Which roles want offers: revived as soon as something new waits, suppressed when nothing does.
//!
//! A role is revived at once, and then at most once an interval. A revive may cross with declines
//! that are under way, so it is repeated once, later, if something still waits.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use meros_proto::time::{Mono, Now};

use crate::output::{Call, Effect};
use crate::state::{Marathon, Out};
use crate::timers::Timer;

/// How long after a revive it is repeated.
const AGAIN_AFTER: Duration = Duration::from_secs(5);

/// What each role wants.
#[derive(Debug, Default)]
pub(crate) struct Demand {
    /// Roles for which something new waits, or what was refused is wanted again.
    fresh: BTreeSet<String>,
    /// When each role was last revived.
    revived: BTreeMap<String, Mono>,
    suppressed: BTreeSet<String>,
    /// Roles whose next revive is the repetition of one.
    repeated: BTreeSet<String>,
}

impl Demand {
    /// Something new waits for an offer to `role`.
    pub(crate) fn refresh(&mut self, role: String) {
        self.fresh.insert(role);
    }

    /// All offers are wanted again, refused ones too.
    pub(crate) fn refresh_all(&mut self) {
        self.fresh.extend(self.revived.keys().cloned());
    }

    /// A role was revived a while ago: it is again, if something still waits.
    pub(crate) fn repeat(&mut self, role: String) {
        self.repeated.insert(role.clone());
        self.fresh.insert(role);
    }

    /// The master may be another: it was told of nothing.
    pub(super) fn start_over(&mut self, roles: BTreeSet<String>) {
        self.suppressed.clear();
        self.revived.clear();
        self.fresh = roles;
    }

    pub(super) fn suppressed(&self) -> Vec<String> {
        self.suppressed.iter().cloned().collect()
    }
}

impl Marathon {
    /// Revives the roles for which something new waits, suppresses those for which nothing does.
    pub(crate) fn revive_or_suppress(&mut self, now: Now, out: &mut Out) {
        if !self.connection.is_up() {
            return;
        }
        let wanted = self.wanted_roles(now);
        let demand = &mut self.connection.demand;
        let fresh = std::mem::take(&mut demand.fresh);
        let repeated = std::mem::take(&mut demand.repeated);
        let mut revive = Vec::new();
        for role in &wanted {
            if !fresh.contains(role) && !demand.suppressed.contains(role) {
                continue;
            }
            let next = demand.revived.get(role).map(|at| *at + self.config.min_revive_interval);
            if let Some(next) = next.filter(|next| *next > now.mono) {
                demand.fresh.insert(role.clone());
                self.timers.set(Timer::Revive(role.clone()), next);
                continue;
            }
            if !repeated.contains(role) {
                self.timers.set(Timer::ReviveAgain(role.clone()), now.mono + AGAIN_AFTER);
            }
            demand.revived.insert(role.clone(), now.mono);
            demand.suppressed.remove(role);
            revive.push(role.clone());
        }
        let idle = self.connection.roles.difference(&wanted);
        let suppress: Vec<String> =
            idle.filter(|role| !demand.suppressed.contains(*role)).cloned().collect();
        demand.suppressed.extend(suppress.iter().cloned());
        if !revive.is_empty() {
            out.effect(Effect::Call(Call::Revive { roles: revive }));
        }
        if !suppress.is_empty() {
            out.effect(Effect::Call(Call::Suppress { roles: suppress }));
        }
    }

    /// The roles that something waits for that need not wait for its delay.
    fn wanted_roles(&self, now: Now) -> BTreeSet<String> {
        let mut wanted = BTreeSet::new();
        for waiting in self.instances.scheduled().values() {
            let mut launchable = waiting
                .iter()
                .filter_map(|id| self.instances.get(id))
                .filter(|instance| !self.queue.delays.holds(now.mono, &instance.spec));
            // All instances of an app have one role, but for a moment when it changes.
            if let Some(instance) = launchable.next() {
                wanted.insert(instance.spec.role.clone());
            }
        }
        wanted
    }
}
