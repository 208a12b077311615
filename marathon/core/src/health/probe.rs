//! What the shell is asked to ask, and what it answers.
//!
//! Every probe is answered exactly once, in any order. An answer that comes when nobody waits for
//! it any more is nothing.

use std::time::Duration;

/// Names a probe. Never used again by the same process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProbeId(pub u64);

/// A question to an instance, whether it works.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Probe {
    /// Names it.
    pub id: ProbeId,
    /// Who is asked, and how.
    pub target: ProbeTarget,
    /// How long it may take, from when it is begun.
    pub timeout: Duration,
}

/// Who is asked, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProbeTarget {
    /// A GET: healthy at 200 to 399. Redirects aren't followed, certificates aren't looked at.
    Http {
        /// `http` or `https`.
        url: String,
        /// Whether 100 to 199 is [`ProbeOutcome::Ignored`].
        ignore_1xx: bool,
    },
    /// A connection.
    Tcp {
        /// A name or an address; without brackets.
        host: String,
        /// The port.
        port: u16,
    },
}

/// How a probe went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProbeOutcome {
    /// It works.
    Healthy,
    /// It doesn't, or didn't answer in time.
    Unhealthy {
        /// What went wrong, for people.
        cause: String,
    },
    /// The answer says nothing; or there was no room to ask.
    Ignored,
}

/// A question to an instance, whether it is ready to serve. A GET, as [`ProbeTarget::Http`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadinessProbe {
    /// Names it. Readiness probes and others never share an id.
    pub id: ProbeId,
    /// `http` or `https`.
    pub url: String,
    /// How long it may take, from when it is begun.
    pub timeout: Duration,
    /// Whether the body of the answer is wanted.
    pub keep_body: bool,
}

/// How a readiness probe went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReadinessOutcome {
    /// There was an answer.
    Answered {
        /// Its status code.
        status: u16,
        /// Its `Content-Type`; empty when it has none.
        content_type: String,
        /// Its body, as far as it is kept; empty when it isn't wanted.
        body: String,
    },
    /// There was none.
    Failed {
        /// What went wrong, for people.
        cause: String,
    },
}
