//! An agent is admitted, described anew, or leaves for good.

use bytes::Bytes;
use meros_proto::ids::AgentId;

use crate::registry::field::field_struct;
use crate::registry::op::Operation;
use crate::registry::{AdmittedAgent, Rejected, State};

/// An agent may take part, described like this from now on.
///
/// The first release wrote it for an unreachable agent's return too, which is
/// [`AgentReachable`](super::AgentReachable) since.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AgentAdmitted {
    /// Which one.
    pub agent: AgentId,
    /// Its encoded AgentInfo.
    pub info: Bytes,
}

field_struct!(AgentAdmitted { agent, info });

impl Operation for AgentAdmitted {
    fn check(&self, state: &State) -> Result<(), Rejected> {
        match state.is_gone(&self.agent) {
            true => Err(Rejected::AgentGone(self.agent.clone())),
            false => Ok(()),
        }
    }

    fn apply(&self, state: &mut State) {
        let activity = state.activity(&self.agent).unwrap_or_default();
        state.unreachable.remove(&self.agent);
        let admitted = AdmittedAgent { info: self.info.clone(), activity };
        state.admitted.insert(self.agent.clone(), admitted);
    }
}

/// An agent left for good, by itself. Its id may come back: then it is admitted as a new one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AgentRemoved {
    /// Which one.
    pub agent: AgentId,
}

field_struct!(AgentRemoved { agent });

impl Operation for AgentRemoved {
    fn check(&self, state: &State) -> Result<(), Rejected> {
        match state.admitted.contains_key(&self.agent) {
            true => Ok(()),
            false => Err(Rejected::NotAdmitted(self.agent.clone())),
        }
    }

    fn apply(&self, state: &mut State) {
        state.admitted.remove(&self.agent);
    }
}
