//! What is to happen at a later time.
//!
//! A timer has one time: setting it again moves it. Whoever acts on one looks again whether there
//! is still something to do.

use std::collections::{BTreeMap, BTreeSet};

use meros_proto::ids::TaskId;
use meros_proto::time::Mono;

use crate::instances::InstanceId;
use crate::path_id::PathId;

/// What is to happen.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Timer {
    /// An app's launches need wait no longer.
    DelayOver(PathId),
    /// An app has run for so long that its delay is forgotten.
    DelayForgotten(PathId),
    /// A launch takes too long.
    LaunchOverdue(InstanceId),
    /// An unreachable instance is replaced.
    Inactive(InstanceId),
    /// An unreachable instance is given up.
    Expunge(InstanceId),
    /// A health check of an instance is to be asked, by its place among those of its definition.
    HealthCheck(InstanceId, u32),
    /// A readiness check of an instance is to be asked, likewise.
    Readiness(InstanceId, u32),
    /// A kill was not answered.
    KillRetry(TaskId),
    /// All tasks are compared with what the master knows.
    Reconcile,
    /// All apps are compared with their goals.
    ScaleCheck,
    /// Launch tokens are filled up.
    RefillTokens,
    /// A role may be revived again.
    Revive(String),
    /// A role was revived a while ago and still has no offers that fit.
    ReviveAgain(String),
}

/// The timers that are set.
#[derive(Debug, Default)]
pub(crate) struct Timers {
    by_time: BTreeSet<(Mono, Timer)>,
    set: BTreeMap<Timer, Mono>,
}

impl Timers {
    /// Sets `timer` to `at`, whatever it was set to before.
    pub(crate) fn set(&mut self, timer: Timer, at: Mono) {
        self.cancel(&timer);
        self.by_time.insert((at, timer.clone()));
        self.set.insert(timer, at);
    }

    /// Sets `timer` to `at`, unless it is set.
    pub(crate) fn set_once(&mut self, timer: Timer, at: Mono) {
        if !self.set.contains_key(&timer) {
            self.set(timer, at);
        }
    }

    /// Makes sure that `timer` is not set.
    pub(crate) fn cancel(&mut self, timer: &Timer) {
        if let Some((timer, at)) = self.set.remove_entry(timer) {
            self.by_time.remove(&(at, timer));
        }
    }

    /// Takes out the earliest timer that is due.
    pub(crate) fn take_due(&mut self, now: Mono) -> Option<Timer> {
        let (at, _) = self.by_time.first()?;
        if *at > now {
            return None;
        }
        let (_, timer) = self.by_time.pop_first()?;
        self.set.remove(&timer);
        Some(timer)
    }

    /// When the next one is due.
    pub(crate) fn next(&self) -> Option<Mono> {
        self.by_time.first().map(|(at, _)| *at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timers_come_out_in_order_of_their_last_times() {
        let at = Mono::from_nanos;
        let mut timers = Timers::default();
        timers.set(Timer::Reconcile, at(5));
        timers.set(Timer::ScaleCheck, at(3));
        timers.set(Timer::Reconcile, at(2));
        timers.set_once(Timer::Reconcile, at(1));
        timers.set(Timer::RefillTokens, at(1));
        timers.cancel(&Timer::RefillTokens);
        assert_eq!(timers.next(), Some(at(2)));
        assert_eq!(timers.take_due(at(1)), None);
        assert_eq!(timers.take_due(at(9)), Some(Timer::Reconcile));
        assert_eq!(timers.take_due(at(9)), Some(Timer::ScaleCheck));
        assert_eq!(timers.take_due(at(9)), None);
    }
}
