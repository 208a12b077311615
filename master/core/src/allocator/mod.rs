//! Decides which framework is offered which resources.
//!
//! A pure state machine: it reads no clock and never waits. Start at [`Allocator::handle`], which
//! takes in what happened, and [`Allocator::round`], which offers. Who comes first is in
//! [`shares`], refusals are in [`filters`], what a round looks at in [`candidates`]. An agent is
//! offered whole, to the first who may have it: nothing is split.
//!
//! Quota is not built: its place is `offerable` in [`rounds`], which will cut an agent's free
//! resources to a role's limit, and a first pass of [`Allocator::round`] over the roles whose
//! guarantees are open.
//!
//! Invariant: on every agent, free + allocated == total, for each resource, as long as its tasks
//! fit into it; what the clients of an agent were given there adds up to what is allocated.

pub(crate) mod candidates;
pub(crate) mod filters;
pub(crate) mod shares;

mod node;

mod agents;
mod clients;
mod invariants;
mod rounds;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use meros_proto::resources::{Quantities, Resources, Role};
use meros_proto::time::{Mono, Now};
use rand::SeedableRng;
use rand::rngs::StdRng;

use crate::arena::{AgentIx, Arena, FrameworkIx, dense};
use crate::model::Capabilities;
use agents::Agent;
use candidates::Candidates;
use clients::{Client, Framework};
use filters::Refusals;
use shares::Shares;

dense! {
    /// A framework under one of its roles: what offers are made to.
    ClientIx;
}

/// What the allocator goes by. See [`crate::Config`] for the meaning of each.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub(crate) interval: Duration,
    pub(crate) release_quiet: Duration,
    pub(crate) release_held_max: Duration,
    pub(crate) min_allocatable: Vec<Quantities>,
    pub(crate) filter_gpu_resources: bool,
}

/// What the allocator is told.
#[derive(Debug, Clone)]
pub(crate) enum AllocatorInput {
    /// A framework is known from now on, or described itself anew. It is inactive at first.
    FrameworkDescribed {
        framework: FrameworkIx,
        name: String,
        roles: Vec<Role>,
        suppressed: BTreeSet<Role>,
        capabilities: Capabilities,
        min_allocatable: BTreeMap<Role, Vec<Quantities>>,
    },
    /// Its stream is up.
    FrameworkActivated { framework: FrameworkIx },
    /// Its stream is down: its refusals are void.
    FrameworkDeactivated { framework: FrameworkIx },
    /// It is gone; what it held has been returned before.
    FrameworkRemoved { framework: FrameworkIx },
    /// It wants offers for a role, and its refusals for it are void.
    Revived { framework: FrameworkIx, role: Role },
    /// It wants no offers for a role.
    Suppressed { framework: FrameworkIx, role: Role },

    /// An agent is known from now on. It is inactive at first.
    AgentAdded { agent: AgentIx, total: Resources, multi_role: bool, hierarchical_role: bool },
    /// The agent has more or less than before, or is described differently: refusals are void.
    AgentChanged { agent: AgentIx, total: Resources },
    /// Its link is up.
    AgentActivated { agent: AgentIx },
    /// Its link is down.
    AgentDeactivated { agent: AgentIx },
    /// It is gone, with all that was held on it.
    AgentRemoved { agent: AgentIx },

    /// A task was found on an agent that the allocator didn't know of.
    Claimed { framework: FrameworkIx, role: Role, agent: AgentIx, resources: Resources },
    /// Something that was offered or used is free again.
    Returned {
        framework: FrameworkIx,
        role: Role,
        agent: AgentIx,
        resources: Resources,
        why: Return,
    },
    /// Weights were set; the map is the registry's, shared.
    WeightsChanged { weights: Arc<BTreeMap<Role, f64>> },
}

