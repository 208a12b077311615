//! Deadlines, soonest first. A timer isn't taken back: whoever it wakes checks whether it still holds.

use std::collections::BTreeSet;

use meros_proto::time::Mono;

use crate::checks::Purpose;
use crate::task::TaskKey;

/// What is due.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Timer {
    /// The head of a task's updates was not acknowledged in time.
    Retry(TaskKey),
    /// A task has run for as long as it may.
    Completion(TaskKey),
    /// A running task is to be looked at.
    Check(TaskKey, Purpose),
    /// Nothing was heard from the master for too long.
    Silence,
    /// The last updates were given time enough to be acknowledged.
    Farewell,
}

/// All deadlines of the agent.
#[derive(Debug, Default)]
pub(crate) struct Timers(BTreeSet<(Mono, Timer)>);

impl Timers {
    pub(crate) fn set(&mut self, due: Mono, timer: Timer) {
        self.0.insert((due, timer));
    }

    /// Takes the next timer that is due at `now`.
    pub(crate) fn take_due(&mut self, now: Mono) -> Option<(Mono, Timer)> {
        let is_due = self.0.first().is_some_and(|(due, _)| *due <= now);
        if is_due { self.0.pop_first() } else { None }
    }

    pub(crate) fn next(&self) -> Option<Mono> {
        self.0.first().map(|(due, _)| *due)
    }
}
