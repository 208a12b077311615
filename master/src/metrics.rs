//! What the shell counts by itself: requests, and what it had to turn away or cut off.
//!
//! What happened to frameworks, agents and tasks is counted by the core and comes with its snapshot.

use std::sync::atomic::{AtomicU64, Ordering};

/// Declares counters: `Name = "key of /metrics/snapshot"`.
macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident = $key:literal,)*) => {
        /// What can be counted.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(crate) enum Counter {
            $($(#[$doc])* $name,)*
        }

        impl Counter {
            const ALL: &'static [(Counter, &'static str)] = &[$((Counter::$name, $key),)*];
        }
    };
}

counters! {
    /// HTTP requests of any kind; gRPC streams are not among them.
    HttpRequests = "master/http_requests",
    /// Requests that were answered 503 because too many were waiting.
    CallsTurnedAway = "master/http_requests_turned_away",
    /// Scheduler streams that were closed because their reader was too slow.
    StreamsOverflown = "master/dropped_scheduler_streams",
    /// Agents' links that were dropped because too much waited for them.
    LinksOverflown = "master/dropped_agent_links",
    /// Agents' links that were cut because what they sent made no sense.
    LinksCutOff = "master/invalid_agent_links",
    /// Status updates that agents sent.
    StatusUpdates = "master/messages_status_update",
    /// Registrations that agents asked for.
    Registrations = "master/messages_register_slave",
    /// Answers to pings.
    Pongs = "master/messages_pong",
    /// Agents that said they leave.
    Unregistrations = "master/messages_unregister_slave",
    /// Executors that ended.
    ExecutorsExited = "master/messages_exited_executor",
    /// Messages of executors to their schedulers.
    ExecutorMessages = "master/messages_executor_to_framework",
}

/// The counters of one master.
#[derive(Debug)]
pub(crate) struct Counters([AtomicU64; Counter::ALL.len()]);

impl Counters {
    pub(crate) fn new() -> Self {
        Self(std::array::from_fn(|_| AtomicU64::new(0)))
    }

    /// Counts one.
    pub(crate) fn add(&self, counter: Counter) {
        self.0[counter as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// All counts under their keys.
    pub(crate) fn read(&self) -> impl Iterator<Item = (&'static str, u64)> {
        Counter::ALL
            .iter()
            .map(|(counter, key)| (*key, self.0[*counter as usize].load(Ordering::Relaxed)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_counter_has_its_own_place_and_key() {
        let counters = Counters::new();
        counters.add(Counter::HttpRequests);
        counters.add(Counter::ExecutorMessages);
        counters.add(Counter::ExecutorMessages);
        let counts: Vec<_> = counters.read().filter(|(_, count)| *count > 0).collect();
        assert_eq!(
            counts,
            [("master/http_requests", 1), ("master/messages_executor_to_framework", 2)]
        );
    }
}