/// Why something is free again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Return {
    /// The framework left it over, and doesn't want it for so long.
    LeftOver { refuse_for: Duration },
    /// The master took an offer back.
    Withdrawn,
    /// A task ended.
    Ended,
}

/// What the allocator decided: these resources, allocated to `role`, are offered.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct NewOffer {
    pub(crate) framework: FrameworkIx,
    pub(crate) agent: AgentIx,
    pub(crate) role: Role,
    pub(crate) resources: Resources,
}

/// The allocator.
#[derive(Debug)]
pub(crate) struct Allocator {
    settings: Settings,
    rng: StdRng,
    frameworks: Arena<FrameworkIx, Framework>,
    clients: Arena<ClientIx, Client>,
    agents: Arena<AgentIx, Agent>,
    /// Active agents with something free.
    open: BTreeSet<AgentIx>,
    shares: Shares,
    refusals: Refusals,
    candidates: Candidates,
    /// Second revivals within an interval, which wait for its end.
    revivals: BTreeSet<(Mono, ClientIx)>,
}

impl Allocator {
    pub(crate) fn new(settings: Settings, seed: u64) -> Self {
        Self {
            settings,
            rng: StdRng::seed_from_u64(seed),
            frameworks: Arena::new(),
            clients: Arena::new(),
            agents: Arena::new(),
            open: BTreeSet::new(),
            shares: Shares::new(),
            refusals: Refusals::default(),
            candidates: Candidates::default(),
            revivals: BTreeSet::new(),
        }
    }

    /// Takes in one input. Offers nothing yet: see [`Allocator::round`], called once a batch.
    pub(crate) fn handle(&mut self, now: Now, input: AllocatorInput) {
        use AllocatorInput as Input;
        match input {
            Input::FrameworkDescribed {
                framework,
                name,
                roles,
                suppressed,
                capabilities,
                min_allocatable,
            } => {
                let known = self.frameworks.get_or_default(framework);
                known.name = name;
                known.capabilities = capabilities;
                known.min_allocatable = min_allocatable;
                self.set_roles(framework, &roles, &suppressed);
            }
            Input::FrameworkActivated { framework } => self.set_active(framework, true),
            Input::FrameworkDeactivated { framework } => self.set_active(framework, false),
            Input::FrameworkRemoved { framework } => self.remove_framework(framework),
            Input::Revived { framework, role } => self.revive(now.mono, framework, &role),
            Input::Suppressed { framework, role } => self.suppress(framework, &role),
            Input::AgentAdded { agent, total, multi_role, hierarchical_role } => {
                self.add_agent(agent, Agent::new(total, multi_role, hierarchical_role));
            }
            Input::AgentChanged { agent, total } => self.change_agent(agent, total),
            Input::AgentActivated { agent } => self.activate_agent(agent),
            Input::AgentDeactivated { agent } => self.deactivate_agent(agent),
            Input::AgentRemoved { agent } => self.remove_agent(agent),
            Input::Claimed { framework, role, agent, resources } => {
                self.claim(framework, &role, agent, &resources);
            }
            Input::Returned { framework, role, agent, resources, why } => {
                self.take_back(now.mono, framework, &role, agent, &resources, why);
            }
            Input::WeightsChanged { weights } => self.shares.set_weights(weights),
        }
    }

    /// When [`Allocator::round`] has something to do although nothing happened.
    pub(crate) fn deadline(&self) -> Option<Mono> {
        let revival = self.revivals.first().map(|(due, _)| *due);
        [self.refusals.next_due(), self.candidates.next_release(), revival]
            .into_iter()
            .flatten()
            .min()
    }

    /// A role's dominant share of the cluster, not divided by its weight.
    pub(crate) fn dominant_share(&self, role: &Role) -> f64 {
        self.shares.dominant_share(role)
    }

    /// What is neither offered nor used on an agent.
    pub(crate) fn free(&self, agent: AgentIx) -> Option<&Resources> {
        Some(self.agents.get(agent)?.free())
    }
}
