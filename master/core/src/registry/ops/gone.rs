//! An operator says that an agent will never be back.

use meros_proto::ids::AgentId;
use meros_proto::time::Timestamp;

use crate::registry::field::field_struct;
use crate::registry::op::Operation;
use crate::registry::{Rejected, State};

/// An agent's id can't be used any more, and what it ran is over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AgentGone {
    /// Admitted or unreachable.
    pub agent: AgentId,
    /// When it was marked.
    pub at: Timestamp,
}

field_struct!(AgentGone { agent, at });

impl Operation for AgentGone {
    fn check(&self, state: &State) -> Result<(), Rejected> {
        if state.is_gone(&self.agent) {
            return Err(Rejected::AgentGone(self.agent.clone()));
        }
        match state.activity(&self.agent) {
            Some(_) => Ok(()),
            None => Err(Rejected::UnknownAgent(self.agent.clone())),
        }
    }

    fn apply(&self, state: &mut State) {
        state.admitted.remove(&self.agent);
        state.unreachable.remove(&self.agent);
        state.gone.insert(self.agent.clone(), self.at, ());
    }
}
