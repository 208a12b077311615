//! Agents, and what is free on them.

use std::collections::BTreeMap;

use meros_proto::resources::{Resources, Role};
use meros_proto::time::Mono;

use crate::allocator::{Allocator, ClientIx, Return};
use crate::arena::{AgentIx, FrameworkIx};

/// An agent as the allocator knows it. Its books are kept without allocation roles.
#[derive(Debug)]
pub(crate) struct Agent {
    total: Resources,
    /// What each client was given here, offered or used.
    given: BTreeMap<ClientIx, Resources>,
    free: Resources,
    /// It came back smaller than what runs on it: nothing is free until enough has ended.
    is_overfull: bool,
    pub(super) is_active: bool,
    pub(super) has_gpus: bool,
    pub(super) has_special: bool,
    pub(super) has_reserved: bool,
    pub(super) multi_role: bool,
    pub(super) hierarchical_role: bool,
}

impl Agent {
    pub(super) fn new(total: Resources, multi_role: bool, hierarchical_role: bool) -> Self {
        let mut agent = Self {
            total: Resources::new(),
            given: BTreeMap::new(),
            free: Resources::new(),
            is_overfull: false,
            is_active: false,
            has_gpus: false,
            has_special: false,
            has_reserved: false,
            multi_role,
            hierarchical_role,
        };
        agent.set_total(total);
        agent
    }

    pub(super) fn free(&self) -> &Resources {
        &self.free
    }

    pub(super) fn total(&self) -> &Resources {
        &self.total
    }

    pub(super) fn given(&self) -> &BTreeMap<ClientIx, Resources> {
        &self.given
    }

    fn set_total(&mut self, total: Resources) {
        self.has_gpus = !total.gpus().is_zero();
        self.has_special =
            total.iter().any(|one| one.is_revocable() || one.is_shared() || one.is_refined());
        self.has_reserved = total.iter().any(|one| !one.is_unreserved());
        self.total = total;
        self.recount();
    }

    fn give(&mut self, client: ClientIx, resources: &Resources) {
        *self.given.entry(client).or_default() += resources;
        if !self.free.try_subtract(resources) {
            self.recount();
        }
    }

    /// Takes back what is really there of `resources`, and says what that was.
    fn take_back(&mut self, client: ClientIx, resources: &Resources) -> Resources {
        let Some(given) = self.given.get_mut(&client) else { return Resources::new() };
        let returned = match given.try_subtract(resources) {
            true => resources.clone(),
            false => {
                let rest = given.clone() - resources;
                std::mem::replace(given, rest.clone()) - &rest
            }
        };
        if given.is_empty() {
            self.given.remove(&client);
        }
        match self.is_overfull {
            true => self.recount(),
            false => self.free += &returned,
        }
        returned
    }

    fn allocated(&self) -> Resources {
        self.given.values().sum()
    }

    fn recount(&mut self) {
        let allocated = self.allocated();
        self.is_overfull = !self.total.contains(&allocated);
        self.free = self.total.clone() - &allocated;
    }

    fn is_open(&self) -> bool {
        self.is_active && !self.free.is_empty()
    }

    /// What is wrong with its books, if anything.
    pub(super) fn broken(&self) -> Option<String> {
        let (free, allocated) = (&self.free, self.allocated());
        if self.is_overfull == self.total.contains(&allocated) {
            return Some(format!("overfull: {}, with {allocated}", self.is_overfull));
        }
        let sum = allocated.clone() + free;
        (!self.is_overfull && sum != self.total)
            .then(|| format!("{free} free + {allocated} allocated != {}", self.total))
    }
}

impl Allocator {
    pub(super) fn add_agent(&mut self, index: AgentIx, agent: Agent) {
        self.shares.grow(&agent.total.quantities());
        self.agents.insert_at(index, agent);
    }

    pub(super) fn change_agent(&mut self, index: AgentIx, total: Resources) {
        let Some(agent) = self.agents.get_mut(index) else { return };
        self.shares.shrink(&agent.total.quantities());
        self.shares.grow(&total.quantities());
        agent.set_total(total);
        self.refusals.clear_agent(index);
        self.grew(index);
    }

    pub(super) fn activate_agent(&mut self, index: AgentIx) {
        let Some(agent) = self.agents.get_mut(index) else { return };
        agent.is_active = true;
        self.grew(index);
    }

    pub(super) fn deactivate_agent(&mut self, index: AgentIx) {
        let Some(agent) = self.agents.get_mut(index) else { return };
        agent.is_active = false;
        self.open.remove(&index);
        self.candidates.forget_agent(index);
    }

    pub(super) fn remove_agent(&mut self, index: AgentIx) {
        self.refusals.clear_agent(index);
        self.candidates.forget_agent(index);
        self.open.remove(&index);
        let Some(agent) = self.agents.remove(index) else { return };
        self.shares.shrink(&agent.total.quantities());
        for (client, given) in &agent.given {
            if let Some(client) = self.clients.get(*client) {
                self.shares.take_back(client.node, &given.quantities());
            }
        }
    }

    pub(super) fn claim(
        &mut self,
        framework: FrameworkIx,
        role: &Role,
        agent: AgentIx,
        resources: &Resources,
    ) {
        let client = self.client_of(framework, role);
        self.give(client, agent, &resources.unallocated());
    }

    /// Books `resources`, without allocation role, as given to `client`.
    pub(super) fn give(&mut self, client: ClientIx, index: AgentIx, resources: &Resources) {
        let Some(agent) = self.agents.get_mut(index) else { return };
        agent.give(client, resources);
        if !agent.is_open() {
            self.open.remove(&index);
        }
        if let Some(client) = self.clients.get(client) {
            self.shares.give(client.node, &resources.quantities());
        }
    }

    pub(super) fn take_back(
        &mut self,
        now: Mono,
        framework: FrameworkIx,
        role: &Role,
        index: AgentIx,
        resources: &Resources,
        why: Return,
    ) {
        let Some(client) = self.known_client(framework, role) else { return };
        let Some(agent) = self.agents.get_mut(index) else { return };
        let returned = agent.take_back(client, &resources.unallocated());
        if returned.is_empty() {
            return;
        }
        if let Some(client) = self.clients.get(client) {
            self.shares.take_back(client.node, &returned.quantities());
        }
        match why {
            Return::Withdrawn => self.grew(index),
            Return::LeftOver { refuse_for } => {
                let interval = self.settings.interval;
                self.refusals.add(now, index, client, returned, refuse_for, interval);
                self.grew(index);
            }
            Return::Ended => {
                self.refusals.end_holds(index);
                let (quiet, longest) =
                    (self.settings.release_quiet, self.settings.release_held_max);
                self.grew(index);
                self.candidates.hold(now, index, quiet, longest);
            }
        }
    }

    /// The agent may have something to offer that it hadn't.
    fn grew(&mut self, index: AgentIx) {
        if self.agents.get(index).is_some_and(Agent::is_open) {
            self.open.insert(index);
            self.candidates.add_agent(index);
        } else {
            self.open.remove(&index);
        }
    }
}
