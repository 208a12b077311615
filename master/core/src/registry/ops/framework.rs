//! A framework is removed for good.

use meros_proto::ids::FrameworkId;
use meros_proto::record::BadRecord;
use meros_proto::time::Timestamp;

use crate::registry::field::{Field, Fields, field_struct};
use crate::registry::op::Operation;
use crate::registry::{Rejected, State};

/// A framework was torn down or didn't come back in time: its id is not usable any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FrameworkRemoved {
    /// Which one.
    pub framework: FrameworkId,
    /// When; the epoch where the first release wrote it, which had no time in it.
    pub at: Timestamp,
}

field_struct!(FrameworkRemoved { framework, at });

impl Operation for FrameworkRemoved {
    const VERSION: u16 = 2;

    fn check(&self, state: &State) -> Result<(), Rejected> {
        match state.is_removed(&self.framework) {
            true => Err(Rejected::FrameworkRemoved(self.framework.clone())),
            false => Ok(()),
        }
    }

    fn apply(&self, state: &mut State) {
        state.removed_frameworks.insert(self.framework.clone(), self.at, ());
    }

    fn take_version(version: u16, fields: &mut Fields<'_>) -> Option<Result<Self, BadRecord>> {
        match version {
            1 => Some(
                Field::take(fields).map(|framework| Self { framework, at: Timestamp::default() }),
            ),
            2 => Some(Self::take(fields)),
            _ => None,
        }
    }
}
