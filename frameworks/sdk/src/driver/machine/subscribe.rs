//! Opening: a stream is there, and SUBSCRIBED is to come first on it.

use std::time::Duration;

use meros_proto::ids::FrameworkId;
use meros_proto::time::Mono;
use meros_proto::v1::scheduler::event;
use tracing::warn;

use super::{Effect, Machine, Opening, Out, State, Subscription};
use crate::driver::calls::Link;
use crate::driver::event::{Event, Subscribed};
use crate::driver::hunt::Hunt;
use crate::driver::interpret::means_failed_over;

/// Mesos's own, for a master that doesn't say.
const HEARTBEAT_DEFAULT: Duration = Duration::from_secs(15);
const HEARTBEAT_MIN: Duration = Duration::from_millis(10);
const HEARTBEAT_MAX: Duration = Duration::from_secs(3_600);

impl Machine {
    /// The master took the subscription.
    pub(super) fn subscribed(
        &mut self,
        now: Mono,
        opening: Opening,
        body: event::Subscribed,
        out: &mut Out,
    ) {
        let framework_id = match FrameworkId::from_proto(body.framework_id.as_ref()) {
            Ok(id) => id,
            Err(error) => {
                return self.not_opened(now, opening, &format!("a bad SUBSCRIBED: {error}"), out);
            }
        };
        let heartbeat_interval = heartbeat(body.heartbeat_interval_seconds);
        self.state = State::Subscribed(Subscription {
            attempt: opening.attempt,
            since: now,
            heard: now,
            silence_max: heartbeat_interval * self.options.missed_heartbeats.max(1),
            rivals: opening.rivals,
            tearing_down: false,
        });
        self.leave(out);
        self.learned = Some(opening.master.clone());
        self.framework_id = Some(framework_id.clone());
        let again = std::mem::replace(&mut self.ever_subscribed, true);
        out.effect(Effect::Link(Some(Link {
            epoch: opening.attempt,
            master: opening.master.clone(),
            stream_id: opening.stream_id,
            framework_id: framework_id.clone(),
        })));
        out.effect(Effect::Tell(Box::new(Event::Subscribed(Subscribed {
            framework_id,
            master_info: body.master_info,
            master: opening.master.as_str().to_owned(),
            heartbeat_interval,
            again,
        }))));
    }

    /// The stream ended, or stayed silent, before SUBSCRIBED: the search goes on where it was, at
    /// its slower pace, so that a master which takes streams only to drop them isn't hammered.
    pub(super) fn not_opened(&mut self, now: Mono, opening: Opening, why: &str, out: &mut Out) {
        warn!(master = %opening.master, why, "no subscription");
        out.effect(Effect::Close { attempt: opening.attempt });
        let mut hunt = opening.hunt;
        hunt.back_off(now, &mut self.rng);
        self.state = State::Searching(hunt);
    }

    /// ERROR came first: the subscription is refused, unless a rival request of our own won.
    pub(super) fn refused(
        &mut self,
        now: Mono,
        mut opening: Opening,
        message: String,
        out: &mut Out,
    ) {
        if (opening.rivals || now < self.strays_until) && means_failed_over(&message) {
            opening.hunt = Hunt::first(now);
            return self.not_opened(now, opening, "a request of our own took its place", out);
        }
        self.state = State::Opening(opening);
        self.finish(message, out);
    }
}

/// A sane interval out of what the master says.
fn heartbeat(seconds: Option<f64>) -> Duration {
    seconds
        .filter(|seconds| *seconds > 0.0)
        .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
        .map_or(HEARTBEAT_DEFAULT, |interval| interval.clamp(HEARTBEAT_MIN, HEARTBEAT_MAX))
}
