//! Checks as a user describes them.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// How it is told that an instance works.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HealthCheck {
    /// Who asks, and how.
    pub kind: HealthCheckKind,
    /// How long failures don't count after the start, unless it was healthy before.
    pub grace_period: Duration,
    /// From one check to the next.
    pub interval: Duration,
    /// How long one check may take.
    pub timeout: Duration,
    /// How many failures in a row end the task. 0: none does.
    pub max_consecutive_failures: u32,
    /// From the start of the task to the first check (checks run by the agent).
    pub delay: Duration,
}

/// What a health check does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum HealthCheckKind {
    /// A GET, sent by Marathon: 200 to 399 is healthy.
    Http {
        /// Whether by TLS. Certificates aren't looked at.
        https: bool,
        /// What is asked for. `None` and empty: `/`.
        path: Option<String>,
        /// Which port is asked.
        port: CheckPort,
        /// Whether 100 to 199 says nothing, rather than that it is unhealthy.
        ignore_1xx: bool,
    },
    /// A connection, made by Marathon.
    Tcp {
        /// Which port is connected to.
        port: CheckPort,
    },
    /// A GET, sent by the agent.
    AgentHttp {
        /// What is asked for. `None` and empty: `/`.
        path: Option<String>,
        /// Which port is asked.
        port: CheckPort,
    },
    /// A GET by TLS, sent by the agent.
    AgentHttps {
        /// What is asked for. `None` and empty: `/`.
        path: Option<String>,
        /// Which port is asked.
        port: CheckPort,
    },
    /// A connection, made by the agent.
    AgentTcp {
        /// Which port is connected to.
        port: CheckPort,
    },
    /// A command, run by the agent: healthy when it exits with 0.
    Command {
        /// A shell command.
        command: String,
    },
}

impl HealthCheckKind {
    /// Whether Marathon itself asks, rather than the agent.
    pub fn is_run_here(&self) -> bool {
        matches!(self, Self::Http { .. } | Self::Tcp { .. })
    }
}

/// The port that a check asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum CheckPort {
    /// The host port with this place among the instance's, from 0.
    Index(u32),
    /// This one.
    Number(u16),
}

impl CheckPort {
    /// The port of an instance that has `ports`. `None`: it has none at that place.
    pub fn of(self, ports: &[u16]) -> Option<u16> {
        match self {
            Self::Number(number) => Some(number),
            Self::Index(at) => ports.get(usize::try_from(at).ok()?).copied(),
        }
    }
}

/// A check whose result is only shown. Run by the agent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatusCheck {
    /// What is done.
    pub kind: CheckKind,
    /// From one check to the next.
    pub interval: Duration,
    /// How long one check may take.
    pub timeout: Duration,
    /// From the start of the task to the first check.
    pub delay: Duration,
}

/// What a check does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum CheckKind {
    /// A GET, whose status code is shown.
    Http {
        /// What is asked for. `None` and empty: `/`.
        path: Option<String>,
        /// Which port is asked.
        port: CheckPort,
    },
    /// A connection.
    Tcp {
        /// Which port is connected to.
        port: CheckPort,
    },
    /// A command, whose exit code is shown.
    Command(CheckCommand),
}

/// The command of a check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum CheckCommand {
    /// Run by a shell.
    Shell(String),
    /// Run as it is, the program first.
    Argv(Vec<String>),
}
