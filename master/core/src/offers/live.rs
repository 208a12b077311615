//! Offers that are out: how they are made, given back, taken back.
//!
//! Invariant: an offer is listed with its framework and with its agent for as long as it lives, and
//! its resources count as offered with both.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use meros_proto::ids::{FrameworkId, MasterId, OfferId};
use meros_proto::time::{Mono, Now};

use crate::allocator::{AllocatorInput, NewOffer, Return};
use crate::arena::{AgentIx, FrameworkIx};
use crate::frameworks::summable;
use crate::input::Filters;
use crate::model::Offer;
use crate::output::SchedulerEvent;
use crate::{Master, Out};

/// An offer that is out.
#[derive(Debug, Clone)]
pub(crate) struct LiveOffer {
    pub(crate) offer: Arc<Offer>,
    pub(crate) framework: FrameworkIx,
    pub(crate) agent: AgentIx,
    made: Mono,
}

/// All offers that are out, by their number, which is the order of their making.
#[derive(Debug)]
pub(crate) struct Offers {
    live: BTreeMap<u64, LiveOffer>,
    minted: u64,
    /// What the id of each begins with: `<master>-O`.
    prefix: String,
}

impl Offers {
    pub(crate) fn new(master: &MasterId) -> Self {
        Self { live: BTreeMap::new(), minted: 0, prefix: format!("{master}-O") }
    }

    pub(crate) fn get(&self, number: u64) -> Option<&LiveOffer> {
        self.live.get(&number)
    }

    /// The number and the offer of this id, if it is out.
    pub(crate) fn find(&self, id: &OfferId) -> Option<(u64, &LiveOffer)> {
        let number = id.as_str().strip_prefix(&self.prefix)?.parse().ok()?;
        let live = self.live.get(&number)?;
        // `O01` and `O+1` read as 1 too.
        (live.offer.id == *id).then_some((number, live))
    }

    /// When the oldest one was made.
    pub(crate) fn oldest(&self) -> Option<(u64, Mono)> {
        self.live.first_key_value().map(|(number, live)| (*number, live.made))
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (u64, &LiveOffer)> {
        self.live.iter().map(|(number, live)| (*number, live))
    }

    fn mint(&mut self) -> (u64, OfferId) {
        let number = self.minted;
        self.minted += 1;
        let id = format!("{}{number}", self.prefix);
        (number, OfferId::parse(&id).expect("a master's id with a number is an id"))
    }
}

impl Master {
    /// Runs a round of the allocator and sends what it offers, in one event for each framework.
    pub(crate) fn allocate(&mut self, now: Now, out: &mut Out) {
        let mut new = Vec::new();
        if self.allocator.round(now, &mut new) {
            self.counters.allocation_runs += 1;
        }
        let mut events: BTreeMap<FrameworkIx, Vec<Arc<Offer>>> = BTreeMap::new();
        for offer in new {
            if let Some((framework, offer)) = self.make_offer(now, offer) {
                events.entry(framework).or_default().push(offer);
            }
        }
        for (framework, offers) in events {
            self.counters.offers_made += offers.len() as u64;
            if let Some(framework) = self.frameworks.all.get(framework) {
                framework.tell(SchedulerEvent::Offers(offers), out);
            }
        }
    }

    fn make_offer(&mut self, now: Now, new: NewOffer) -> Option<(FrameworkIx, Arc<Offer>)> {
        let NewOffer { framework: index, agent: agent_index, role, resources } = new;
        let framework = self.frameworks.all.get_mut(index)?;
        let agent = self.agents.get_mut(agent_index)?;
        let (number, id) = self.offers.mint();
        framework.offers.insert(number);
        framework.offered += summable(&resources);
        agent.offers.insert(number);
        agent.offered += &resources;
        let offer = Arc::new(Offer {
            id,
            framework: framework.id.clone(),
            agent: agent.id.clone(),
            agent_spec: Arc::clone(&agent.spec),
            role,
            resources,
            refined: framework.spec.capabilities.reservation_refinement,
            made: now.wall,
        });
        let live = LiveOffer {
            offer: Arc::clone(&offer),
            framework: index,
            agent: agent_index,
            made: now.mono,
        };
        self.offers.live.insert(number, live);
        Some((index, offer))
    }

