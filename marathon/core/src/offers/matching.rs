//! A round of offers: each is used for what waits, or declined.
//!
//! Offers take turns, and within an offer apps do, in random order, one instance a turn: so the
//! instances of one app come to several agents where several are offered, and one large app doesn't
//! starve the others.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use meros_proto::resources::{Resources, Scalar};
use meros_proto::time::Now;
use meros_proto::v1;
use rand::seq::SliceRandom;

use super::explain::{NoMatch, UnusedOffer};
use super::resources::{self, Need, Taken};
use super::{Maintenance, Offer};
use crate::apps::AppSpec;
use crate::config::GpuScheduling;
use crate::instances::{Condition, Instance, InstanceId, Task};
use crate::output::{Call, Effect};
use crate::placement::{Neighbours, Rules};
use crate::state::{Marathon, Out};
use crate::tasks;
use crate::timers::Timer;

/// What waits of one definition.
struct Candidate {
    spec: Arc<AppSpec>,
    rules: Arc<Rules>,
    /// The number of what it needs: the same for all that need the same.
    need: usize,
    /// Where its others are, once an offer was compared with that.
    neighbours: Option<Neighbours>,
}

/// An offer that is being used.
struct Open {
    offer: Arc<Offer>,
    /// What of it is left.
    free: Resources,
    launches: Vec<Arc<v1::TaskInfo>>,
    /// What is missing of it, for needs that were looked at since it was last used.
    lacks: BTreeMap<usize, Vec<NoMatch>>,
    /// The candidates that may still fit, by their place, in the order of their turns.
    turn: VecDeque<usize>,
    /// Which candidates it was used for.
    used_for: BTreeSet<usize>,
}

impl Open {
    fn of(offer: Offer, candidates: &[Candidate]) -> Self {
        let suits = |candidate: &Candidate| candidate.spec.role == offer.role;
        Self {
            free: offer.resources.clone(),
            launches: Vec::new(),
            lacks: BTreeMap::new(),
            turn: (0..candidates.len()).filter(|at| suits(&candidates[*at])).collect(),
            used_for: BTreeSet::new(),
            offer: Arc::new(offer),
        }
    }
}

impl Marathon {
    /// Uses or declines all offers of this batch.
    pub(crate) fn match_offers(&mut self, now: Now, out: &mut Out) {
        if self.offers.is_empty() {
            return;
        }
        let offers = std::mem::take(&mut self.offers);
        if !self.connection.is_up() {
            return; // They went with the connection.
        }
        let mut candidates = self.candidates(now);
        candidates.shuffle(&mut self.chance.matching);
        let mut open: VecDeque<Open> =
            offers.into_iter().map(|offer| Open::of(offer, &candidates)).collect();
        let mut closed = Vec::new();
        while let Some(mut offer) = open.pop_front() {
            match self.use_offer(now, &mut offer, &mut candidates, out) {
                true => open.push_back(offer),
                false => closed.push(offer),
            }
        }
        let refuse = self.refuse_rest(&candidates);
        let (mut unwanted, mut for_later) = (Vec::new(), Vec::new());
        for Open { offer, launches, used_for, .. } in closed {
            for candidate in used_for.into_iter().map(|at| &candidates[at]) {
                self.tell_queue(&candidate.spec, |stats| stats.used(&offer.agent.id, now.wall));
            }
            let id = offer.id.clone();
            if !launches.is_empty() {
                out.effect(Effect::Call(Call::Accept { offer: id, launches, refuse }));
            } else if refuse.is_some() {
                unwanted.push(id);
            } else {
                for_later.push(id);
            }
        }
        for (offers, refuse) in [(unwanted, Some(self.config.decline_offer)), (for_later, None)] {
            if !offers.is_empty() {
                out.effect(Effect::Call(Call::Decline { offers, refuse }));
            }
        }
    }

    /// How long what is left of an offer isn't wanted. `None`, Mesos's default: more would be
    /// launched on it, if there were launch tokens.
    fn refuse_rest(&self, candidates: &[Candidate]) -> Option<std::time::Duration> {
        let held_up = self.queue.tokens == 0
            && candidates.iter().any(|candidate| self.next_waiting(&candidate.spec).is_some());
        (!held_up).then_some(self.config.decline_offer)
    }

    /// What waits and need not wait for its delay, by definition.
    fn candidates(&mut self, now: Now) -> Vec<Candidate> {
        let launchable: Vec<_> = self.connection.demand.launchable().cloned().collect();
        let mut candidates = Vec::new();
        let mut needs: BTreeMap<Need, usize> = BTreeMap::new();
        for app in launchable {
            let waiting = self.instances.waiting(&app).into_iter().flat_map(BTreeMap::values);
            let specs: Vec<Arc<AppSpec>> = waiting
                .filter_map(|instances| self.instances.get(instances.first()?))
                .map(|instance| Arc::clone(&instance.spec))
                .collect();
            for spec in specs {
                if !self.queue.delays.holds(now.mono, &spec) {
                    let rules = self.queue.rules_of(&spec);
                    let numbered = needs.len();
                    let need = Need::of(&spec, self.config.accepted_roles);
                    let need = *needs.entry(need).or_insert(numbered);
                    candidates.push(Candidate { spec, rules, need, neighbours: None });
                }
            }
        }
        candidates
    }

    /// The next instance of a definition that waits for an offer.
    fn next_waiting(&self, spec: &AppSpec) -> Option<&InstanceId> {
        self.instances.waiting(&spec.id)?.get(&spec.version)?.first()
    }

