//! The whole state as bytes: what a log begins with instead of all that led there.

use meros_proto::record::{BadRecord, RecordKind};

use crate::registry::field::{Field, Fields, field_struct};
use crate::registry::{Rejected, State};

/// The number under which a log keeps snapshots: that of no operation.
const NUMBER: u16 = 1_000;
/// Of the layout that is written.
const FORMAT: u16 = 1;

field_struct!(State {
    cluster,
    framework_ids,
    agent_ids,
    admitted,
    unreachable,
    gone,
    removed_frameworks,
    weights,
    quotas,
    maintenance,
});

impl<T: Field> Field for std::sync::Arc<T> {
    fn put(&self, out: &mut Vec<u8>) {
        T::put(self, out);
    }

    fn take(fields: &mut Fields<'_>) -> Result<Self, BadRecord> {
        T::take(fields).map(Self::new)
    }
}

impl State {
    /// What a snapshot is called in a log: a record type of its own, and the version of its layout.
    pub const SNAPSHOT: RecordKind = RecordKind { number: NUMBER, version: FORMAT };

    /// The state as bytes. Equal states give equal bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        self.put(&mut bytes);
        bytes
    }

    /// Reads what [`State::encode`] gave, of this release or an earlier one.
    ///
    /// # Errors
    /// [`BadRecord`] when the layout is unknown, or no state is written like that.
    pub fn decode(kind: RecordKind, bytes: &[u8]) -> Result<Self, BadRecord> {
        if kind != Self::SNAPSHOT {
            return Err(BadRecord::Unknown(kind));
        }
        let mut fields = Fields::new(kind, bytes);
        let state = Self::take(&mut fields)?;
        if let Some(why) = state.contradiction() {
            return Err(fields.bad(why));
        }
        fields.finish()?;
        Ok(state)
    }

    /// What no sequence of operations could have led to.
    fn contradiction(&self) -> Option<String> {
        let elsewhere = |agent: &_| self.unreachable.get(agent).is_some() || self.is_gone(agent);
        let twice = self.admitted.keys().find(|agent| elsewhere(agent));
        let twice = twice.or_else(|| {
            self.unreachable.iter().map(|(agent, _)| agent).find(|agent| self.is_gone(agent))
        });
        if let Some(agent) = twice {
            return Some(format!("agent {agent} is in two places"));
        }
        let weight = self.weights.iter().find(|(_, weight)| !is_weight(**weight));
        if let Some((role, weight)) = weight {
            return Some(
                Rejected::InvalidWeight { role: role.clone(), weight: *weight }.to_string(),
            );
        }
        let quota = self.quotas.iter().find(|(_, quota)| !quota.is_consistent());
        quota.map(|(role, _)| format!("the quota of role '{role}' guarantees more than it allows"))
    }
}

/// Whether a weight can be divided by.
pub(super) fn is_weight(weight: f64) -> bool {
    weight.is_finite() && weight > 0.0
}
