//! What the driver decides: whom to subscribe to, when a master is lost, when it is over.
//!
//! ```text
//!            ┌────────────── every attempt failed: wait, ask again ◄─┐
//!            ▼                                                       │
//!        Searching ── a stream opens ──► Opening ── closed, silent ──┘
//!            ▲                              │ SUBSCRIBED
//!            │ closed, silent, unsubscribed ▼
//!            ├───────────────────────── Subscribed ── ERROR, stop ──► Ended
//!            │                              │ closed after TEARDOWN was sent   ▲
//!            └── refused, unanswered ── TearingDown ── it was taken ──────────┘
//! ```
//!
//! Several attempts may be in flight while searching, but only once the framework has an id: without
//! one, two masters could make two frameworks of it. The first stream that opens ends the others.
//!
//! A framework that describes itself anew to a master without UPDATE_FRAMEWORK is subscribed anew:
//! see [`renew`].
//!
//! Deliberately absent: the calls themselves. They flow past the machine, see
//! [`Effect::Link`]; it is told of the answers that say something about the subscription.

mod effect;
mod input;
mod renew;
mod search;
mod subscribe;
mod subscribed;
mod teardown;

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::time::Duration;

use meros_proto::ids::FrameworkId;
use meros_proto::machine::{Core, Outputs};
use meros_proto::time::{Mono, Now};
use meros_proto::v1;
use rand::SeedableRng;
use rand::rngs::StdRng;

use renew::Leaving;
use teardown::TearingDown;

use super::address::{Address, AddressError};
use super::hunt::Hunt;
use super::options::Options;

pub use effect::Effect;
pub use input::Input;

/// What the machine asks for; it keeps no records.
pub type Out = Outputs<Infallible, Effect>;

/// The driver's decisions. See the [module](self).
#[derive(Debug)]
pub struct Machine {
    options: Options,
    configured: Vec<Address>,
    /// The leader that was last heard of, if it isn't among the configured.
    learned: Option<Address>,
    framework_id: Option<FrameworkId>,
    state: State,
    attempts: BTreeMap<u64, Attempt>,
    last_attempt: u64,
    /// Attempts up to this one described the framework as it was before a change.
    described_after: u64,
    /// A stream that is left for one that describes the framework as it is now.
    leaving: Option<Leaving>,
    ever_subscribed: bool,
    /// Until then a SUBSCRIBE that was given up may still reach a master, and take the place of a
    /// later one.
    strays_until: Mono,
    /// Subscriptions in a row that were lost sooner than an election takes.
    short_lived: u32,
    rng: StdRng,
}

/// A SUBSCRIBE that was sent and not answered yet.
#[derive(Debug)]
struct Attempt {
    master: Address,
    until: Mono,
    /// Redirects that led here.
    hops: u32,
}

#[derive(Debug)]
enum State {
    /// Looking for the leader.
    Searching(Hunt),
    /// A stream is open, and nothing was said on it yet.
    Opening(Opening),
    /// Events come.
    Subscribed(Subscription),
    /// The stream ended after TEARDOWN was sent, and that isn't answered yet.
    TearingDown(TearingDown),
    /// Nothing will ever happen again.
    Ended,
}

#[derive(Debug)]
struct Opening {
    attempt: u64,
    master: Address,
    stream_id: String,
    until: Mono,
    /// Whether other masters were asked at the same time: one of those requests may arrive at the
    /// same leader by another name, and take this one's place.
    rivals: bool,
    hunt: Hunt,
}

#[derive(Debug)]
struct Subscription {
    attempt: u64,
    since: Mono,
    heard: Mono,
    silence_max: Duration,
    rivals: bool,
    /// Whether TEARDOWN was sent and not answered yet.
    tearing_down: bool,
}

impl Machine {
    /// A machine that hasn't asked anybody yet; its first [`Core::round`] does.
    ///
    /// # Errors
    /// When `options` name no master, or one by what isn't an address.
    pub fn new(options: Options, now: Now, seed: u64) -> Result<Self, AddressError> {
        let mut configured = Vec::new();
        for address in options.addresses()? {
            if !configured.contains(&address) {
                configured.push(address);
            }
        }
        let framework_id =
            options.framework.id.as_ref().and_then(|id| FrameworkId::try_from(id).ok());
        Ok(Self {
            configured,
            learned: None,
            framework_id,
            state: State::Searching(Hunt::first(now.mono)),
            attempts: BTreeMap::new(),
            last_attempt: 0,
            described_after: 0,
            leaving: None,
            ever_subscribed: false,
            strays_until: now.mono,
            short_lived: 0,
            rng: StdRng::seed_from_u64(seed),
            options,
        })
    }

