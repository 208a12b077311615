//! Readiness as a user describes it, and as it is shown.

use std::collections::BTreeSet;
use std::time::Duration;

use meros_proto::ids::TaskId;
use serde::{Deserialize, Serialize};

/// How it is told, during a deployment, that an instance is ready to serve.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReadinessCheck {
    /// Its name, for those who look.
    pub name: String,
    /// Whether by TLS. Certificates aren't looked at.
    pub https: bool,
    /// What is asked for. Empty: `/`.
    pub path: String,
    /// The name of the port that is asked.
    pub port_name: String,
    /// From the end of one question to the next.
    pub interval: Duration,
    /// How long one question may take.
    pub timeout: Duration,
    /// The status codes that mean ready.
    pub ready_statuses: BTreeSet<u16>,
    /// Whether the last answer is shown.
    pub preserve_last_response: bool,
}

/// What is known of one readiness check of a task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadinessResult {
    /// The name of the check.
    pub name: String,
    /// The task that was asked.
    pub task: TaskId,
    /// Whether it was ready.
    pub ready: bool,
    /// What it answered, where that is kept.
    pub last_response: Option<ReadinessResponse>,
}

/// An answer to a readiness check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadinessResponse {
    /// Its status code; 504 when there was no answer.
    pub status: u16,
    /// Its `Content-Type`.
    pub content_type: String,
    /// Its body.
    pub body: String,
}
