//! `/version`: what clients choose features by.

use meros_proto::versions::MESOS_VERSION;
use serde::Serialize;

use crate::identity::Identity;

/// The fields that name a build; pymesos compares `version` by integers.
#[derive(Debug, Serialize)]
pub(super) struct Build {
    version: &'static str,
    build_date: String,
    build_time: f64,
    build_user: &'static str,
    git_sha: &'static str,
    git_branch: &'static str,
    git_tag: &'static str,
}

impl Build {
    /// This build. It doesn't know when it was made: the time is that of the start.
    pub(super) fn of(identity: &Identity) -> Self {
        Self {
            version: MESOS_VERSION,
            build_date: identity.started.to_string(),
            build_time: identity.started.as_secs_f64(),
            build_user: "meros",
            git_sha: "",
            git_branch: "",
            git_tag: "",
        }
    }
}

/// The body of `/version`.
pub(crate) fn render(identity: &Identity) -> Vec<u8> {
    serde_json::to_vec(&Build::of(identity)).expect("texts and finite numbers are JSON")
}