    /// Whether it is over: a terminal event was told, or the driver was stopped.
    pub fn is_ended(&self) -> bool {
        matches!(self.state, State::Ended)
    }

    /// The framework's id, once a master has given it one.
    pub fn framework_id(&self) -> Option<&FrameworkId> {
        self.framework_id.as_ref()
    }

    /// Ends it all; what is still open is closed.
    fn end(&mut self, out: &mut Out) {
        for attempt in std::mem::take(&mut self.attempts).into_keys() {
            out.effect(Effect::Close { attempt });
        }
        self.leave(out);
        match &self.state {
            State::Opening(Opening { attempt, .. }) => {
                out.effect(Effect::Close { attempt: *attempt });
            }
            State::Subscribed(Subscription { attempt, .. }) => {
                out.effect(Effect::Close { attempt: *attempt });
                out.effect(Effect::Link(None));
            }
            State::Searching(_) | State::TearingDown(_) | State::Ended => {}
        }
        self.state = State::Ended;
    }

    fn subscribe_call(&self) -> v1::scheduler::Call {
        let mut framework_info = self.options.framework.clone();
        framework_info.id = self.framework_id.as_ref().map(FrameworkId::to_proto);
        v1::scheduler::Call {
            framework_id: framework_info.id.clone(),
            r#type: Some(v1::scheduler::call::Type::Subscribe.into()),
            subscribe: Some(v1::scheduler::call::Subscribe {
                framework_info: Some(framework_info),
                suppressed_roles: self.options.suppressed_roles.clone(),
                offer_constraints: self.options.offer_constraints.clone(),
            }),
            ..v1::scheduler::Call::default()
        }
    }
}

impl Core for Machine {
    type Input = Input;
    type Record = Infallible;
    type Effect = Effect;

    fn handle(&mut self, now: Now, input: Input, out: &mut Out) {
        let now = now.mono;
        match input {
            Input::Opened { attempt, stream_id } => self.opened(now, attempt, stream_id, out),
            Input::Answered { attempt, status, location, body } => {
                self.answered(now, attempt, status, location.as_deref(), &body, out);
            }
            Input::Failed { attempt, why } => self.failed(now, attempt, &why, out),
            Input::Event { attempt, event, record } => {
                self.event(now, attempt, *event, record, out);
            }
            Input::Closed { attempt, why } => self.closed(now, attempt, why, out),
            Input::Unsubscribed { attempt, call, why } => {
                self.unsubscribed(now, attempt, call, why, out);
            }
            Input::CallFailed { failed } => self.call_failed(now, failed, out),
            Input::FrameworkChanged { attempt, update, taken } => {
                self.framework_changed(attempt, *update, taken);
            }
            Input::TearingDown { attempt } => self.tearing_down(attempt),
            Input::TornDown { attempt } => self.torn_down(attempt, out),
            Input::Stop => self.end(out),
        }
    }

    fn round(&mut self, now: Now, out: &mut Out) {
        let now = now.mono;
        self.expire(now, out);
        self.renew(now, out);
        self.search(now, out);
    }

    fn deadline(&self) -> Option<Mono> {
        let first_attempt = self.attempts.values().map(|attempt| attempt.until).min();
        let state = match &self.state {
            // Without an id the next wave waits for the one before it.
            State::Searching(_) if self.framework_id.is_none() && !self.attempts.is_empty() => None,
            State::Searching(hunt) => Some(hunt.next()),
            State::Opening(opening) => Some(opening.until),
            State::Subscribed(subscription) => Some(subscription.heard + subscription.silence_max),
            State::TearingDown(tearing_down) => Some(tearing_down.until),
            State::Ended => None,
        };
        let leaving = self.leaving.as_ref().map(|leaving| leaving.until);
        [state, first_attempt, leaving].into_iter().flatten().min()
    }
}

#[cfg(test)]
mod tests;
