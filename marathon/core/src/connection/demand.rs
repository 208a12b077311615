//! Which roles want offers: revived as soon as something new waits, suppressed when nothing does.
//!
//! A role is revived at once, and then at most once an interval. A revive may cross with declines
//! that are under way, so it is repeated once, later, if something still waits.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use meros_proto::time::{Mono, Now};

use crate::output::{Call, Effect};
use crate::path_id::PathId;
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
    /// Apps of which something else waits than before, or for other reasons.
    touched: BTreeSet<PathId>,
    /// Apps of which something waits that need not wait for its delay, with its roles.
    launchable: BTreeMap<PathId, BTreeSet<String>>,
    /// How many of those there are of each role.
    wanted: BTreeMap<String, usize>,
}

impl Demand {
    /// Something new waits for an offer to `role`.
    pub(crate) fn refresh(&mut self, role: String) {
        self.fresh.insert(role);
    }

    /// What waits of an app, or its delay, may be another.
    pub(crate) fn touch(&mut self, app: &PathId) {
        if !self.touched.contains(app) {
            self.touched.insert(app.clone());
        }
    }

    /// Apps of which something waits that need not wait for its delay.
    pub(crate) fn launchable(&self) -> impl Iterator<Item = &PathId> {
        self.launchable.keys()
    }

    /// Notes for which roles something of an app waits that need not wait for its delay.
    fn note(&mut self, app: PathId, roles: BTreeSet<String>) {
        for role in self.launchable.remove(&app).into_iter().flatten() {
            if let Some(apps) = self.wanted.get_mut(&role) {
                *apps -= 1;
                if *apps == 0 {
                    self.wanted.remove(&role);
                }
            }
        }
        for role in &roles {
            *self.wanted.entry(role.clone()).or_default() += 1;
        }
        if !roles.is_empty() {
            self.launchable.insert(app, roles);
        }
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
        self.refresh_demand(now);
        let wanted: BTreeSet<String> = self.connection.demand.wanted.keys().cloned().collect();
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
        let idle = self
            .connection
            .roles
            .difference(&wanted)
            .filter(|role| self.config.suppress_offers && !demand.suppressed.contains(*role));
        let suppress: Vec<String> = idle.cloned().collect();
        demand.suppressed.extend(suppress.iter().cloned());
        if !revive.is_empty() {
            out.effect(Effect::Call(Call::Revive { roles: revive }));
        }
        if !suppress.is_empty() {
            out.effect(Effect::Call(Call::Suppress { roles: suppress }));
        }
    }

    /// Looks again at what waits of the apps that something happened to.
    pub(crate) fn refresh_demand(&mut self, now: Now) {
        for app in std::mem::take(&mut self.connection.demand.touched) {
            let waiting = self.instances.waiting(&app).into_iter().flat_map(BTreeMap::values);
            let roles = waiting
                .filter_map(|instances| self.instances.get(instances.first()?))
                .filter(|instance| !self.queue.delays.holds(now.mono, &instance.spec))
                .map(|instance| instance.spec.role.clone())
                .collect();
            self.connection.demand.note(app, roles);
        }
    }
}
