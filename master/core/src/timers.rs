//! What is due when.

use std::collections::{BTreeMap, BTreeSet};

use meros_proto::time::Mono;

use crate::arena::{AgentIx, FrameworkIx};

/// Something that happens by itself. Each is set at most once at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Timer {
    /// A scheduler's stream wants its next heartbeat.
    Heartbeat(FrameworkIx),
    /// A disconnected framework has used up its failover timeout.
    Failover(FrameworkIx),
    /// An agent is to be pinged, or has missed a ping.
    Ping(AgentIx),
    /// Agents known from before the start have had their time to come back.
    RecoveredAgents,
    /// The registry is to forget what is too old.
    Forget,
}

/// The timers that are set.
#[derive(Debug, Default)]
pub(crate) struct Timers {
    queue: BTreeSet<(Mono, Timer)>,
    set: BTreeMap<Timer, Mono>,
}

impl Timers {
    /// Sets `timer`; if it was set before, that is void.
    pub(crate) fn set(&mut self, timer: Timer, at: Mono) {
        self.cancel(timer);
        self.set.insert(timer, at);
        self.queue.insert((at, timer));
    }

    pub(crate) fn cancel(&mut self, timer: Timer) {
        if let Some(at) = self.set.remove(&timer) {
            self.queue.remove(&(at, timer));
        }
    }

    /// Takes out one timer that is due.
    pub(crate) fn pop_due(&mut self, now: Mono) -> Option<Timer> {
        let (_, timer) = *self.queue.first().filter(|(at, _)| *at <= now)?;
        self.cancel(timer);
        Some(timer)
    }

    /// When the next one is due.
    pub(crate) fn next_due(&self) -> Option<Mono> {
        self.queue.first().map(|(at, _)| *at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arena::Dense;

    #[test]
    fn timers_come_due_in_order_and_only_as_last_set() {
        let at = Mono::from_nanos;
        let (first, second) = (Timer::Ping(AgentIx::of(1)), Timer::Ping(AgentIx::of(2)));
        let mut timers = Timers::default();
        timers.set(first, at(30));
        timers.set(second, at(20));
        timers.set(first, at(10));
        timers.set(Timer::RecoveredAgents, at(15));
        timers.cancel(Timer::RecoveredAgents);
        assert_eq!(timers.next_due(), Some(at(10)));
        assert_eq!(timers.pop_due(at(9)), None);
        assert_eq!(timers.pop_due(at(20)), Some(first));
        assert_eq!(timers.pop_due(at(20)), Some(second));
        assert_eq!(timers.pop_due(at(99)), None);
        assert_eq!(timers.next_due(), None);
    }
}
