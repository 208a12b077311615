//! The registry's state: what it says now.

use std::collections::BTreeMap;
use std::sync::Arc;

use meros_proto::ids::{AgentId, ClusterId, FrameworkId};
use meros_proto::resources::Role;
use meros_proto::time::Timestamp;

use crate::registry::aged::Aged;
use crate::registry::field::field_struct;
use crate::registry::{Activity, AdmittedAgent, Maintenance, Op, Quota, Rejected};

/// The greatest cluster version that this release knows: which operations there are, and what they
/// do.
pub const VERSION: u32 = 1;

/// What the registry says. Only [`State::apply`] changes it; two states to which the same was
/// applied are equal.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct State {
    pub(super) cluster: Option<Cluster>,
    /// The least number of a framework's id that was never handed out.
    pub(super) framework_ids: u64,
    /// Likewise for agents.
    pub(super) agent_ids: u64,
    pub(super) admitted: BTreeMap<AgentId, AdmittedAgent>,
    pub(super) unreachable: Aged<AgentId, Activity>,
    pub(super) gone: Aged<AgentId, ()>,
    pub(super) removed_frameworks: Aged<FrameworkId, ()>,
    /// Shared with the allocator, so that there is one.
    pub(super) weights: Arc<BTreeMap<Role, f64>>,
    pub(super) quotas: BTreeMap<Role, Quota>,
    pub(super) maintenance: Maintenance,
}

/// The cluster whose registry this is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cluster {
    /// Its id.
    pub id: ClusterId,
    /// The least of its members' versions: no operation newer than that is proposed.
    pub version: u32,
    /// When it was created.
    pub created: Timestamp,
}

field_struct!(Cluster { id, version, created });

impl State {
    /// Carries out one operation, or refuses it and changes nothing.
    ///
    /// # Errors
    /// [`Rejected`]: what doesn't fit.
    pub fn apply(&mut self, op: &Op) -> Result<(), Rejected> {
        op.check(self)?;
        op.carry_out(self);
        Ok(())
    }

    /// The state after these operations, in this order, from nothing.
    ///
    /// # Errors
    /// [`Rejected`]: what doesn't fit, of the first that doesn't.
    pub fn fold<'a>(ops: impl IntoIterator<Item = &'a Op>) -> Result<Self, Rejected> {
        let mut state = Self::default();
        ops.into_iter().try_for_each(|op| state.apply(op))?;
        Ok(state)
    }

    /// The cluster; `None` until it is created.
    pub fn cluster(&self) -> Option<&Cluster> {
        self.cluster.as_ref()
    }

    /// The agents that may take part, by id.
    pub fn admitted(&self) -> &BTreeMap<AgentId, AdmittedAgent> {
        &self.admitted
    }

    /// The agents that weren't heard of for too long, by id, with since when.
    pub fn unreachable(&self) -> impl ExactSizeIterator<Item = (&AgentId, Timestamp)> {
        self.unreachable.iter()
    }

    /// Since when an agent is unreachable, if it is.
    pub fn unreachable_since(&self, agent: &AgentId) -> Option<Timestamp> {
        self.unreachable.get(agent).map(|(since, _)| *since)
    }

    /// The agents that were marked gone, by id, with when.
    pub fn gone(&self) -> impl ExactSizeIterator<Item = (&AgentId, Timestamp)> {
        self.gone.iter()
    }

    /// Whether an agent was marked gone.
    pub fn is_gone(&self, agent: &AgentId) -> bool {
        self.gone.get(agent).is_some()
    }

    /// Whether an agent is to be given work; `None`: it is neither admitted nor unreachable.
    pub fn activity(&self, agent: &AgentId) -> Option<Activity> {
        let admitted = self.admitted.get(agent).map(|agent| agent.activity);
        admitted.or_else(|| self.unreachable.get(agent).map(|(_, activity)| *activity))
    }

    /// Whether a framework of this id was torn down or timed out.
    pub fn is_removed(&self, framework: &FrameworkId) -> bool {
        self.removed_frameworks.get(framework).is_some()
    }

    /// The weights that were set, by role.
    pub fn weights(&self) -> &Arc<BTreeMap<Role, f64>> {
        &self.weights
    }

    /// The quotas that were set, by role.
    pub fn quotas(&self) -> &BTreeMap<Role, Quota> {
        &self.quotas
    }

    /// The maintenance that is planned or done.
    pub fn maintenance(&self) -> &Maintenance {
        &self.maintenance
    }

    /// How many things are remembered: a measure for the size of a snapshot.
    pub fn entries(&self) -> usize {
        self.admitted.len()
            + self.unreachable.len()
            + self.gone.len()
            + self.removed_frameworks.len()
            + self.weights.len()
            + self.quotas.len()
            + self.maintenance.len()
    }

    /// The activity of an agent that is admitted or unreachable.
    pub(super) fn activity_mut(&mut self, agent: &AgentId) -> Option<&mut Activity> {
        match self.admitted.get_mut(agent) {
            Some(admitted) => Some(&mut admitted.activity),
            None => self.unreachable.get_mut(agent),
        }
    }
}
