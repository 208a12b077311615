//! What a role is guaranteed, and what it may have at most.

use std::collections::BTreeMap;

use meros_proto::record::BadRecord;
use meros_proto::resources::{Name, Quantities, Scalar};

use crate::registry::field::{Field, Fields, field_struct, put_text};

/// The quota of one top-level role: `v1::quota::QuotaConfig`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Quota {
    /// What it can count on.
    pub guarantees: Quantities,
    /// What it gets no more than. What isn't named has no limit; a limit may be zero.
    pub limits: BTreeMap<Name, Scalar>,
}

impl Quota {
    /// Whether what is guaranteed is within what is allowed.
    pub(super) fn is_consistent(&self) -> bool {
        self.limits.iter().all(|(name, limit)| self.guarantees.get(name) <= *limit)
    }
}

field_struct!(Quota { guarantees, limits });

impl Field for Name {
    fn put(&self, out: &mut Vec<u8>) {
        put_text(self.as_str(), out);
    }

    fn take(fields: &mut Fields<'_>) -> Result<Self, BadRecord> {
        fields.text(|text| match text {
            "" => Err("a resource has no name"),
            name => Ok(Self::from(name)),
        })
    }
}

impl Field for Scalar {
    fn put(&self, out: &mut Vec<u8>) {
        self.as_millis().cast_unsigned().put(out);
    }

    fn take(fields: &mut Fields<'_>) -> Result<Self, BadRecord> {
        let amount = Self::from_millis(u64::take(fields)?.cast_signed());
        match amount.is_negative() {
            true => Err(fields.bad("an amount is below zero")),
            false => Ok(amount),
        }
    }
}

impl Field for Quantities {
    fn put(&self, out: &mut Vec<u8>) {
        let amounts: Vec<_> = self.iter().map(|(name, amount)| (name.clone(), amount)).collect();
        amounts.put(out);
    }

    fn take(fields: &mut Fields<'_>) -> Result<Self, BadRecord> {
        Ok(Vec::<(Name, Scalar)>::take(fields)?.into_iter().collect())
    }
}
