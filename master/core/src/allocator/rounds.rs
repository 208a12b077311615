//! The round: what changed is shown to whom it may interest, in the order of their shares.

use std::borrow::Cow;
use std::collections::BTreeSet;

use meros_proto::resources::{Quantities, Resource, Resources, Role};
use meros_proto::time::Now;
use rand::seq::SliceRandom;

use crate::allocator::agents::Agent;
use crate::allocator::clients::Client;
use crate::allocator::shares::Scope;
use crate::allocator::{Allocator, ClientIx, NewOffer};
use crate::arena::AgentIx;
use crate::model::Capabilities;

/// What of an agent the clients of one role may be offered.
struct Part<'a> {
    role: &'a Role,
    offerable: Cow<'a, Resources>,
    /// It is worth offering, as far as the master is concerned.
    is_enough: bool,
}

impl Allocator {
    /// Offers what can be offered. Looks only at what changed since the last round, so that it
    /// costs nothing while nothing happens; agents come in random order, as in Mesos, lest the
    /// first ones always fill up first.
    ///
    /// Says whether there was anything to look at.
    pub(crate) fn round(&mut self, now: Now, out: &mut Vec<NewOffer>) -> bool {
        for (agent, client) in self.refusals.expire(now.mono) {
            self.candidates.add_pair(agent, client);
        }
        self.revive_due(now.mono);
        self.candidates.release(now.mono);
        if self.candidates.is_empty() {
            return false;
        }
        self.shares.refresh();
        let changed = self.candidates.take();
        for client in &changed.clients {
            if let Some(client) = self.clients.get(*client) {
                self.shares.pick(client.node);
            }
        }
        let everywhere = self.shares.picks();
        let mut agents: Vec<AgentIx> = if everywhere > 0 {
            self.open.iter().copied().collect()
        } else {
            let paired = changed.pairs.keys().copied();
            changed
                .agents
                .iter()
                .copied()
                .chain(paired)
                .collect::<BTreeSet<_>>()
                .into_iter()
                .collect()
        };
        agents.shuffle(&mut self.rng);
        for agent in agents {
            if !self.open.contains(&agent) || self.candidates.is_held(agent) {
                continue;
            }
            if changed.agents.contains(&agent) {
                self.offer(agent, Scope::Wanting, out);
                continue;
            }
            for client in changed.pairs.get(&agent).into_iter().flatten() {
                if let Some(client) = self.clients.get(*client) {
                    self.shares.pick(client.node);
                }
            }
            self.offer(agent, Scope::Picked, out);
            self.shares.unpick_to(everywhere);
        }
        self.shares.unpick_to(0);
        true
    }

    /// Offers an agent until nobody wants what is left of it: once, unless it has reservations.
    fn offer(&mut self, agent: AgentIx, scope: Scope, out: &mut Vec<NewOffer>) {
        while let Some((client, resources)) = self.taker(agent, scope) {
            self.give(client, agent, &resources);
            let Some(client) = self.clients.get(client) else { return };
            let role = client.role.clone();
            let resources = resources.allocated_to(&role);
            out.push(NewOffer { framework: client.framework, agent, role, resources });
            if !self.open.contains(&agent) {
                return;
            }
        }
    }

    /// Who is to be offered the agent, and what of it.
    fn taker(&self, index: AgentIx, scope: Scope) -> Option<(ClientIx, Resources)> {
        let agent = self.agents.get(index)?;
        let refusals = self.refusals.of(index);
        // Clients of one role come one after the other: what they may have is computed once.
        let mut part: Option<Part<'_>> = None;
        self.shares.first(scope, |at| {
            let client = self.clients.get(at)?;
            if part.as_ref().is_none_or(|part| *part.role != client.role) {
                part = Some(self.part_of(agent, &client.role));
            }
            let part = part.as_ref()?;
            let resources = self.cut_for(client, agent, part)?;
            (!refusals.block(at, &resources)).then(|| (at, resources.into_owned()))
        })
    }

    /// What of an agent a role may be offered.
    fn part_of<'a>(&self, agent: &'a Agent, role: &'a Role) -> Part<'a> {
        let offerable = offerable(agent, role);
        let is_enough = is_enough(&offerable, &self.settings.min_allocatable);
        Part { role, offerable, is_enough }
    }

    /// What of its role's part this client may be offered; `None`: nothing.
    fn cut_for<'a>(
        &self,
        client: &Client,
        agent: &Agent,
        part: &'a Part<'_>,
    ) -> Option<Cow<'a, Resources>> {
        let framework = self.frameworks.get(client.framework)?;
        let abilities = &framework.capabilities;
        let knows_gpus = abilities.gpu_resources || !self.settings.filter_gpu_resources;
        let knows_roles = (agent.multi_role || !abilities.multi_role)
            && (agent.hierarchical_role || client.role.parent().is_none());
        if (agent.has_gpus && !knows_gpus) || !knows_roles {
            return None;
        }
        let least = framework.min_allocatable.get(&client.role);
        if !agent.has_special && least.is_none() {
            return part.is_enough.then_some(Cow::Borrowed(&*part.offerable));
        }
        let resources = part.offerable.filter(|one| may_see(abilities, one));
        let least = least.unwrap_or(&self.settings.min_allocatable);
        is_enough(&resources, least).then_some(Cow::Owned(resources))
    }
}

/// What is free on an agent that a role may have. The place where a quota will cut.
fn offerable<'a>(agent: &'a Agent, role: &Role) -> Cow<'a, Resources> {
    match agent.has_reserved {
        true => Cow::Owned(agent.free().for_role(role)),
        false => Cow::Borrowed(agent.free()),
    }
}

/// Whether `resources` hold one of these sets; no set asks for anything at all.
fn is_enough(resources: &Resources, least: &[Quantities]) -> bool {
    let holds = |set: &Quantities| {
        set.iter().all(|(name, amount)| resources.scalar(name.as_str()) >= amount)
    };
    !resources.is_empty() && (least.is_empty() || least.iter().any(holds))
}

/// Whether a framework with these abilities may be shown `one`.
fn may_see(abilities: &Capabilities, one: &Resource) -> bool {
    (abilities.revocable_resources || !one.is_revocable())
        && (abilities.shared_resources || !one.is_shared())
        && (abilities.reservation_refinement || !one.is_refined())
}
