//! Events as they are sent: Marathon's names and fields.
//!
//! No other event types exist on purpose: clients raise on those that they don't know.

use meros_marathon_core::events::{Event, EventKind};
use meros_marathon_core::instances::IpAddress;
use serde::Serialize;
use serde_json::{Value, json};

use super::deployment_view::{PlanView, StepView};
use super::health_check::HealthCheckView;
use super::task_view::IpAddressView;

/// The type and the body of an event, without the two fields that all have.
fn parts(kind: &EventKind) -> (&'static str, Value) {
    match kind {
        EventKind::StatusUpdate {
            agent,
            task,
            state,
            message,
            app,
            host,
            addresses,
            ports,
            version,
        } => (
            "status_update_event",
            json!({
                "slaveId": agent.as_str(), "taskId": task.as_str(),
                "taskStatus": state.as_str_name(), "message": message, "appId": app, "host": host,
                "ipAddresses": shown(addresses), "ports": ports, "version": version,
            }),
        ),
        EventKind::InstanceChanged { instance, condition, app, agent, version } => (
            "instance_changed_event",
            json!({
                "instanceId": instance.as_str(), "condition": condition.as_str(),
                "runSpecId": app, "runSpecVersion": version,
                "agentId": agent.as_ref().map(|(id, _)| id.as_str()),
                "host": agent.as_ref().map(|(_, host)| host),
            }),
        ),
        EventKind::InstanceHealthChanged { instance, app, version, healthy } => (
            "instance_health_changed_event",
            json!({
                "instanceId": instance.as_str(), "runSpecId": app, "runSpecVersion": version,
                "healthy": healthy,
            }),
        ),
        EventKind::AddHealthCheck { app, version, check } => (
            "add_health_check_event",
            json!({
                "appId": app, "version": version, "healthCheck": HealthCheckView::new(check),
            }),
        ),
        EventKind::RemoveHealthCheck { app } => {
            ("remove_health_check_event", json!({"appId": app}))
        }
        // The field that is named for a task holds the instance, as in Marathon.
        EventKind::FailedHealthCheck { app, instance, check } => (
            "failed_health_check_event",
            json!({
                "appId": app, "taskId": instance.as_str(),
                "healthCheck": HealthCheckView::new(check),
            }),
        ),
        EventKind::HealthStatusChanged { app, instance, version, alive } => (
            "health_status_changed_event",
            json!({
                "appId": app, "instanceId": instance.as_str(), "version": version, "alive": alive,
            }),
        ),
        EventKind::UnhealthyInstanceKill { app, task, instance, version, reason, host, agent } => (
            "unhealthy_instance_kill_event",
            json!({
                "appId": app, "taskId": task.as_str(), "instanceId": instance.as_str(),
                "version": version, "reason": reason, "host": host, "slaveId": agent.as_str(),
            }),
        ),
        EventKind::UnknownInstanceTerminated { instance, app, condition } => (
            "unknown_instance_terminated_event",
            json!({
                "instanceId": instance.as_str(), "runSpecId": app,
                "condition": condition.as_str(),
            }),
        ),
        EventKind::AppTerminated { app } => ("app_terminated_event", json!({"appId": app})),
        EventKind::GroupChangeSuccess { group, version } => {
            ("group_change_success", json!({"groupId": group, "version": version}))
        }
        EventKind::GroupChangeFailed { group, version, reason } => {
            ("group_change_failed", json!({"groupId": group, "version": version, "reason": reason}))
        }
        EventKind::DeploymentInfo { plan, step } => (
            "deployment_info",
            json!({"plan": PlanView::new(plan), "currentStep": StepView::of_plan(plan, *step)}),
        ),
        EventKind::DeploymentStepSuccess { plan, step } => (
            "deployment_step_success",
            json!({"plan": PlanView::new(plan), "currentStep": StepView::of_plan(plan, *step)}),
        ),
        EventKind::DeploymentStepFailure { plan, step } => (
            "deployment_step_failure",
            json!({"plan": PlanView::new(plan), "currentStep": StepView::of_plan(plan, *step)}),
        ),
        EventKind::DeploymentSuccess { id, plan } => {
            ("deployment_success", json!({"id": id.as_str(), "plan": PlanView::new(plan)}))
        }
        EventKind::DeploymentFailed { id, plan, reason } => (
            "deployment_failed",
            json!({"id": id.as_str(), "plan": PlanView::new(plan), "reason": reason}),
        ),
        EventKind::SchedulerRegistered { framework, master } => (
            "scheduler_registered_event",
            json!({"frameworkId": framework.as_str(), "master": master}),
        ),
        EventKind::SchedulerReregistered { master } => {
            ("scheduler_reregistered_event", json!({"master": master}))
        }
        EventKind::SchedulerDisconnected => ("scheduler_disconnected_event", json!({})),
    }
}

fn shown(addresses: &[IpAddress]) -> Vec<IpAddressView<'_>> {
    addresses.iter().map(IpAddressView::new).collect()
}

/// An event of the core: its type and its whole body.
pub(crate) fn of_core(event: &Event) -> (&'static str, Value) {
    let (event_type, body) = parts(&event.kind);
    (event_type, with_type(event_type, event.at, body))
}

/// Puts the two fields in that every event has.
pub(crate) fn with_type(event_type: &str, at: impl std::fmt::Display, body: Value) -> Value {
    let mut body = body;
    if let Value::Object(fields) = &mut body {
        fields.insert("eventType".to_owned(), Value::from(event_type));
        fields.insert("timestamp".to_owned(), Value::from(at.to_string()));
    }
    body
}

/// The body of `api_post_event`.
pub(crate) fn api_post(client_ip: &str, uri: &str, app: &impl Serialize) -> Value {
    json!({"clientIp": client_ip, "uri": uri, "appDefinition": app})
}
