//! What the answers to one check of one task say.

use meros_proto::time::Timestamp;

/// What is known of one health check of a task.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct HealthRecord {
    /// When it first passed.
    pub first_success: Option<Timestamp>,
    /// When it last passed.
    pub last_success: Option<Timestamp>,
    /// When it last failed, where that counted.
    pub last_failure: Option<Timestamp>,
    /// Why.
    pub last_failure_cause: Option<String>,
    /// How many failures counted since it last passed.
    pub consecutive_failures: u32,
}

impl HealthRecord {
    /// Whether the last answer that counted was a good one.
    pub fn is_alive(&self) -> bool {
        match (self.last_success, self.last_failure) {
            (Some(success), Some(failure)) => success > failure,
            (success, _) => success.is_some(),
        }
    }

    /// Whether any answer counted yet.
    pub fn is_known(&self) -> bool {
        self.last_success.is_some() || self.last_failure.is_some()
    }

    /// The record after the check passed.
    pub(crate) fn passed(&mut self, at: Timestamp) {
        // Of two answers in the same instant, the later one must be seen to be.
        let at = self.last_failure.map_or(at, |failure| at.max(just_after(failure)));
        self.first_success = self.first_success.or(Some(at));
        self.last_success = Some(at);
        self.consecutive_failures = 0;
    }

    /// The record after a failure that counts.
    pub(crate) fn failed(&mut self, at: Timestamp, cause: &str) {
        self.last_failure = Some(self.last_success.map_or(at, |success| at.max(success)));
        self.last_failure_cause = Some(cause.to_owned());
        self.consecutive_failures = self.consecutive_failures.saturating_add(1);
    }
}

fn just_after(at: Timestamp) -> Timestamp {
    Timestamp::from_nanos(at.as_nanos().saturating_add(1))
}

/// The result of a check that is only shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CheckResult {
    /// Of a GET.
    Http {
        /// The status code; none: there was no answer.
        status: Option<u16>,
    },
    /// Of a connection.
    Tcp {
        /// Whether it came about; not known yet: none.
        succeeded: Option<bool>,
    },
    /// Of a command.
    Command {
        /// Its exit code; none: it hasn't ended yet.
        exit_code: Option<i32>,
    },
}
