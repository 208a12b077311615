//! What answers probes: the tasks' ports, as far as Marathon can tell.
//!
//! Where a task listens is its agent's host name and port. One that is sick fails; the others answer
//! well, but for the share that [`Manners`] asks for.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use meros_marathon_core::health::{
    Probe, ProbeOutcome, ProbeTarget, ReadinessOutcome, ReadinessProbe,
};
use meros_marathon_core::input::Input;
use meros_proto::time::{Mono, Now};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

/// How services answer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Manners {
    /// The share of probes that fail for no reason.
    pub failing: f64,
    /// The share of readiness probes that say no.
    pub unready: f64,
    /// The share of readiness probes that nobody answers.
    pub silent: f64,
    /// How long an answer takes at most.
    pub sluggish: Duration,
}

impl Manners {
    /// All is well.
    pub(crate) const GOOD: Self =
        Self { failing: 0.0, unready: 0.0, silent: 0.0, sluggish: Duration::from_millis(50) };
}

#[derive(Debug)]
pub(crate) struct Services {
    rng: StdRng,
    pub(crate) manners: Manners,
    /// Those that fail, as `host:port`.
    pub(crate) sick: BTreeSet<String>,
    /// Those that answer nothing that means anything.
    pub(crate) vague: BTreeSet<String>,
    /// What was asked, and when.
    pub(crate) asked: Vec<(Mono, String)>,
    answers: BTreeMap<(Mono, u64), Input>,
    answered: u64,
}

impl Services {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            rng: StdRng::seed_from_u64(seed),
            manners: Manners::GOOD,
            sick: BTreeSet::new(),
            vague: BTreeSet::new(),
            asked: Vec::new(),
            answers: BTreeMap::new(),
            answered: 0,
        }
    }

    /// Takes a question whether a service works.
    pub(crate) fn probe(&mut self, now: Now, probe: Probe) {
        let (what, place) = match probe.target {
            ProbeTarget::Http { url, .. } => (url.clone(), place_of(&url)),
            ProbeTarget::Tcp { host, port } => {
                (format!("tcp://{host}:{port}"), format!("{host}:{port}"))
            }
        };
        self.asked.push((now.mono, what));
        let sick = self.sick.contains(&place) || self.rng.random_bool(self.manners.failing);
        let outcome = match sick {
            _ if self.vague.contains(&place) => ProbeOutcome::Ignored,
            true => ProbeOutcome::Unhealthy { cause: "500 Internal Server Error".into() },
            false => ProbeOutcome::Healthy,
        };
        self.later(now, Input::Probed { id: probe.id, outcome });
    }

    /// Takes a question whether a service is ready.
    pub(crate) fn readiness(&mut self, now: Now, probe: ReadinessProbe) {
        self.asked.push((now.mono, probe.url.clone()));
        let unready = self.rng.random_bool(self.manners.unready);
        let outcome = match self.rng.random_bool(self.manners.silent) {
            true => ReadinessOutcome::Failed { cause: "connection refused".into() },
            false => ReadinessOutcome::Answered {
                status: if unready { 503 } else { 200 },
                content_type: "text/plain".into(),
                body: if probe.keep_body { "hello".into() } else { String::new() },
            },
        };
        self.later(now, Input::ReadinessProbed { id: probe.id, outcome });
    }

    /// The process that asked is gone.
    pub(crate) fn forget(&mut self) {
        self.answers.clear();
    }

    /// When the next answer comes.
    pub(crate) fn next_at(&self) -> Option<Mono> {
        self.answers.keys().next().map(|(at, _)| *at)
    }

    /// All answers by now.
    pub(crate) fn hear(&mut self, now: Now) -> Vec<Input> {
        let mut heard = Vec::new();
        while let Some(entry) = self.answers.first_entry() {
            if entry.key().0 > now.mono {
                break;
            }
            heard.push(entry.remove());
        }
        heard
    }

    fn later(&mut self, now: Now, answer: Input) {
        let after = self.manners.sluggish.mul_f64(self.rng.random_range(0.0..1.0));
        self.answered += 1;
        self.answers.insert((now.mono + after, self.answered), answer);
    }
}

/// `host:port` of a URL.
fn place_of(url: &str) -> String {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    rest.split('/').next().unwrap_or_default().to_owned()
}
