//! What is too old or too much to be remembered is forgotten, so that the registry doesn't grow
//! with the cluster's history.
//!
//! What goes is told by two bounds rather than by name: that is short, and means the same wherever
//! it is applied.

use meros_proto::time::Timestamp;

use crate::registry::field::field_struct;
use crate::registry::op::Operation;
use crate::registry::{Rejected, State};

/// Old unreachable agents were forgotten: one that comes back is admitted as if it were new.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnreachableTrimmed {
    /// Those that became unreachable before then.
    pub before: Timestamp,
    /// And the oldest of those beyond so many.
    pub keep: u32,
}

/// Old gone agents were forgotten.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GoneTrimmed {
    /// Those that were marked gone before then.
    pub before: Timestamp,
    /// And the oldest of those beyond so many.
    pub keep: u32,
}

/// Old removed frameworks were forgotten: their ids would be accepted again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemovedFrameworksTrimmed {
    /// Those that were removed before then.
    pub before: Timestamp,
    /// And the oldest of those beyond so many.
    pub keep: u32,
}

field_struct!(UnreachableTrimmed { before, keep });
field_struct!(GoneTrimmed { before, keep });
field_struct!(RemovedFrameworksTrimmed { before, keep });

impl Operation for UnreachableTrimmed {
    fn check(&self, state: &State) -> Result<(), Rejected> {
        if_any(state.unreachable.has_excess(self.before, self.keep))
    }

    fn apply(&self, state: &mut State) {
        state.unreachable.trim(self.before, self.keep);
    }
}

impl Operation for GoneTrimmed {
    fn check(&self, state: &State) -> Result<(), Rejected> {
        if_any(state.gone.has_excess(self.before, self.keep))
    }

    fn apply(&self, state: &mut State) {
        state.gone.trim(self.before, self.keep);
    }
}

impl Operation for RemovedFrameworksTrimmed {
    fn check(&self, state: &State) -> Result<(), Rejected> {
        if_any(state.removed_frameworks.has_excess(self.before, self.keep))
    }

    fn apply(&self, state: &mut State) {
        state.removed_frameworks.trim(self.before, self.keep);
    }
}

fn if_any(excess: bool) -> Result<(), Rejected> {
    if excess { Ok(()) } else { Err(Rejected::NothingToForget) }
}
