//! What Marathon says of itself: `/ping`, `/v2/info`, `/v2/leader`, `/v2/plugins`.

use http::StatusCode;
use meros_plugin_api::authz::Action;
use meros_proto::versions::MARATHON_VERSION;
use serde_json::{Map, Value, json};

use super::desk::Api;
use super::errors::ApiError;
use super::http::{Reply, Request};

/// GET `/ping`: text, unless the client wants nothing but HTML. Clients that ask for JSON are
/// answered in text too: those in the field compare with the bare word.
pub(crate) fn ping(request: &Request) -> Reply {
    let html = request.accepts("text/html") && !request.accepts("text/plain");
    let media_type = if html { "text/html" } else { "text/plain" };
    Reply::typed(StatusCode::OK, media_type, "pong")
}

/// GET `/v2/leader`
pub(crate) fn leader(api: &Api, request: &Request) -> Result<Reply, ApiError> {
    api.gate.check(&request.caller, Action::ViewSystem, "/v2/leader")?;
    Ok(Reply::ok(&json!({"leader": api.leader})))
}

/// DELETE `/v2/leader`: there is nobody to hand over to.
pub(crate) fn abdicate(api: &Api, request: &Request) -> Result<Reply, ApiError> {
    api.gate.check(&request.caller, Action::UpdateSystem, "/v2/leader")?;
    Err(ApiError::not_found("This version runs one Marathon at a time: there is no other to lead."))
}

/// GET `/v2/plugins`
pub(crate) fn plugins() -> Reply {
    Reply::ok(&json!({"plugins": []}))
}

/// GET `/v2/info`
///
/// The keys of the three `*_config` objects are exactly Marathon's: clients construct from them.
pub(crate) async fn info(api: &Api, request: &Request) -> Result<Reply, ApiError> {
    api.gate.check(&request.caller, Action::ViewSystem, "/v2/info")?;
    let view = api.view().await?;
    Ok(Reply::ok(&json!({
        "name": "marathon",
        "version": MARATHON_VERSION,
        "buildref": "unknown",
        "elected": true,
        "leader": api.leader,
        "frameworkId": view.framework.as_ref().map(|id| id.as_str()),
        "marathon_config": marathon_config(api),
        "zookeeper_config": zookeeper_config(),
        "http_config": {"http_port": api.address.port(), "https_port": null},
    })))
}

fn marathon_config(api: &Api) -> Value {
    let config = &api.config;
    let core = &config.core;
    let millis = |span: std::time::Duration| u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
    let prefix = (!core.env_prefix.is_empty()).then_some(core.env_prefix.as_str());
    json!({
        "access_control_allow_origin": null,
        "checkpoint": true,
        "decline_offer_duration": millis(core.decline_offer),
        "default_network_name": null,
        "env_vars_prefix": prefix,
        "executor": "//cmd",
        "failover_timeout": config.failover_timeout.as_secs(),
        "features": [],
        "framework_name": config.framework_name,
        "ha": false,
        "hostname": config.hostname,
        "launch_token": core.launch_tokens,
        "launch_token_refresh_interval": millis(core.launch_token_refresh),
        "leader_proxy_connection_timeout_ms": 5_000,
        "leader_proxy_read_timeout_ms": 10_000,
        "local_port_max": core.service_ports.end(),
        "local_port_min": core.service_ports.start(),
        "master": config.masters.join(","),
        "max_instances_per_offer": core.max_instances_per_offer,
        "mesos_bridge_name": "mesos-bridge",
        "mesos_heartbeat_failure_threshold": 5,
        "mesos_heartbeat_interval": 15_000,
        "mesos_leader_ui_url": api.calls.link().map(|link| format!("http://{}", link.master)),
        "mesos_role": core.role,
        "mesos_user": config.mesos_user,
        "new_group_enforce_role": "off",
        "min_revive_offers_interval": millis(core.min_revive_interval),
        "offer_matching_timeout": 3_000,
        "on_elected_prepare_timeout": 180_000,
        "reconciliation_initial_delay": millis(core.reconcile_after),
        "reconciliation_interval": millis(core.reconcile_every),
        "scale_apps_initial_delay": 15_000,
        "scale_apps_interval": millis(core.scale_check_every),
        "store_cache": true,
        "task_launch_confirm_timeout": millis(core.launch_confirm_timeout),
        "task_launch_timeout": millis(core.launch_timeout),
        "task_lost_expunge_initial_delay": 300_000,
        "task_lost_expunge_interval": 30_000,
        "task_reservation_timeout": 20_000,
        "webui_url": null,
        "maintenance_mode": true,
    })
}

/// There is no ZooKeeper: every key is there, and null.
fn zookeeper_config() -> Value {
    let keys = [
        "zk",
        "zk_compression",
        "zk_compression_threshold",
        "zk_connection_timeout",
        "zk_max_node_size",
        "zk_max_versions",
        "zk_session_timeout",
        "zk_timeout",
    ];
    Value::Object(keys.map(|key| (key.to_owned(), Value::Null)).into_iter().collect::<Map<_, _>>())
}
