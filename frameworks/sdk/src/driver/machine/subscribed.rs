//! Events of a stream, its watchdog, and its end.

use std::time::Duration;

use bytes::Bytes;
use meros_proto::time::Mono;
use meros_proto::v1::scheduler::{self, call};
use tracing::{info, warn};

use super::{Effect, Machine, Opening, Out, State, Subscription};
use crate::driver::event::{CallFailed, Event};
use crate::driver::hunt::Hunt;
use crate::driver::interpret::{Heard, interpret, means_failed_over, means_removed};

/// How long a request may lie in the network after this side gave it up: so long Linux tries to get
/// rid of what a closed socket still has to send, and somewhat longer.
const STRAYS_FOR: Duration = Duration::from_secs(150);

impl Machine {
    /// Something came on a stream.
    pub(super) fn event(
        &mut self,
        now: Mono,
        attempt: u64,
        event: scheduler::Event,
        record: Bytes,
        out: &mut Out,
    ) {
        if self.stream() != Some(attempt) {
            return;
        }
        let heard = match interpret(event) {
            Ok(heard) => heard,
            Err(malformed) => return self.closed(now, attempt, malformed.to_string(), out),
        };
        match std::mem::replace(&mut self.state, State::Ended) {
            State::Opening(opening) => self.first_event(now, opening, heard, out),
            State::Subscribed(subscription) => {
                self.state = State::Subscribed(Subscription { heard: now, ..subscription });
                self.next_event(now, attempt, heard, record, out);
            }
            other => self.state = other,
        }
    }

    fn first_event(&mut self, now: Mono, opening: Opening, heard: Heard, out: &mut Out) {
        match heard {
            Heard::Subscribed(body) => self.subscribed(now, opening, body, out),
            Heard::Error(message) => self.refused(now, opening, message, out),
            Heard::Heartbeat => self.state = State::Opening(opening),
            Heard::Tell(_) | Heard::Unknown => {
                self.not_opened(now, opening, "an event before SUBSCRIBED", out);
            }
        }
    }

    fn next_event(&mut self, now: Mono, attempt: u64, heard: Heard, record: Bytes, out: &mut Out) {
        match heard {
            Heard::Heartbeat => {}
            Heard::Tell(event) => out.effect(Effect::Tell(Box::new(event))),
            Heard::Unknown => out.effect(Effect::Tell(Box::new(Event::Unknown(record)))),
            Heard::Error(message) => self.error(now, attempt, message, out),
            Heard::Subscribed(_) => {
                self.closed(now, attempt, "a second SUBSCRIBED".to_owned(), out);
            }
        }
    }

    /// ERROR on a stream that stood.
    fn error(&mut self, now: Mono, attempt: u64, message: String, out: &mut Out) {
        let State::Subscribed(subscription) = &self.state else { return };
        // A late request of our own search, to the same leader by another name; or an older one that
        // was given up, and lay in the network.
        let rivals =
            subscription.rivals && now.since(subscription.since) < self.options.subscribe_timeout;
        let by_rival = (rivals || now < self.strays_until) && means_failed_over(&message);
        if by_rival || means_too_slow(&message) {
            return self.closed(now, attempt, message, out);
        }
        self.finish(message, out);
    }

    /// The end, in the master's words.
    pub(super) fn finish(&mut self, message: String, out: &mut Out) {
        warn!(message, "the master ended the subscription");
        self.end(out);
        out.effect(Effect::Tell(Box::new(if means_removed(&message) {
            Event::Removed { message }
        } else {
            Event::Error { message }
        })));
    }

