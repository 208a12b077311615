//! Which views there are, what they may be narrowed to, and who renders them.

use std::sync::atomic::Ordering;

use meros_master_core::{FrameworkView, Snapshot, Task};
use meros_plugin_api::authz::{Action, Object};
use meros_proto::caller::Caller;
use meros_proto::wire::Encoding;
use meros_shell::http::Query;
use serde::Serialize;

use crate::api::legacy::{agents, frameworks, metrics, roles, state, summary, task_page};
use crate::api::respond::Rendered;
use crate::api::views::{Source, Wanted};
use crate::api::{Authorization, operator};
use crate::identity::Identity;

/// Something to look at.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum View {
    /// `/state`: everything.
    State,
    /// `/state-summary`: everything, counted.
    StateSummary,
    /// `/slaves`, all or one.
    Slaves(Option<String>),
    /// `/frameworks`, all or one.
    Frameworks(Option<String>),
    /// `/tasks`, page by page.
    Tasks(task_page::Page),
    /// `/roles`.
    Roles,
    /// `/weights`.
    Weights,
    /// `/metrics/snapshot`: numbers in one flat object.
    MetricsSnapshot,
    /// `/metrics`: the same for Prometheus.
    Metrics,
    /// The numbers once more, for the operator API.
    OperatorMetrics(Encoding),
}

impl View {
    /// `/slaves?slave_id=`.
    pub(crate) fn slaves(query: &Query) -> Self {
        Self::Slaves(query.filled("slave_id").map(str::to_owned))
    }

    /// `/frameworks?framework_id=`.
    pub(crate) fn frameworks(query: &Query) -> Self {
        Self::Frameworks(query.filled("framework_id").map(str::to_owned))
    }

    /// `/tasks?limit=&offset=&order=&framework_id=&task_id=`.
    ///
    /// # Errors
    /// What is wrong with the query.
    pub(crate) fn tasks(query: &Query) -> Result<Self, String> {
        task_page::Page::from_query(query).map(Self::Tasks)
    }
}

/// Who looks: decides what is left out.
pub(super) struct Viewer<'a> {
    caller: &'a Caller,
    authorization: &'a Authorization,
}

impl<'a> Viewer<'a> {
    /// Whoever `caller` is, under these rules.
    pub(super) fn new(caller: &'a Caller, authorization: &'a Authorization) -> Self {
        Self { caller, authorization }
    }

    pub(super) fn sees_framework(&self, framework: &FrameworkView) -> bool {
        let object = Object::Framework(framework.id.as_str());
        self.authorization.authorize(self.caller, Action::ViewFramework, object)
    }

    pub(super) fn sees_task(&self, task: &Task) -> bool {
        let object = Object::Framework(task.framework.as_str());
        self.authorization.authorize(self.caller, Action::ViewTask, object)
    }

    pub(super) fn sees_role(&self, role: &str) -> bool {
        self.authorization.authorize(self.caller, Action::ViewRole, Object::Role(role))
    }
}

/// Renders a view of a snapshot. May take long: call it where nobody waits for the thread.
pub(crate) fn render(source: &Source, snapshot: &Snapshot, wanted: &Wanted) -> Rendered {
    let viewer = &Viewer::new(&wanted.viewer, &source.authorization);
    let identity = &*source.identity;
    let numbers = || metrics::numbers(snapshot, &source.counters);
    let text = match &wanted.view {
        View::State => {
            // About as long as the last time: growing by doubling would move all of it.
            let last = source.state_bytes.load(Ordering::Relaxed);
            let text = json_into(
                Vec::with_capacity(last + last / 16),
                &state::State::new(identity, snapshot, viewer),
            );
            source.state_bytes.store(text.len(), Ordering::Relaxed);
            text
        }
        View::StateSummary => json(&summary::Summary::new(identity, snapshot, viewer)),
        View::Slaves(only) => json(&agents::Slaves::new(snapshot, only.as_deref())),
        View::Frameworks(only) => {
            json(&frameworks::Frameworks::new(snapshot, viewer, only.as_deref()))
        }
        View::Tasks(page) => json(&task_page::Tasks::new(snapshot, viewer, page)),
        View::Roles => json(&roles::Roles::new(snapshot, viewer)),
        View::Weights => json(&roles::weights(snapshot, viewer)),
        View::MetricsSnapshot => json(&numbers()),
        View::Metrics => {
            let text = metrics::prometheus(&numbers()).into_bytes();
            return Rendered::new(metrics::PROMETHEUS, text, wanted.gzip);
        }
        View::OperatorMetrics(encoding) => {
            return operator::metrics_answer(numbers().iter(), *encoding, wanted.gzip);
        }
    };
    Rendered::json(text, wanted.gzip)
}

/// The body of `/flags`.
pub(crate) fn flags(identity: &Identity) -> Vec<u8> {
    json(&serde_json::json!({ "flags": identity.flags }))
}

fn json<T: Serialize>(view: &T) -> Vec<u8> {
    json_into(Vec::new(), view)
}

pub(super) fn json_into<T: Serialize>(mut text: Vec<u8>, view: &T) -> Vec<u8> {
    serde_json::to_writer(&mut text, view)
        .expect("views have text keys, and floats of any value are written");
    text
}
