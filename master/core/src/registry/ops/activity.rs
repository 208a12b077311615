//! An operator takes an agent out of offers, and puts it back.

use meros_proto::ids::AgentId;

use crate::registry::field::field_struct;
use crate::registry::op::Operation;
use crate::registry::{Activity, Rejected, State};

/// Nothing of the agent is offered any more. Its tasks stay.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AgentDeactivated {
    /// An active one.
    pub agent: AgentId,
}

field_struct!(AgentDeactivated { agent });

impl Operation for AgentDeactivated {
    fn check(&self, state: &State) -> Result<(), Rejected> {
        expect(state, &self.agent, |activity| activity == Activity::Active)
    }

    fn apply(&self, state: &mut State) {
        set(state, &self.agent, Activity::Deactivated);
    }
}

/// The agent is offered again: it was deactivated, or its draining is done with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AgentReactivated {
    /// A deactivated or drained one.
    pub agent: AgentId,
}

field_struct!(AgentReactivated { agent });

impl Operation for AgentReactivated {
    fn check(&self, state: &State) -> Result<(), Rejected> {
        expect(state, &self.agent, |activity| {
            matches!(activity, Activity::Deactivated | Activity::Drained(_))
        })
    }

    fn apply(&self, state: &mut State) {
        set(state, &self.agent, Activity::Active);
    }
}

/// Refuses an agent that isn't known, gone, or in an activity that doesn't fit.
pub(super) fn expect(
    state: &State,
    agent: &AgentId,
    fits: impl FnOnce(Activity) -> bool,
) -> Result<(), Rejected> {
    match state.activity(agent) {
        _ if state.is_gone(agent) => Err(Rejected::AgentGone(agent.clone())),
        None => Err(Rejected::UnknownAgent(agent.clone())),
        Some(activity) if fits(activity) => Ok(()),
        Some(activity) => {
            let (agent, activity) = (agent.clone(), activity.as_str());
            Err(Rejected::WrongActivity { agent, activity })
        }
    }
}

pub(super) fn set(state: &mut State, agent: &AgentId, activity: Activity) {
    if let Some(current) = state.activity_mut(agent) {
        *current = activity;
    }
}