    /// The stream is gone, or good for nothing.
    pub(super) fn closed(&mut self, now: Mono, attempt: u64, why: String, out: &mut Out) {
        if self.stream() != Some(attempt) {
            return;
        }
        match std::mem::replace(&mut self.state, State::Ended) {
            State::Opening(opening) => self.not_opened(now, opening, &why, out),
            State::Subscribed(subscription) => {
                info!(why, "the subscription is lost");
                out.effect(Effect::Close { attempt });
                out.effect(Effect::Link(None));
                if subscription.tearing_down {
                    return self.await_teardown(now, &subscription, why);
                }
                self.lost(now, subscription.since, why, out);
            }
            other => self.state = other,
        }
    }

    /// Tells that a subscription is over which stood since `since`, and looks for the next.
    pub(super) fn lost(&mut self, now: Mono, since: Mono, why: String, out: &mut Out) {
        out.effect(Effect::Disconnected { why, renewing: false });
        self.state = State::Searching(self.hunt_after(now, since));
    }

    /// How to look for the next leader: fast, unless subscriptions keep breaking right away.
    fn hunt_after(&mut self, now: Mono, since: Mono) -> Hunt {
        let election = self.options.election_timeout;
        if now.since(since) >= election {
            self.short_lived = 0;
        } else {
            self.short_lived += 1;
        }
        let mut hunt = Hunt::after_loss(now, election);
        if self.short_lived > 1 {
            for _ in 1..self.short_lived.min(6) {
                hunt.back_off(now, &mut self.rng);
            }
        }
        hunt
    }

    /// A call was answered as if there were no subscription.
    pub(super) fn unsubscribed(
        &mut self,
        now: Mono,
        attempt: u64,
        call: call::Type,
        why: String,
        out: &mut Out,
    ) {
        if call == call::Type::Teardown {
            self.not_torn_down(now, out);
        }
        self.closed(now, attempt, why, out);
    }

    /// A call was turned down; the framework is told.
    pub(super) fn call_failed(&mut self, now: Mono, failed: Box<CallFailed>, out: &mut Out) {
        if self.is_ended() {
            return;
        }
        let call = failed.call.r#type();
        out.effect(Effect::Tell(Box::new(Event::CallFailed(failed))));
        if call == call::Type::Teardown {
            self.not_torn_down(now, out);
        }
    }

    /// Gives up on what has taken too long.
    pub(super) fn expire(&mut self, now: Mono, out: &mut Out) {
        let late: Vec<u64> = self
            .attempts
            .iter()
            .filter(|(_, attempt)| attempt.until <= now)
            .map(|(attempt, _)| *attempt)
            .collect();
        for attempt in late {
            self.strays_until = now + STRAYS_FOR;
            out.effect(Effect::Close { attempt });
            self.failed(now, attempt, "no answer in time", out);
        }
        match &self.state {
            State::Opening(Opening { attempt, until, .. }) if *until <= now => {
                self.closed(now, *attempt, "no SUBSCRIBED in time".to_owned(), out);
            }
            State::Subscribed(subscription)
                if now.since(subscription.heard) >= subscription.silence_max =>
            {
                let why = format!("the master was silent for {:?}", subscription.silence_max);
                self.closed(now, subscription.attempt, why, out);
            }
            State::TearingDown(tearing_down) if tearing_down.until <= now => {
                self.not_torn_down(now, out);
            }
            _ => {}
        }
        if self.leaving.as_ref().is_some_and(|leaving| leaving.until <= now) {
            self.leave(out);
        }
    }

    /// The attempt whose stream is open.
    pub(super) fn stream(&self) -> Option<u64> {
        match &self.state {
            State::Opening(opening) => Some(opening.attempt),
            State::Subscribed(subscription) => Some(subscription.attempt),
            State::Searching(_) | State::TearingDown(_) | State::Ended => None,
        }
    }
}

/// Whether a master closes the stream because it couldn't get rid of its events: not the end, the
/// framework subscribes again and reconciles.
fn means_too_slow(message: &str) -> bool {
    let message = message.to_ascii_lowercase();
    ["too slow", "slow reader", "queue is full", "queue full", "too many events"]
        .iter()
        .any(|text| message.contains(text))
}
