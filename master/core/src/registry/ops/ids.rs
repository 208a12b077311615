//! Numbers for ids are handed out to a master in blocks, so that not every new framework costs a
//! write. What a master doesn't use of its block is lost with it.

use crate::registry::field::field_struct;
use crate::registry::op::Operation;
use crate::registry::{Rejected, State};

/// Numbers for frameworks' ids were handed out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FrameworkIdsTaken {
    /// The least one: all before it were handed out earlier.
    pub first: u64,
    /// How many.
    pub count: u32,
}

/// Numbers for agents' ids were handed out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AgentIdsTaken {
    /// The least one: all before it were handed out earlier.
    pub first: u64,
    /// How many.
    pub count: u32,
}

field_struct!(FrameworkIdsTaken { first, count });
field_struct!(AgentIdsTaken { first, count });

impl Operation for FrameworkIdsTaken {
    fn check(&self, state: &State) -> Result<(), Rejected> {
        check(self.first, self.count, state.framework_ids)
    }

    fn apply(&self, state: &mut State) {
        state.framework_ids += u64::from(self.count);
    }
}

impl Operation for AgentIdsTaken {
    fn check(&self, state: &State) -> Result<(), Rejected> {
        check(self.first, self.count, state.agent_ids)
    }

    fn apply(&self, state: &mut State) {
        state.agent_ids += u64::from(self.count);
    }
}

fn check(first: u64, count: u32, next: u64) -> Result<(), Rejected> {
    if first != next {
        return Err(Rejected::WrongBlock { next, given: first });
    }
    match next.checked_add(u64::from(count)) {
        Some(_) if count > 0 => Ok(()),
        _ => Err(Rejected::WrongBlockSize(count)),
    }
}
