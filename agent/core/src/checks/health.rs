//! From answers to a task's health: Mesos's rules for when a failure counts and what is told.

use std::time::Duration;

use meros_proto::time::Mono;

use super::terms::HealthTerms;
use super::watch::Answer;

/// The health of one task.
#[derive(Debug, Clone, Copy)]
pub(super) struct Health {
    /// When the task began to run.
    since: Mono,
    /// The grace is for tasks that never were healthy.
    was_healthy: bool,
    /// In a row.
    failures: u32,
    /// What was told last is that it isn't healthy, perhaps by an earlier life of the agent.
    told_sick: bool,
}

/// What is to be told and done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Nothing has changed.
    AsBefore,
    /// It is healthy: for the first time, or again.
    Healthy,
    /// It is not. Told each time.
    Unhealthy {
        /// For people.
        why: String,
        /// Once too often.
        kill: bool,
    },
}

impl Health {
    pub(super) fn new(since: Mono, was_healthy: bool, told_sick: bool) -> Self {
        Self { since, was_healthy, failures: 0, told_sick }
    }

    /// Takes in an answer.
    pub(super) fn hear(&mut self, now: Mono, terms: &HealthTerms, answer: &Answer) -> Verdict {
        let Some(why) = failure(answer) else {
            let news = !self.was_healthy || self.told_sick;
            (self.was_healthy, self.failures, self.told_sick) = (true, 0, false);
            return if news { Verdict::Healthy } else { Verdict::AsBefore };
        };
        if !self.was_healthy && self.is_in_grace(now, terms.grace) {
            return Verdict::AsBefore;
        }
        self.failures += 1;
        self.told_sick = true;
        let why = format!("{why} ({} of {})", self.failures, terms.failures_max.max(1));
        Verdict::Unhealthy { why, kill: self.failures >= terms.failures_max }
    }

    fn is_in_grace(&self, now: Mono, grace: Duration) -> bool {
        !grace.is_zero() && now.since(self.since) <= grace
    }
}

/// Why an answer is no success.
fn failure(answer: &Answer) -> Option<String> {
    match answer {
        Answer::Exited(0) | Answer::Http(200..400) | Answer::Tcp(true) => None,
        Answer::Exited(code) => Some(format!("the command exited with status {code}")),
        Answer::Http(status) => Some(format!("the answer has HTTP status {status}")),
        Answer::Tcp(false) => Some("no TCP connection could be made".to_owned()),
        Answer::Failed(why) => Some(why.clone()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::{How, Pace};

    #[test]
    fn only_success_is_success() {
        for (answer, healthy) in [
            (Answer::Exited(0), true),
            (Answer::Exited(1), false),
            (Answer::Http(199), false),
            (Answer::Http(200), true),
            (Answer::Http(399), true),
            (Answer::Http(400), false),
            (Answer::Tcp(true), true),
            (Answer::Tcp(false), false),
            (Answer::Failed("timed out".to_owned()), false),
        ] {
            assert_eq!(failure(&answer).is_none(), healthy, "{answer:?}");
        }
    }

    #[test]
    fn failures_count_after_the_grace_or_after_a_success_and_are_told_each_time() {
        let zero = Duration::ZERO;
        let terms = HealthTerms {
            how: How::Command,
            pace: Pace { delay: zero, interval: zero, timeout: None },
            grace: Duration::from_secs(10),
            failures_max: 2,
        };
        let at = |seconds| Mono::default() + Duration::from_secs(seconds);
        let told = |answers: &[(u64, i32)]| -> String {
            let mut health = Health::new(at(0), false, false);
            let letter = |(seconds, code): &(u64, i32)| match health.hear(
                at(*seconds),
                &terms,
                &Answer::Exited(*code),
            ) {
                Verdict::AsBefore => '.',
                Verdict::Healthy => 'h',
                Verdict::Unhealthy { kill: false, .. } => 'u',
                Verdict::Unhealthy { kill: true, .. } => 'k',
            };
            answers.iter().map(letter).collect()
        };
        assert_eq!(told(&[(1, 1), (5, 1), (10, 1), (11, 1), (12, 1)]), "...uk");
        assert_eq!(told(&[(1, 0), (2, 0), (3, 1), (4, 0), (5, 0)]), "h.uh.");
        assert_eq!(told(&[(1, 0), (2, 1), (3, 1)]), "huk");
        assert_eq!(told(&[(11, 1), (12, 0), (13, 1), (14, 1)]), "uhuk");
        // An earlier life of the agent said that it was sick.
        let mut health = Health::new(at(0), true, true);
        let well = Answer::Exited(0);
        assert_eq!(health.hear(at(1), &terms, &well), Verdict::Healthy);
        assert_eq!(health.hear(at(2), &terms, &well), Verdict::AsBefore);
    }
}
