//! A framework that describes itself anew: other roles, say.
//!
//! Each SUBSCRIBE from then on says so. When the master of the present subscription hasn't taken
//! UPDATE_FRAMEWORK, because it doesn't know that call or wasn't reached, a new subscription takes
//! the place of the present one. To the framework that is a subscription lost and found again: its
//! offers are void, its tasks run on.
//!
//! The old stream stays open until the new one stands. If it were closed first, a master would
//! remove a framework that has no failover time-out, with all its tasks.

use meros_proto::time::Mono;
use meros_proto::v1::scheduler::call::UpdateFramework;
use tracing::info;

use super::{Effect, Machine, Out, State};
use crate::driver::hunt::Hunt;

/// A stream that nobody listens to any more.
#[derive(Debug)]
pub(super) struct Leaving {
    attempt: u64,
    /// When it is closed, even if there is no other.
    pub(super) until: Mono,
}

impl Machine {
    /// From now on the framework is what `update` says.
    pub(super) fn framework_changed(&mut self, attempt: u64, update: UpdateFramework, taken: bool) {
        let UpdateFramework { framework_info, suppressed_roles, offer_constraints } = update;
        let Some(framework) = framework_info else { return };
        self.options.framework = framework;
        self.options.suppressed_roles = suppressed_roles;
        self.options.offer_constraints = offer_constraints;
        // A master that was asked since may have been told the old description.
        if !taken || self.stream() != Some(attempt) {
            self.described_after = self.last_attempt;
        }
    }

    /// Leaves a subscription that was made before the framework changed.
    pub(super) fn renew(&mut self, now: Mono, out: &mut Out) {
        let State::Subscribed(subscription) = &self.state else { return };
        if subscription.attempt > self.described_after || subscription.tearing_down {
            return;
        }
        info!("subscribing anew: the framework has changed");
        self.leaving = Some(Leaving {
            attempt: subscription.attempt,
            until: now + self.options.subscribe_timeout,
        });
        out.effect(Effect::Link(None));
        out.effect(Effect::Disconnected {
            why: "the framework has changed".to_owned(),
            renewing: true,
        });
        self.state = State::Searching(Hunt::after_loss(now, self.options.election_timeout));
    }

    /// Closes the stream that was left.
    pub(super) fn leave(&mut self, out: &mut Out) {
        if let Some(Leaving { attempt, .. }) = self.leaving.take() {
            out.effect(Effect::Close { attempt });
        }
    }
}