    /// Launches one instance on an offer. False: nothing more will fit on it.
    fn use_offer(
        &mut self,
        now: Now,
        open: &mut Open,
        candidates: &mut [Candidate],
        out: &mut Out,
    ) -> bool {
        while open.launches.len() < self.config.max_instances_per_offer && self.queue.tokens > 0 {
            let Some(at) = open.turn.pop_front() else { return false };
            let candidate = &mut candidates[at];
            let Some(id) = self.next_waiting(&candidate.spec).cloned() else { continue };
            match self.fits(now, open, candidate) {
                Ok(taken) => {
                    open.free -= &taken.resources;
                    open.lacks.clear();
                    open.used_for.insert(at);
                    open.turn.push_back(at);
                    if let Some(neighbours) = &mut candidate.neighbours {
                        candidate.rules.add(neighbours, &open.offer.agent);
                    }
                    open.launches.extend(self.launch(now, &id, &open.offer, taken, out));
                    return true;
                }
                Err(reasons) if !open.used_for.contains(&at) => {
                    let offer = Arc::clone(&open.offer);
                    let unused = UnusedOffer { offer, reasons, at: now.wall };
                    self.tell_queue(&candidate.spec, |stats| stats.not_used(unused));
                }
                Err(_) => {}
            }
        }
        false
    }

    /// What an instance of a candidate would take of an offer, or why it doesn't suit.
    fn fits(
        &mut self,
        now: Now,
        open: &mut Open,
        candidate: &mut Candidate,
    ) -> Result<Taken, Vec<NoMatch>> {
        let Candidate { spec, rules, need, neighbours } = candidate;
        let offer = &*open.offer;
        let home = self.connection.master.as_ref().and_then(|master| master.region.as_deref());
        // Those of an older configuration go soon: they don't count.
        let placed = || {
            let current = spec.version_info.last_config_change;
            let others = self.instances.of(&spec.id);
            rules.neighbours(others.filter(|other| other.spec.version >= current).map(|o| &**o))
        };
        let mut reasons = Vec::new();
        if rules.is_too_remote(&offer.agent, home)
            || rules.broken(&offer.agent, neighbours.get_or_insert_with(placed)).is_some()
        {
            reasons.push(NoMatch::UnfulfilledConstraint);
        }
        let avoided = |window: Maintenance| window.is_on(now.wall, self.config.draining);
        if self.config.maintenance_mode && offer.maintenance.is_some_and(avoided) {
            reasons.push(NoMatch::AgentMaintenance);
        }
        if self.config.gpu_scheduling == GpuScheduling::Restricted && is_kept_for_gpus(offer, spec)
        {
            reasons.push(NoMatch::DeclinedScarceResources);
        }
        let (roles, chance) = (self.config.accepted_roles, &mut self.chance.ports);
        let taken = match open.lacks.get(need) {
            Some(missing) => Err(missing.clone()),
            None => resources::take(&open.free, spec, roles, chance),
        };
        match taken {
            Ok(taken) if reasons.is_empty() => Ok(taken),
            Ok(_) => Err(reasons),
            Err(missing) => {
                reasons.extend_from_slice(&missing);
                open.lacks.insert(*need, missing);
                reasons.sort_unstable();
                Err(reasons)
            }
        }
    }

    /// Gives a waiting instance its next task, on record before it is accepted.
    fn launch(
        &mut self,
        now: Now,
        id: &InstanceId,
        offer: &Offer,
        taken: Taken,
        out: &mut Out,
    ) -> Option<Arc<v1::TaskInfo>> {
        let mut instance = Instance::clone(self.instances.get(id)?);
        instance.incarnation += 1;
        instance.since = now.wall;
        let task = Task {
            id: id.task(instance.incarnation),
            condition: Condition::Provisioned,
            agent: offer.agent.clone(),
            ports: taken.ports,
            staged_at: now.wall,
            started_at: None,
            unreachable_since: None,
            agent_healthy: None,
            addresses: Vec::new(),
            check: None,
            health: Vec::new(),
            readiness: Vec::new(),
            run_time: None,
        };
        let info = tasks::task_info(&tasks::Launch {
            spec: &instance.spec,
            task: &task,
            resources: &taken.resources,
            env_prefix: &self.config.env_prefix,
            enforces_role: self.root.enforces_role(id.app()),
        });
        instance.task = Some(task);
        let instance = Arc::new(instance);
        self.store(now, &instance, out);
        self.watch_launch(now, &instance);
        self.launch_went_on(now, &instance.spec);
        self.queue.tokens -= 1;
        self.timers.set_once(Timer::RefillTokens, now.mono + self.config.launch_token_refresh);
        Some(Arc::new(info))
    }

    fn tell_queue(&mut self, spec: &AppSpec, tell: impl FnOnce(&mut super::explain::OfferStats)) {
        self.snapshot = None;
        if let Some((_, stats)) = self.queue.stats.get_mut(&spec.id) {
            tell(Arc::make_mut(stats));
        }
    }
}

/// Whether an agent has GPUs, and the app neither needs them nor asks to be let in all the same
/// (`--gpu_scheduling_behavior restricted`).
fn is_kept_for_gpus(offer: &Offer, spec: &AppSpec) -> bool {
    let asks = spec.labels.get("GPU_SCHEDULING_BEHAVIOR").is_some_and(|how| how == "unrestricted");
    spec.gpus == 0 && !asks && offer.resources.gpus() > Scalar::ZERO
}
