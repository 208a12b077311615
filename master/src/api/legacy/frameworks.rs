//! Framework objects, and `/frameworks`.

use std::sync::Arc;

use meros_master_core::{FrameworkView, Offer, Snapshot, Task};
use meros_proto::v1;
use serde::Serialize;
use serde::ser::Serializer;

use crate::api::legacy::resources::ByName;
use crate::api::legacy::sequence::Sequence;
use crate::api::legacy::tasks::{self, ExecutorObject, TaskObject};
use crate::api::legacy::view::Viewer;
use crate::api::wire;

/// A framework with its tasks, decoded when it is written.
pub(super) struct FrameworkObject<'a> {
    framework: &'a FrameworkView,
    viewer: &'a Viewer<'a>,
}

#[derive(Serialize)]
struct Fields<'a, L, U, C, O> {
    id: &'a str,
    name: &'a str,
    used_resources: ByName<'a>,
    offered_resources: ByName<'a>,
    resources: ByName<'a>,
    capabilities: Vec<&'static str>,
    hostname: &'a str,
    webui_url: &'a str,
    active: bool,
    connected: bool,
    recovered: bool,
    user: &'a str,
    failover_timeout: f64,
    checkpoint: bool,
    registered_time: f64,
    unregistered_time: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    reregistered_time: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    principal: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    role: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    roles: Option<Vec<&'a str>>,
    tasks: L,
    unreachable_tasks: U,
    completed_tasks: C,
    offers: O,
    executors: Vec<ExecutorObject>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    labels: Vec<v1::Label>,
}

impl Serialize for FrameworkObject<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (framework, spec) = (self.framework, &self.framework.spec);
        let mut info: v1::FrameworkInfo = wire::kept(&spec.raw);
        let labels = tasks::labels(info.labels.take());
        let multi_role = spec.capabilities.multi_role;
        let held = framework.used.clone() + &framework.offered;
        Fields {
            id: framework.id.as_str(),
            name: &spec.name,
            used_resources: ByName(&framework.used),
            offered_resources: ByName(&framework.offered),
            resources: ByName(&held),
            capabilities: info.capabilities.iter().map(|one| one.r#type().as_str_name()).collect(),
            hostname: info.hostname(),
            webui_url: info.webui_url(),
            active: framework.active,
            connected: framework.connected,
            recovered: framework.recovered,
            user: &spec.user,
            failover_timeout: spec.failover_timeout.as_secs_f64(),
            checkpoint: spec.checkpoint,
            registered_time: framework.registered.as_secs_f64(),
            unregistered_time: framework.unregistered.map_or(0.0, |time| time.as_secs_f64()),
            reregistered_time: framework.reregistered.map(|time| time.as_secs_f64()),
            principal: spec.principal.as_deref(),
            role: spec.roles.first().filter(|_| !multi_role).map(|role| role.as_str()),
            roles: multi_role.then(|| spec.roles.iter().map(|role| role.as_str()).collect()),
            tasks: self.list(framework.tasks.iter()),
            unreachable_tasks: self.list(framework.unreachable_tasks.values()),
            completed_tasks: self.list(framework.completed_tasks.iter()),
            offers: Sequence(framework.offers.iter().map(|offer| OfferObject::new(offer))),
            executors: tasks::executors(framework.tasks.iter().map(Arc::as_ref)),
            labels,
        }
        .serialize(serializer)
    }
}

impl<'a> FrameworkObject<'a> {
    fn list<T>(&self, tasks: T) -> impl Serialize + use<'a, T>
    where
        T: Iterator<Item = &'a Arc<Task>> + Clone,
    {
        let viewer = self.viewer;
        let seen = tasks.map(Arc::as_ref).filter(move |task| viewer.sees_task(task));
        Sequence(seen.map(TaskObject))
    }
}

#[derive(Serialize)]
struct OfferObject<'a> {
    id: &'a str,
    framework_id: &'a str,
    allocation_info: AllocationObject<'a>,
    slave_id: &'a str,
    resources: ByName<'a>,
}

#[derive(Serialize)]
struct AllocationObject<'a> {
    role: &'a str,
}

impl<'a> OfferObject<'a> {
    fn new(offer: &'a Offer) -> Self {
        Self {
            id: offer.id.as_str(),
            framework_id: offer.framework.as_str(),
            allocation_info: AllocationObject { role: offer.role.as_str() },
            slave_id: offer.agent.as_str(),
            resources: ByName(&offer.resources),
        }
    }
}

/// The frameworks that the viewer may see.
pub(super) fn seen<'a>(
    frameworks: impl Iterator<Item = &'a FrameworkView> + Clone,
    viewer: &'a Viewer<'a>,
) -> impl Iterator<Item = FrameworkObject<'a>> + Clone {
    frameworks
        .filter(|framework| viewer.sees_framework(framework))
        .map(|framework| FrameworkObject { framework, viewer })
}

/// `/frameworks`.
pub(super) struct Frameworks<'a> {
    snapshot: &'a Snapshot,
    viewer: &'a Viewer<'a>,
    only: Option<&'a str>,
}

impl<'a> Frameworks<'a> {
    pub(super) fn new(
        snapshot: &'a Snapshot,
        viewer: &'a Viewer<'a>,
        only: Option<&'a str>,
    ) -> Self {
        Self { snapshot, viewer, only }
    }
}

impl Serialize for Frameworks<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Body<L, C> {
            frameworks: L,
            completed_frameworks: C,
            /// Always empty: there has been no such thing since Mesos 1.2.
            unregistered_frameworks: [(); 0],
        }
        let wanted =
            |framework: &&FrameworkView| self.only.is_none_or(|only| only == framework.id.as_str());
        let live = self.snapshot.frameworks.iter().filter(wanted);
        let completed = self.snapshot.completed_frameworks.iter().map(Arc::as_ref).filter(wanted);
        Body {
            frameworks: Sequence(seen(live, self.viewer)),
            completed_frameworks: Sequence(seen(completed, self.viewer)),
            unregistered_frameworks: [],
        }
        .serialize(serializer)
    }
}
