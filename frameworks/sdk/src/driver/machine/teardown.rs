//! TEARDOWN: the master may end the stream before it answers the call, so a stream that ends
//! meanwhile is no reason to look for the next leader.

use meros_proto::time::Mono;

use super::{Machine, Out, State, Subscription};

/// A subscription that ended after TEARDOWN was sent.
#[derive(Debug)]
pub(super) struct TearingDown {
    attempt: u64,
    since: Mono,
    /// When the answer isn't waited for any more.
    pub(super) until: Mono,
    /// Why the stream ended.
    why: String,
}

impl Machine {
    /// TEARDOWN is about to be sent.
    pub(super) fn tearing_down(&mut self, attempt: u64) {
        if let State::Subscribed(subscription) = &mut self.state
            && subscription.attempt == attempt
        {
            subscription.tearing_down = true;
        }
    }

    /// The stream is gone, and the answer to TEARDOWN on its way.
    pub(super) fn await_teardown(&mut self, now: Mono, lost: &Subscription, why: String) {
        self.state = State::TearingDown(TearingDown {
            attempt: lost.attempt,
            since: lost.since,
            until: now + self.options.subscribe_timeout,
            why,
        });
    }

    /// The framework is no more, as it wished.
    pub(super) fn torn_down(&mut self, attempt: u64, out: &mut Out) {
        let waiting = matches!(&self.state, State::TearingDown(down) if down.attempt == attempt);
        if waiting || self.stream() == Some(attempt) {
            self.end(out);
        }
    }

    /// TEARDOWN came to nothing: a stream that ended meanwhile was lost like any other.
    pub(super) fn not_torn_down(&mut self, now: Mono, out: &mut Out) {
        match std::mem::replace(&mut self.state, State::Ended) {
            State::TearingDown(TearingDown { since, why, .. }) => self.lost(now, since, why, out),
            State::Subscribed(subscription) => {
                self.state =
                    State::Subscribed(Subscription { tearing_down: false, ..subscription });
            }
            other => self.state = other,
        }
    }
}
