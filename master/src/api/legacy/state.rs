//! `/state`: everything, in one object.

use std::collections::BTreeMap;
use std::sync::Arc;

use meros_master_core::Snapshot;
use serde::Serialize;
use serde::ser::Serializer;

use crate::api::legacy::sequence::Sequence;
use crate::api::legacy::version::Build;
use crate::api::legacy::view::Viewer;
use crate::api::legacy::{agents, frameworks};
use crate::identity::Identity;

/// The whole state, decoded while it is written.
pub(super) struct State<'a> {
    identity: &'a Identity,
    snapshot: &'a Snapshot,
    viewer: &'a Viewer<'a>,
}

#[derive(Serialize)]
struct Fields<'a, S, R, F, C> {
    #[serde(flatten)]
    build: Build,
    #[serde(flatten)]
    head: Head<'a>,
    slaves: S,
    recovered_slaves: R,
    frameworks: F,
    completed_frameworks: C,
    /// Always empty, as in every Mesos since 1.2.
    orphan_tasks: [(); 0],
    unregistered_frameworks: [(); 0],
}

#[derive(Serialize)]
struct Head<'a> {
    start_time: f64,
    elected_time: f64,
    id: &'a str,
    pid: String,
    hostname: &'a str,
    capabilities: [&'static str; 0],
    activated_slaves: usize,
    deactivated_slaves: usize,
    unreachable_slaves: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    cluster: Option<&'a str>,
    leader: String,
    leader_info: LeaderInfo<'a>,
    flags: &'a BTreeMap<String, String>,
}

#[derive(Serialize)]
struct LeaderInfo<'a> {
    id: &'a str,
    pid: String,
    port: u16,
    hostname: &'a str,
}

impl<'a> State<'a> {
    pub(super) fn new(
        identity: &'a Identity,
        snapshot: &'a Snapshot,
        viewer: &'a Viewer<'a>,
    ) -> Self {
        Self { identity, snapshot, viewer }
    }

    fn head(&self) -> Head<'a> {
        let (identity, snapshot) = (self.identity, self.snapshot);
        let activated = snapshot.agents.iter().filter(|agent| agent.active).count();
        Head {
            start_time: identity.started.as_secs_f64(),
            elected_time: identity.started.as_secs_f64(),
            id: identity.id.as_str(),
            pid: identity.pid(),
            hostname: &identity.hostname,
            capabilities: [],
            activated_slaves: activated,
            deactivated_slaves: snapshot.agents.len() - activated,
            unreachable_slaves: snapshot.unreachable_agents.len(),
            cluster: identity.cluster.as_deref(),
            leader: identity.pid(),
            leader_info: LeaderInfo {
                id: identity.id.as_str(),
                pid: identity.pid(),
                port: identity.address.port(),
                hostname: &identity.hostname,
            },
            flags: &identity.flags,
        }
    }
}

impl Serialize for State<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let completed = self.snapshot.completed_frameworks.iter().map(Arc::as_ref);
        Fields {
            build: Build::of(self.identity),
            head: self.head(),
            slaves: Sequence(agents::all(self.snapshot)),
            recovered_slaves: Sequence(agents::recovered(self.snapshot)),
            frameworks: Sequence(frameworks::seen(self.snapshot.frameworks.iter(), self.viewer)),
            completed_frameworks: Sequence(frameworks::seen(completed, self.viewer)),
            orphan_tasks: [],
            unregistered_frameworks: [],
        }
        .serialize(serializer)
    }
}
