//! An agent is emptied of tasks. What it survives: the master's restart, the agent's absence.

use meros_proto::ids::AgentId;

use crate::registry::field::field_struct;
use crate::registry::op::Operation;
use crate::registry::ops::activity::{expect, set};
use crate::registry::{Activity, DrainConfig, Rejected, State};

/// The agent's tasks are to be ended, and nothing of it is offered. Again: under this
/// configuration from now on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DrainStarted {
    /// Admitted or unreachable.
    pub agent: AgentId,
    /// How.
    pub config: DrainConfig,
}

field_struct!(DrainStarted { agent, config });

impl Operation for DrainStarted {
    fn check(&self, state: &State) -> Result<(), Rejected> {
        expect(state, &self.agent, |_| true)
    }

    fn apply(&self, state: &mut State) {
        set(state, &self.agent, Activity::Draining(self.config));
    }
}

/// All tasks of a draining agent have ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DrainFinished {
    /// A draining one.
    pub agent: AgentId,
}

field_struct!(DrainFinished { agent });

impl Operation for DrainFinished {
    fn check(&self, state: &State) -> Result<(), Rejected> {
        expect(state, &self.agent, |activity| matches!(activity, Activity::Draining(_)))
    }

    fn apply(&self, state: &mut State) {
        if let Some(Activity::Draining(config)) = state.activity(&self.agent) {
            set(state, &self.agent, Activity::Drained(config));
        }
    }
}

/// Draining is called off. The agent stays deactivated until an operator says otherwise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DrainStopped {
    /// A draining one.
    pub agent: AgentId,
}

field_struct!(DrainStopped { agent });

impl Operation for DrainStopped {
    fn check(&self, state: &State) -> Result<(), Rejected> {
        expect(state, &self.agent, |activity| matches!(activity, Activity::Draining(_)))
    }

    fn apply(&self, state: &mut State) {
        set(state, &self.agent, Activity::Deactivated);
    }
}
