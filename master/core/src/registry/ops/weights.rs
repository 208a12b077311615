//! An operator sets the weights of roles.

use std::collections::BTreeMap;
use std::sync::Arc;

use meros_proto::record::BadRecord;
use meros_proto::resources::Role;

use crate::registry::field::{Field, Fields, field_struct};
use crate::registry::op::Operation;
use crate::registry::snapshot::is_weight;
use crate::registry::{Rejected, State};

/// The weights of these roles were set, all at once; others keep theirs.
#[derive(Debug, Clone, PartialEq)]
pub struct WeightsSet {
    /// Each above zero and finite.
    pub weights: BTreeMap<Role, f64>,
}

field_struct!(WeightsSet { weights });

impl Operation for WeightsSet {
    const VERSION: u16 = 2;

    fn check(&self, _: &State) -> Result<(), Rejected> {
        if self.weights.is_empty() {
            return Err(Rejected::Empty);
        }
        match self.weights.iter().find(|(_, weight)| !is_weight(**weight)) {
            Some((role, weight)) => {
                Err(Rejected::InvalidWeight { role: role.clone(), weight: *weight })
            }
            None => Ok(()),
        }
    }

    fn apply(&self, state: &mut State) {
        let weights = self.weights.iter().map(|(role, weight)| (role.clone(), *weight));
        Arc::make_mut(&mut state.weights).extend(weights);
    }

    /// Version 1 was the weight of one role.
    fn take_version(version: u16, fields: &mut Fields<'_>) -> Option<Result<Self, BadRecord>> {
        match version {
            1 => Some(Field::take(fields).map(|one: (Role, f64)| Self { weights: [one].into() })),
            2 => Some(Self::take(fields)),
            _ => None,
        }
    }
}