    /// Takes an offer out of the books. Its resources are the caller's to place.
    pub(crate) fn take_offer(&mut self, number: u64) -> Option<LiveOffer> {
        let live = self.offers.live.remove(&number)?;
        if let Some(framework) = self.frameworks.all.get_mut(live.framework) {
            framework.offers.remove(&number);
            framework.offered -= &summable(&live.offer.resources);
        }
        if let Some(agent) = self.agents.get_mut(live.agent) {
            agent.offers.remove(&number);
            agent.offered -= &live.offer.resources;
        }
        Some(live)
    }

    /// Takes an offer out of the books and gives its resources back to the allocator.
    pub(crate) fn return_offer(&mut self, now: Now, number: u64, why: Return) -> Option<LiveOffer> {
        let live = self.take_offer(number)?;
        let returned = AllocatorInput::Returned {
            framework: live.framework,
            role: live.offer.role.clone(),
            agent: live.agent,
            resources: live.offer.resources.clone(),
            why,
        };
        self.allocator.handle(now, returned);
        Some(live)
    }

    /// Takes an offer back, and says so.
    pub(crate) fn rescind(&mut self, now: Now, number: u64, out: &mut Out) {
        let Some(live) = self.return_offer(now, number, Return::Withdrawn) else { return };
        self.counters.offers_rescinded += 1;
        if let Some(framework) = self.frameworks.all.get(live.framework) {
            framework.tell(SchedulerEvent::Rescind(live.offer.id.clone()), out);
        }
    }

    /// Takes back all offers of an agent.
    pub(crate) fn rescind_offers_of(&mut self, now: Now, agent: AgentIx, out: &mut Out) {
        let offers = self.agents.get(agent).map(|agent| agent.offers.clone());
        for number in offers.into_iter().flatten() {
            self.rescind(now, number, out);
        }
    }

    /// Takes back all offers to a framework without a word.
    pub(crate) fn discard_offers_to(&mut self, now: Now, framework: FrameworkIx) {
        let offers = self.frameworks.all.get(framework).map(|framework| framework.offers.clone());
        for number in offers.into_iter().flatten() {
            self.return_offer(now, number, Return::Withdrawn);
        }
    }

    /// Takes back all offers.
    pub(crate) fn rescind_all_offers(&mut self, now: Now, out: &mut Out) {
        let offers: Vec<_> = self.offers.live.keys().copied().collect();
        for number in offers {
            self.rescind(now, number, out);
        }
    }

    /// Takes back the offers that are older than `--offer_timeout`.
    pub(crate) fn expire_offers(&mut self, now: Now, out: &mut Out) {
        let Some(timeout) = self.config.offer_timeout else { return };
        while let Some((number, made)) = self.offers.oldest()
            && made + timeout <= now.mono
        {
            self.rescind(now, number, out);
        }
    }

    /// When the oldest offer expires.
    pub(crate) fn next_offer_expiry(&self) -> Option<Mono> {
        let timeout: Duration = self.config.offer_timeout?;
        self.offers.oldest().map(|(_, made)| made + timeout)
    }

    /// DECLINE: each offer that is out and the framework's is returned with the filter.
    pub(crate) fn decline(
        &mut self,
        now: Now,
        from: &FrameworkId,
        ids: &[OfferId],
        filters: Filters,
    ) {
        let why = Return::LeftOver { refuse_for: filters.refuse_for() };
        for id in ids {
            // An unknown one was rescinded while the DECLINE was on its way: that is usual.
            if let Some((number, live)) = self.offers.find(id)
                && live.offer.framework == *from
            {
                self.return_offer(now, number, why);
            }
        }
    }
}
