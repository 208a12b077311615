//! An agent wasn't heard of for too long, or is back from that.

use bytes::Bytes;
use meros_proto::ids::AgentId;
use meros_proto::time::Timestamp;

use crate::registry::field::field_struct;
use crate::registry::op::Operation;
use crate::registry::{AdmittedAgent, Rejected, State};

/// An agent wasn't heard of for too long.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AgentUnreachable {
    /// Which one.
    pub agent: AgentId,
    /// Since when.
    pub since: Timestamp,
}

field_struct!(AgentUnreachable { agent, since });

impl Operation for AgentUnreachable {
    fn check(&self, state: &State) -> Result<(), Rejected> {
        match state.admitted.contains_key(&self.agent) {
            true => Ok(()),
            false => Err(Rejected::NotAdmitted(self.agent.clone())),
        }
    }

    fn apply(&self, state: &mut State) {
        if let Some(agent) = state.admitted.remove(&self.agent) {
            state.unreachable.insert(self.agent.clone(), self.since, agent.activity);
        }
    }
}

/// An unreachable agent is back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AgentReachable {
    /// Which one.
    pub agent: AgentId,
    /// Its encoded AgentInfo.
    pub info: Bytes,
}

field_struct!(AgentReachable { agent, info });

impl Operation for AgentReachable {
    fn check(&self, state: &State) -> Result<(), Rejected> {
        match state.unreachable.get(&self.agent) {
            Some(_) => Ok(()),
            None => Err(Rejected::NotUnreachable(self.agent.clone())),
        }
    }

    fn apply(&self, state: &mut State) {
        if let Some(activity) = state.unreachable.remove(&self.agent) {
            let admitted = AdmittedAgent { info: self.info.clone(), activity };
            state.admitted.insert(self.agent.clone(), admitted);
        }
    }
}
