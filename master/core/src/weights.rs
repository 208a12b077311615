//! Weights of roles: an operator sets them, they survive the master.

use meros_proto::resources::Role;
use meros_proto::time::Now;

use crate::allocator::AllocatorInput;
use crate::input::ReplyTo;
use crate::output::{Answer, Effect, Refusal};
use crate::record::Record;
use crate::{Master, Out};

impl Master {
    /// All or nothing: one weight that makes no sense refuses the call. Offers are rescinded when
    /// somebody is subscribed to one of the roles, so that the new weights count at once.
    pub(crate) fn update_weights(
        &mut self,
        now: Now,
        reply: ReplyTo,
        weights: Vec<(Role, f64)>,
        out: &mut Out,
    ) {
        let invalid = weights.iter().find(|(_, weight)| !(weight.is_finite() && *weight > 0.0));
        if let Some((role, weight)) = invalid {
            let why =
                format!("Invalid weight '{weight}' for role '{role}': weights must be positive");
            let answer = Answer::Refused(Refusal::Invalid(why));
            return out.effect(Effect::Reply { to: reply, answer });
        }
        let subscribed = |role| {
            self.frameworks.all.iter().any(|(_, framework)| framework.spec.roles.contains(role))
        };
        let is_felt = weights.iter().any(|(role, _)| subscribed(role));
        for (role, weight) in weights {
            out.persist(Record::WeightSet { role: role.clone(), weight });
            self.allocator.handle(now, AllocatorInput::WeightSet { role, weight });
        }
        if is_felt {
            self.rescind_all_offers(now, out);
        }
        out.effect(Effect::Reply { to: reply, answer: Answer::Done });
    }
}
