//! The master's registry: the state, and the way to change it.

use std::ops::Range;

use meros_proto::ids::{AgentId, ClusterId, FrameworkId, MasterId};
use meros_proto::record::Record as _;
use meros_proto::time::Now;

use crate::Out;
use crate::registry::ops::{
    AgentIdsTaken, ClusterCreated, ClusterVersionRaised, FrameworkIdsTaken,
};
use crate::registry::{Op, Rejected, State, VERSION};

/// Numbers that one operation hands out.
const BLOCK: u32 = 1_000;

/// The registry as the master's core holds it.
///
/// Beside the state it has the numbers that were handed out to *this* master and not used yet:
/// those go with it, so that none is ever used twice.
#[derive(Debug)]
pub(crate) struct Registry {
    state: State,
    framework_ids: Range<u64>,
    agent_ids: Range<u64>,
}

impl Registry {
    /// The registry of a master that starts.
    pub(crate) fn new(state: State) -> Self {
        Self { state, framework_ids: 0..0, agent_ids: 0..0 }
    }

    /// What it says, with all that was proposed.
    pub(crate) fn state(&self) -> &State {
        &self.state
    }

    /// Carries out an operation, and asks for it to be committed before any effect that follows.
    ///
    /// # Errors
    /// [`Rejected`]: it doesn't fit; nothing has changed.
    pub(crate) fn propose(&mut self, op: impl Into<Op>, out: &mut Out) -> Result<(), Rejected> {
        let op = op.into();
        let found = self.state.cluster().map(|cluster| cluster.version);
        let is_founding = matches!(op, Op::ClusterCreated(_));
        match found {
            None if !is_founding => return Err(Rejected::NoCluster),
            Some(found) if found < op.since() => {
                let number = op.kind().number;
                return Err(Rejected::TooNew { number, needed: op.since(), found });
            }
            _ => {}
        }
        self.state.apply(&op)?;
        out.persist(op);
        Ok(())
    }

    /// Creates the cluster if there is none, under the id of the master that does so; raises its
    /// version to ours if we alone are its members, which a single master is.
    pub(crate) fn found_cluster(&mut self, now: Now, master: &MasterId, out: &mut Out) {
        let fitting = match self.state.cluster() {
            None => {
                let id = ClusterId::parse(master.as_str()).expect("both are names of one kind");
                let created = ClusterCreated { id, version: VERSION, created: now.wall };
                self.propose(created, out)
            }
            Some(cluster) if cluster.version < VERSION => {
                self.propose(ClusterVersionRaised { version: VERSION }, out)
            }
            Some(_) => Ok(()),
        };
        debug_assert_eq!(fitting, Ok(()), "it was just looked at what is missing");
    }

    /// A fresh id for a framework: `<cluster>-0000`, counted up.
    pub(crate) fn new_framework_id(&mut self, out: &mut Out) -> FrameworkId {
        let number = self.framework_ids.next().unwrap_or_else(|| {
            let first = self.state.framework_ids;
            self.framework_ids = first..first.saturating_add(u64::from(BLOCK));
            self.take_block(FrameworkIdsTaken { first, count: BLOCK }, out);
            self.framework_ids.next().unwrap_or(first)
        });
        let id = format!("{}-{number:04}", self.cluster_id());
        FrameworkId::parse(&id).expect("a cluster's id with a number is an id")
    }

    /// A fresh id for an agent: `<cluster>-S0`, counted up.
    pub(crate) fn new_agent_id(&mut self, out: &mut Out) -> AgentId {
        let number = self.agent_ids.next().unwrap_or_else(|| {
            let first = self.state.agent_ids;
            self.agent_ids = first..first.saturating_add(u64::from(BLOCK));
            self.take_block(AgentIdsTaken { first, count: BLOCK }, out);
            self.agent_ids.next().unwrap_or(first)
        });
        let id = format!("{}-S{number}", self.cluster_id());
        AgentId::parse(&id).expect("a cluster's id with a number is an id")
    }

    fn take_block(&mut self, op: impl Into<Op>, out: &mut Out) {
        let taken = self.propose(op, out);
        debug_assert_eq!(taken, Ok(()), "the block follows the last one");
    }

    fn cluster_id(&self) -> &ClusterId {
        &self.state.cluster().expect("the cluster is founded before any input is handled").id
    }
}
