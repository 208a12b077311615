//! Searching: asking masters until one opens a stream.

use meros_proto::time::Mono;
use tracing::{debug, info, warn};

use super::{Attempt, Effect, Machine, Opening, Out, State};
use crate::driver::address::Address;
use crate::driver::answer::ToSubscribe;
use crate::driver::event::Event;

/// More redirects in a row than this are a circle.
const HOPS_MAX: u32 = 5;

impl Machine {
    /// Asks those whose turn it is.
    pub(super) fn search(&mut self, now: Mono, out: &mut Out) {
        let masters = self.masters();
        let State::Searching(hunt) = &mut self.state else { return };
        // Without an id one master is asked at a time, and a wave waits for the one before it.
        let one_at_a_time = self.framework_id.is_none();
        let wave_is_done = hunt.wave_is_over() && self.attempts.is_empty();
        if wave_is_done || !one_at_a_time {
            hunt.round(now, &masters, &mut self.rng);
        }
        let mut asked = Vec::new();
        while !(one_at_a_time && (asked.len() + self.attempts.len()) > 0) {
            let Some(master) = hunt.ask() else { break };
            if self.attempts.values().all(|attempt| attempt.master != master) {
                asked.push(master);
            }
        }
        for master in asked {
            self.ask(now, master, 0, out);
        }
    }

    /// Everybody who may lead: the configured ones, and the last leader.
    fn masters(&self) -> Vec<Address> {
        let learned = self.learned.iter().filter(|master| !self.configured.contains(master));
        learned.chain(&self.configured).cloned().collect()
    }

    fn ask(&mut self, now: Mono, master: Address, hops: u32, out: &mut Out) {
        self.last_attempt += 1;
        let within = self.options.subscribe_timeout;
        let attempt = Attempt { master: master.clone(), until: now + within, hops };
        self.attempts.insert(self.last_attempt, attempt);
        let call = Box::new(self.subscribe_call());
        out.effect(Effect::Subscribe { attempt: self.last_attempt, master, call, within });
    }

    /// A stream is open: the search is over, unless nothing good comes of it.
    pub(super) fn opened(
        &mut self,
        now: Mono,
        attempt: u64,
        stream_id: Option<String>,
        out: &mut Out,
    ) {
        let Some(asked) = self.attempts.remove(&attempt) else { return };
        let Some(stream_id) = stream_id else {
            out.effect(Effect::Close { attempt });
            self.unanswered(now, &asked.master, "its answer has no Mesos-Stream-Id", out);
            return;
        };
        let hunt = match std::mem::replace(&mut self.state, State::Ended) {
            State::Searching(hunt) => hunt,
            // Opening one closes all others, so none is in flight in any other state.
            other => return self.state = other,
        };
        let rivals = !self.attempts.is_empty();
        for attempt in std::mem::take(&mut self.attempts).into_keys() {
            out.effect(Effect::Close { attempt });
        }
        self.state = State::Opening(Opening {
            attempt,
            master: asked.master,
            stream_id,
            until: now + self.options.subscribe_timeout,
            rivals,
            hunt,
        });
    }

    /// An answer without a stream: a redirect, a "not now", or a "never".
    pub(super) fn answered(
        &mut self,
        now: Mono,
        attempt: u64,
        status: u16,
        location: Option<&str>,
        body: &str,
        out: &mut Out,
    ) {
        let Some(asked) = self.attempts.remove(&attempt) else { return };
        match ToSubscribe::of(status) {
            ToSubscribe::Redirected => self.redirected(now, &asked, location, out),
            ToSubscribe::Later => {
                self.unanswered(now, &asked.master, &described(status, body), out);
            }
            ToSubscribe::Never => {
                warn!(master = %asked.master, status, body, "the subscription was refused");
                self.end(out);
                out.effect(Effect::Tell(Box::new(Event::Error {
                    message: described(status, body),
                })));
            }
        }
    }

    fn redirected(&mut self, now: Mono, asked: &Attempt, location: Option<&str>, out: &mut Out) {
        let Some(leader) = location.and_then(Address::from_location) else {
            let why = format!("it redirects to {:?}", location.unwrap_or_default());
            return self.unanswered(now, &asked.master, &why, out);
        };
        if leader == asked.master || asked.hops >= HOPS_MAX {
            return self.unanswered(now, &asked.master, "its redirects lead in a circle", out);
        }
        debug!(master = %asked.master, %leader, "redirected");
        self.learned = Some(leader.clone());
        if self.attempts.values().all(|attempt| attempt.master != leader) {
            self.ask(now, leader, asked.hops + 1, out);
        }
    }

    /// No answer at all.
    pub(super) fn failed(&mut self, now: Mono, attempt: u64, why: &str, out: &mut Out) {
        if let Some(asked) = self.attempts.remove(&attempt) {
            self.unanswered(now, &asked.master, why, out);
        }
    }

    /// `master` is not the one, this time. The next in the wave is asked without delay.
    pub(super) fn unanswered(&mut self, now: Mono, master: &Address, why: &str, out: &mut Out) {
        info!(%master, why, "no subscription");
        self.search(now, out);
        if let State::Searching(hunt) = &mut self.state
            && self.attempts.is_empty()
            && hunt.wave_is_over()
            && hunt.fail()
        {
            warn!(%master, why, "no master takes the subscription: trying on");
        }
    }
}

/// The status, and the answer's first line if it has one.
fn described(status: u16, body: &str) -> String {
    match body.lines().next().map(str::trim).filter(|line| !line.is_empty()) {
        Some(line) => line.to_owned(),
        None => format!("the master answered {status}"),
    }
}
