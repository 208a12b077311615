//! Weights of roles: an operator sets them, they survive the master.

use std::collections::BTreeMap;
use std::sync::Arc;

use meros_proto::resources::Role;
use meros_proto::time::Now;

use crate::allocator::AllocatorInput;
use crate::input::ReplyTo;
use crate::output::{Answer, Effect, Refusal};
use crate::registry::Rejected;
use crate::registry::ops::WeightsSet;
use crate::{Master, Out};

impl Master {
    /// All or nothing: one weight that makes no sense refuses the call. Offers are rescinded when
    /// somebody is subscribed to one of the roles, so that the new weights count at once.
    pub(crate) fn update_weights(
        &mut self,
        now: Now,
        reply: ReplyTo,
        weights: BTreeMap<Role, f64>,
        out: &mut Out,
    ) {
        let subscribed = |role| {
            self.frameworks.all.iter().any(|(_, framework)| framework.spec.roles.contains(role))
        };
        let is_felt = weights.keys().any(subscribed);
        let answer = match self.registry.propose(WeightsSet { weights }, out) {
            Ok(()) => {
                self.weights_changed(now);
                if is_felt {
                    self.rescind_all_offers(now, out);
                }
                Answer::Done
            }
            // Nothing was asked for, and it is done.
            Err(Rejected::Empty) => Answer::Done,
            Err(rejected) => Answer::Refused(Refusal::Invalid(rejected.to_string())),
        };
        out.effect(Effect::Reply { to: reply, answer });
    }

    /// Tells the allocator that the registry's weights are others now.
    pub(crate) fn weights_changed(&mut self, now: Now) {
        let weights = Arc::clone(self.registry.state().weights());
        self.allocator.handle(now, AllocatorInput::WeightsChanged { weights });
    }
}
