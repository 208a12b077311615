//! `/metrics` in Marathon's JSON, and `/metrics/prometheus` in text.

use std::fmt::Write;

use http::StatusCode;
use meros_marathon_core::view::View;
use meros_plugin_api::authz::Action;
use serde_json::{Map, Value, json};

use super::desk::Api;
use super::errors::ApiError;
use super::http::{Reply, Request};
use super::model::task_view::Counts;

/// GET `/metrics`: JSON, but text for a scraper that asks for Prometheus's formats.
pub(crate) async fn show(api: &Api, request: &Request) -> Result<Reply, ApiError> {
    if request.accepts("application/openmetrics-text") {
        return prometheus(api, request).await;
    }
    api.gate.check(&request.caller, Action::GetEndpoint, "/metrics")?;
    let view = api.view().await?;
    let as_object = |numbers: Vec<(String, u64)>, key: &str| -> Map<String, Value> {
        numbers.into_iter().map(|(name, value)| (name, json!({key: value}))).collect()
    };
    Ok(Reply::ok(&json!({
        "version": "4.0.0",
        "gauges": as_object(gauges(api, &view), "value"),
        "counters": as_object(api.metrics.counters(), "count"),
        "histograms": {},
        "meters": {},
        "timers": {},
    })))
}

/// GET `/metrics/prometheus`
pub(crate) async fn prometheus(api: &Api, request: &Request) -> Result<Reply, ApiError> {
    api.gate.check(&request.caller, Action::GetEndpoint, "/metrics")?;
    let view = api.view().await?;
    let mut text = String::new();
    for (kind, numbers) in [("gauge", gauges(api, &view)), ("counter", api.metrics.counters())] {
        for (name, value) in numbers {
            let name = name.replace(['.', '-'], "_");
            writeln!(text, "# TYPE {name} {kind}\n{name} {value}")
                .expect("writing into memory doesn't fail");
        }
    }
    Ok(Reply::typed(StatusCode::OK, "text/plain; version=0.0.4; charset=utf-8", text))
}

/// Sizes of things, as `view` has them.
fn gauges(api: &Api, view: &View) -> Vec<(String, u64)> {
    let instances = view.instances.values().flat_map(|instances| instances.values());
    let counts = Counts::of(instances.map(AsRef::as_ref));
    let uptime = (api.now().as_millis().saturating_sub(api.started.as_millis())) / 1_000;
    let sizes = [
        ("marathon.apps.active.gauge", view.root.apps.len()),
        ("marathon.pods.active.gauge", 0),
        ("marathon.groups.active.gauge", view.root.groups.len()),
        ("marathon.deployments.active.gauge", view.deployments.len()),
        ("marathon.instances.running.gauge", counts.running),
        ("marathon.instances.staged.gauge", counts.staged),
    ];
    let times = ["marathon.uptime.gauge.seconds", "marathon.leadership.duration.gauge.seconds"];
    let sizes = sizes.into_iter().map(|(name, size)| (name.to_owned(), size as u64));
    let times = times.into_iter().map(|name| (name.to_owned(), uptime));
    sizes.chain(times).chain(api.metrics.gauges()).collect()
}
