//! An operator guarantees roles resources, or bounds what they get.

use std::collections::BTreeMap;

use meros_proto::resources::Role;

use crate::registry::field::field_struct;
use crate::registry::op::Operation;
use crate::registry::{Quota, Rejected, State};

/// The quotas of these roles were set, all at once; others keep theirs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QuotasSet {
    /// For top-level roles other than `*`.
    pub quotas: BTreeMap<Role, Quota>,
}

field_struct!(QuotasSet { quotas });

impl Operation for QuotasSet {
    fn check(&self, _: &State) -> Result<(), Rejected> {
        if self.quotas.is_empty() {
            return Err(Rejected::Empty);
        }
        self.quotas.iter().try_for_each(|(role, quota)| {
            let why = if role.is_star() {
                "the role '*' can have none"
            } else if role.parent().is_some() {
                "only top-level roles can have one"
            } else if !quota.is_consistent() {
                "it guarantees more than it allows"
            } else {
                return Ok(());
            };
            Err(Rejected::InvalidQuota { role: role.clone(), why })
        })
    }

    fn apply(&self, state: &mut State) {
        state.quotas.extend(self.quotas.iter().map(|(role, quota)| (role.clone(), quota.clone())));
    }
}

/// A role has no quota any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QuotaRemoved {
    /// One that had.
    pub role: Role,
}

field_struct!(QuotaRemoved { role });

impl Operation for QuotaRemoved {
    fn check(&self, state: &State) -> Result<(), Rejected> {
        match state.quotas.contains_key(&self.role) {
            true => Ok(()),
            false => Err(Rejected::NoQuota(self.role.clone())),
        }
    }

    fn apply(&self, state: &mut State) {
        state.quotas.remove(&self.role);
    }
}
