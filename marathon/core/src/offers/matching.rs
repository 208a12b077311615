//! A round of offers: each is used for what waits, or declined.
//!
//! Offers take turns, and within an offer apps do, in random order, one instance a turn: so the
//! instances of one app come to several agents where several are offered, and one large app doesn't
//! starve the others.

use std::collections::VecDeque;
use std::sync::Arc;

use meros_proto::resources::{Resources, Scalar};
use meros_proto::time::Now;
use meros_proto::v1;
use rand::seq::SliceRandom;

use super::Offer;
use super::explain::{NoMatch, UnusedOffer};
use super::resources::{self, Taken};
use crate::apps::AppSpec;
use crate::instances::{Condition, Instance, InstanceId, Task};
use crate::output::{Call, Effect};
use crate::placement::Rules;
use crate::state::{Marathon, Out};
use crate::tasks;
use crate::timers::Timer;

/// Instances of one definition that wait.
struct Candidate {
    spec: Arc<AppSpec>,
    waiting: VecDeque<InstanceId>,
}

/// An offer that is being used.
struct Open {
    offer: Arc<Offer>,
    /// What of it is left.
    free: Resources,
    launches: Vec<Arc<v1::TaskInfo>>,
    /// The candidates that may still fit, by their place, in the order of their turns.
    turn: VecDeque<usize>,
    /// Which candidates it was used for.
    used_for: Vec<bool>,
}

impl Open {
    fn of(offer: Offer, candidates: &[Candidate]) -> Self {
        let suits = |candidate: &Candidate| candidate.spec.role == offer.role;
        Self {
            free: offer.resources.clone(),
            launches: Vec::new(),
            turn: (0..candidates.len()).filter(|at| suits(&candidates[*at])).collect(),
            used_for: vec![false; candidates.len()],
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
        let specs: Vec<_> =
            candidates.iter().map(|candidate| Arc::clone(&candidate.spec)).collect();
        let rules: Vec<_> = specs.iter().map(|spec| Rules::of(spec)).collect();
        let mut open: VecDeque<Open> =
            offers.into_iter().map(|offer| Open::of(offer, &candidates)).collect();
        let mut closed = Vec::new();
        while let Some(mut offer) = open.pop_front() {
            match self.use_offer(now, &mut offer, &mut candidates, &rules, out) {
                true => open.push_back(offer),
                false => closed.push(offer),
            }
        }
        let refuse = self.refuse_rest(&candidates);
        let (mut unwanted, mut for_later) = (Vec::new(), Vec::new());
        for Open { offer, launches, used_for, .. } in closed {
            for (candidate, _) in candidates.iter().zip(used_for).filter(|(_, used)| *used) {
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
            && candidates.iter().any(|candidate| !candidate.waiting.is_empty());
        (!held_up).then_some(self.config.decline_offer)
    }

    /// What waits and need not wait for its delay, by definition.
    fn candidates(&self, now: Now) -> Vec<Candidate> {
        let mut candidates: Vec<Candidate> = Vec::new();
        for waiting in self.instances.scheduled().values() {
            let first = candidates.len();
            for instance in waiting.iter().filter_map(|id| self.instances.get(id)) {
                let spec = &instance.spec;
                if self.queue.delays.holds(now.mono, spec) {
                    continue;
                }
                let known = candidates[first..]
                    .iter_mut()
                    .find(|candidate| candidate.spec.version == spec.version);
                match known {
                    Some(candidate) => candidate.waiting.push_back(instance.id.clone()),
                    None => candidates.push(Candidate {
                        spec: Arc::clone(spec),
                        waiting: [instance.id.clone()].into(),
                    }),
                }
            }
        }
        candidates
    }

    /// Launches one instance on an offer. False: nothing more will fit on it.
    fn use_offer(
        &mut self,
        now: Now,
        open: &mut Open,
        candidates: &mut [Candidate],
        rules: &[Rules<'_>],
        out: &mut Out,
    ) -> bool {
        while open.launches.len() < self.config.max_instances_per_offer && self.queue.tokens > 0 {
            let Some(at) = open.turn.pop_front() else { return false };
            let candidate = &mut candidates[at];
            if candidate.waiting.is_empty() {
                continue;
            }
            match self.fits(now, &open.offer, &open.free, &candidate.spec, &rules[at]) {
                Ok(taken) => {
                    let Some(id) = candidate.waiting.pop_front() else { continue };
                    open.free -= &taken.resources;
                    open.used_for[at] = true;
                    open.turn.push_back(at);
                    open.launches.extend(self.launch(now, &id, &open.offer, taken, out));
                    return true;
                }
                Err(reasons) if !open.used_for[at] => {
                    let offer = Arc::clone(&open.offer);
                    let unused = UnusedOffer { offer, reasons, at: now.wall };
                    self.tell_queue(&candidate.spec, |stats| stats.not_used(unused));
                }
                Err(_) => {}
            }
        }
        false
    }

    /// What an instance of `spec` would take of `free`, or why it doesn't suit.
    fn fits(
        &mut self,
        now: Now,
        offer: &Offer,
        free: &Resources,
        spec: &AppSpec,
        rules: &Rules<'_>,
    ) -> Result<Taken, Vec<NoMatch>> {
        let taken = resources::take(free, spec, self.config.accepted_roles, &mut self.chance.ports);
        let mut reasons = Vec::new();
        if !rules.is_empty() {
            // Those of an older configuration go soon: they don't count.
            let placed = self
                .instances
                .of(&spec.id)
                .filter(|other| {
                    other.task.is_some()
                        && other.spec.version >= spec.version_info.last_config_change
                })
                .map(|other| &**other);
            if rules.broken(&offer.agent, placed).is_some() {
                reasons.push(NoMatch::UnfulfilledConstraint);
            }
        }
        if offer.maintenance.is_some_and(|window| window.is_on(now.wall)) {
            reasons.push(NoMatch::AgentMaintenance);
        }
        if is_kept_for_gpus(offer, spec) {
            reasons.push(NoMatch::DeclinedScarceResources);
        }
        match taken {
            Ok(taken) if reasons.is_empty() => Ok(taken),
            Ok(_) => Err(reasons),
            Err(missing) => {
                reasons.extend(missing);
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
            healthy: None,
            addresses: Vec::new(),
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
