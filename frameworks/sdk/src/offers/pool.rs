//! The offers at hand.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use meros_proto::ids::{AgentId, OfferId};
use meros_proto::resources::Role;
use meros_proto::time::Mono;
use meros_proto::v1;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tracing::warn;

use super::bucket::Bucket;
use super::offer::{Offer, Returned, Returns, State};
use super::roles::Demand;

/// How long to hold, how long to refuse, how often to revive.
#[derive(Debug, Clone)]
pub struct Policy {
    /// An offer that nobody took is declined after this. Default 5 s.
    pub hold_for: Duration,
    /// For how long the like of a declined offer isn't wanted. Default 5 s, Mesos's own.
    pub refuse_for: Duration,
    /// The same, for an offer that came while nothing was wanted. Default 120 s; a REVIVE ends it.
    pub refuse_idle_for: Duration,
    /// By which part of itself a refusal is made longer or shorter at random, so that not all come
    /// back at once. Default 0.2.
    pub jitter: f64,
    /// A REVIVE at most so often. Default 1 s.
    pub revive_every: Duration,
    /// How many of them at once. Default 3.
    pub revive_burst: u32,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            hold_for: Duration::from_secs(5),
            refuse_for: Duration::from_secs(5),
            refuse_idle_for: Duration::from_secs(120),
            jitter: 0.2,
            revive_every: Duration::from_secs(1),
            revive_burst: 3,
        }
    }
}

/// What the pool wants said to the master.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Directive {
    /// Give these back.
    Decline {
        /// The offers.
        offers: Vec<OfferId>,
        /// For how long the like isn't wanted.
        refuse_for: Duration,
    },
    /// No more offers for this role.
    Suppress(Role),
    /// Offers for this role again, whatever was refused before.
    Revive(Role),
}

/// Holds offers. See the [module](super).
///
/// Invariant: every offer that came in is held, out with somebody, or was declined, used or
/// taken back by the master.
#[derive(Debug)]
pub struct Pool {
    policy: Policy,
    held: BTreeMap<OfferId, (Mono, Offer)>,
    /// What was taken and has not ended yet.
    out: BTreeMap<OfferId, Taken>,
    returns: Returns,
    roles: BTreeMap<Role, Demand>,
    bucket: Bucket,
    /// Offers that were dropped, or couldn't be read.
    refused: Vec<OfferId>,
    rng: StdRng,
}

/// An offer that somebody took.
#[derive(Debug)]
struct Taken {
    role: Role,
    agent: AgentId,
    state: Arc<State>,
}

impl Pool {
    /// An empty pool of a framework with `roles`. Something is wanted for each until
    /// [`Pool::want`] says otherwise.
    pub fn new(policy: Policy, roles: impl IntoIterator<Item = Role>, seed: u64) -> Self {
        Self {
            bucket: Bucket::new(policy.revive_every, policy.revive_burst),
            policy,
            held: BTreeMap::new(),
            out: BTreeMap::new(),
            returns: Returns::default(),
            roles: roles.into_iter().map(|role| (role, Demand::new(1, false))).collect(),
            refused: Vec::new(),
            rng: StdRng::seed_from_u64(seed),
        }
    }

    /// Begins anew: a subscription was made, or is lost. All offers of the one before are void.
    /// `suppressed` are the roles that the subscription named as such.
    pub fn restart(&mut self, suppressed: &[Role]) {
        for taken in std::mem::take(&mut self.out).into_values() {
            taken.state.revoke();
        }
        for (_, offer) in self.held.values() {
            offer.state().revoke();
        }
        // Whatever still comes back to the old list concerns the old subscription.
        self.returns = Arc::new(Mutex::default());
        self.held.clear();
        self.refused.clear();
        for (role, demand) in &mut self.roles {
            *demand = Demand::new(demand.wanted(), suppressed.contains(role));
        }
    }

    /// Takes in what the master offers.
    pub fn add(&mut self, now: Mono, offers: Vec<v1::Offer>) {
        for message in offers {
            let id = OfferId::from_proto(message.id.as_ref());
            match (Offer::read(message, &self.returns), id) {
                (Ok(offer), _) => {
                    self.roles.entry(offer.role().clone()).or_insert(Demand::new(1, false));
                    self.held.insert(offer.id().clone(), (now, offer));
                }
                (Err(error), Ok(id)) => {
                    warn!(offer = %id, %error, "an offer can't be read");
                    self.refused.push(id);
                }
                (Err(error), Err(_)) => warn!(%error, "an offer can't be read, nor declined"),
            }
        }
    }

    /// The master took an offer back.
    pub fn rescind(&mut self, id: &OfferId) {
        if let Some((_, offer)) = self.held.remove(id) {
            offer.state().revoke();
        }
        if let Some(taken) = self.out.get(id) {
            taken.state.revoke();
        }
    }

    /// An agent is gone, and with it what it offered.
    pub fn agent_lost(&mut self, agent: &AgentId) {
        self.held.retain(|_, (_, offer)| {
            let gone = offer.agent() == agent;
            if gone {
                offer.state().revoke();
            }
            !gone
        });
        for taken in self.out.values().filter(|taken| taken.agent == *agent) {
            taken.state.revoke();
        }
    }

    /// Says how much is wanted for `role`: 0 stops its offers, more than before brings back those
    /// that were refused.
    pub fn want(&mut self, role: &Role, amount: u64) {
        match self.roles.get_mut(role) {
            Some(demand) => demand.want(amount),
            None => {
                self.roles.insert(role.clone(), Demand::new(amount, false));
            }
        }
    }

    /// The offers that are held.
    pub fn iter(&self) -> impl Iterator<Item = &Offer> {
        self.held.values().map(|(_, offer)| offer)
    }

    /// Takes an offer out. Use it, or drop it to decline it.
    pub fn take(&mut self, id: &OfferId) -> Option<Offer> {
        let (_, offer) = self.held.remove(id)?;
        let taken = Taken {
            role: offer.role().clone(),
            agent: offer.agent().clone(),
            state: offer.state(),
        };
        self.out.insert(id.clone(), taken);
        Some(offer)
    }

    /// Takes all offers out for which something is wanted.
    pub fn take_wanted(&mut self) -> Vec<Offer> {
        let wanted: Vec<OfferId> = self
            .iter()
            .filter(|offer| self.is_wanted(offer.role()))
            .map(|offer| offer.id().clone())
            .collect();
        wanted.iter().filter_map(|id| self.take(id)).collect()
    }

    fn is_wanted(&self, role: &Role) -> bool {
        self.roles.get(role).is_none_or(|demand| demand.wanted() > 0)
    }

    /// What is to be said to the master now.
    pub fn round(&mut self, now: Mono) -> Vec<Directive> {
        let mut directives = Vec::new();
        self.collect();
        let (idle, stale) = self.expire(now);
        let mut refused = std::mem::take(&mut self.refused);
        refused.extend(stale);
        for (offers, span) in
            [(refused, self.policy.refuse_for), (idle, self.policy.refuse_idle_for)]
        {
            if !offers.is_empty() {
                let refuse_for = self.jittered(span);
                directives.push(Directive::Decline { offers, refuse_for });
            }
        }
        for (role, demand) in &mut self.roles {
            if demand.suppress() {
                directives.push(Directive::Suppress(role.clone()));
            } else if demand.wants_revive() && self.bucket.take(now) {
                demand.revived();
                directives.push(Directive::Revive(role.clone()));
            }
        }
        directives
    }

    /// When [`Pool::round`] has something to say again, if nothing happens before.
    pub fn deadline(&self) -> Option<Mono> {
        let stale = self.held.values().map(|(since, _)| *since + self.policy.hold_for).min();
        let revive = self.roles.values().any(Demand::wants_revive);
        let revive = if revive { self.bucket.ready_at() } else { None };
        stale.into_iter().chain(revive).min()
    }

    /// Takes the held offers out that are of no use: those nothing is wanted for, and old ones.
    fn expire(&mut self, now: Mono) -> (Vec<OfferId>, Vec<OfferId>) {
        let (mut idle, mut stale) = (Vec::new(), Vec::new());
        for (id, (since, offer)) in &self.held {
            if !self.is_wanted(offer.role()) {
                idle.push(id.clone());
            } else if *since + self.policy.hold_for <= now {
                stale.push(id.clone());
            }
        }
        for id in idle.iter().chain(&stale) {
            if let Some((_, offer)) = self.held.remove(id)
                && let Some(demand) = self.roles.get_mut(offer.role())
            {
                demand.refused();
            }
        }
        (idle, stale)
    }

    /// Takes in what became of the offers that were out. Those that weren't taken, and were
    /// dropped by the pool itself, are no news.
    fn collect(&mut self) {
        let mut returns = self.returns.lock().unwrap_or_else(PoisonError::into_inner);
        for (id, how) in returns.drain(..) {
            let Some(taken) = self.out.remove(&id) else { continue };
            // What is left over of a used offer is refused too.
            if let Some(demand) = self.roles.get_mut(&taken.role) {
                demand.refused();
            }
            if how == Returned::Dropped && !taken.state.is_void() {
                self.refused.push(id);
            }
        }
    }

    fn jittered(&mut self, span: Duration) -> Duration {
        let jitter = self.policy.jitter.clamp(0.0, 1.0);
        span.mul_f64(1.0 + jitter * (self.rng.random::<f64>() * 2.0 - 1.0))
    }
}

#[cfg(test)]
mod tests;
