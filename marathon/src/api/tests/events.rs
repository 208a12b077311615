//! How each event of the core looks on the stream.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use meros_marathon_core::deployment::{Action, ActionKind, DeploymentId, Plan, Step};
use meros_marathon_core::events::{Event, EventKind};
use meros_marathon_core::instances::{Condition, InstanceId, IpAddress};
use meros_marathon_core::path_id::PathId;
use meros_marathon_core::version::Version;
use meros_proto::ids::{AgentId, FrameworkId, TaskId};
use meros_proto::time::Timestamp;
use meros_proto::v1::TaskState;
use serde_json::{Value, json};

use super::bodies::{created, with};
use crate::api::model::event_view::of_core;

const INSTANCE: &str = "shop_web.instance-00000000-0000-0000-0000-000000000001";
const TASK: &str = "shop_web.instance-00000000-0000-0000-0000-000000000001._app.1";
const VERSION: &str = "2014-03-01T23:12:45.123Z";
const AT: &str = "2014-03-01T23:12:46.000Z";

fn app() -> PathId {
    PathId::parse("/shop/web").expect("an id")
}

fn version() -> Version {
    Version::parse(VERSION).expect("a version")
}

fn instance() -> InstanceId {
    InstanceId::parse(INSTANCE).expect("an id")
}

fn task() -> TaskId {
    TaskId::parse(TASK).expect("an id")
}

fn agent() -> AgentId {
    AgentId::parse("agent-1").expect("an id")
}

fn plan() -> Arc<Plan> {
    let step = |kind| Step { actions: vec![Action { app: app(), kind }] };
    Arc::new(Plan {
        id: DeploymentId::from_text("d1"),
        version: version(),
        steps: vec![step(ActionKind::Start), step(ActionKind::Restart)],
        affected: BTreeMap::new(),
        added_groups: BTreeSet::new(),
    })
}

#[track_caller]
fn check(kind: EventKind, event_type: &str, own: Value) {
    let at = Timestamp::parse(AT).expect("a time");
    let (name, body) = of_core(&Event { at, kind });
    let mut expected = own;
    expected["eventType"] = json!(event_type);
    expected["timestamp"] = json!(AT);
    assert_eq!((name, body), (event_type, expected));
}

#[test]
fn events_of_tasks_and_instances_have_marathons_fields() {
    check(
        EventKind::StatusUpdate {
            agent: agent(),
            task: task(),
            state: TaskState::TaskRunning,
            message: "started".into(),
            app: app(),
            host: "h1".into(),
            addresses: vec![IpAddress { address: "10.0.0.1".into(), v6: false }],
            ports: vec![31_000],
            version: version(),
        },
        "status_update_event",
        json!({
            "slaveId": "agent-1", "taskId": TASK, "taskStatus": "TASK_RUNNING",
            "message": "started", "appId": "/shop/web", "host": "h1",
            "ipAddresses": [{"ipAddress": "10.0.0.1", "protocol": "IPv4"}], "ports": [31000],
            "version": VERSION,
        }),
    );
    let changed = |agent| EventKind::InstanceChanged {
        instance: instance(),
        condition: Condition::Running,
        app: app(),
        agent,
        version: version(),
    };
    for (at, id, host) in [
        (Some((agent(), "h1".to_owned())), json!("agent-1"), json!("h1")),
        (None, Value::Null, Value::Null),
    ] {
        check(
            changed(at),
            "instance_changed_event",
            json!({
                "instanceId": INSTANCE, "condition": "Running", "runSpecId": "/shop/web",
                "runSpecVersion": VERSION, "agentId": id, "host": host,
            }),
        );
    }
    check(
        EventKind::UnknownInstanceTerminated {
            instance: instance(),
            app: app(),
            condition: Condition::Killed,
        },
        "unknown_instance_terminated_event",
        json!({"instanceId": INSTANCE, "runSpecId": "/shop/web", "condition": "Killed"}),
    );
    check(
        EventKind::AppTerminated { app: app() },
        "app_terminated_event",
        json!({"appId": "/shop/web"}),
    );
}

#[test]
fn events_of_health_have_marathons_fields() {
    let spec = created(&with("healthChecks", json!([{"path": "/up"}]))).expect("sound");
    let asked = spec.health_checks[0].clone();
    let shown = json!({
        "protocol": "HTTP", "path": "/up", "portIndex": 0, "ignoreHttp1xx": false,
        "ipProtocol": "IPv4", "gracePeriodSeconds": 300, "intervalSeconds": 60,
        "timeoutSeconds": 20, "maxConsecutiveFailures": 3, "delaySeconds": 15,
    });
    check(
        EventKind::AddHealthCheck { app: app(), version: version(), check: asked.clone() },
        "add_health_check_event",
        json!({"appId": "/shop/web", "version": VERSION, "healthCheck": shown}),
    );
    check(
        EventKind::RemoveHealthCheck { app: app() },
        "remove_health_check_event",
        json!({"appId": "/shop/web"}),
    );
    check(
        EventKind::FailedHealthCheck { app: app(), instance: instance(), check: asked },
        "failed_health_check_event",
        json!({"appId": "/shop/web", "taskId": INSTANCE, "healthCheck": shown}),
    );
    check(
        EventKind::HealthStatusChanged {
            app: app(),
            instance: instance(),
            version: version(),
            alive: false,
        },
        "health_status_changed_event",
        json!({
            "appId": "/shop/web", "instanceId": INSTANCE, "version": VERSION, "alive": false,
        }),
    );
    check(
        EventKind::UnhealthyInstanceKill {
            app: app(),
            task: task(),
            instance: instance(),
            version: version(),
            reason: "503 Service Unavailable".into(),
            host: "h1".into(),
            agent: agent(),
        },
        "unhealthy_instance_kill_event",
        json!({
            "appId": "/shop/web", "taskId": TASK, "instanceId": INSTANCE, "version": VERSION,
            "reason": "503 Service Unavailable", "host": "h1", "slaveId": "agent-1",
        }),
    );
    for healthy in [Some(true), Some(false), None] {
        check(
            EventKind::InstanceHealthChanged {
                instance: instance(),
                app: app(),
                version: version(),
                healthy,
            },
            "instance_health_changed_event",
            json!({
                "instanceId": INSTANCE, "runSpecId": "/shop/web", "runSpecVersion": VERSION,
                "healthy": healthy,
            }),
        );
    }
}

#[test]
fn events_of_changes_and_deployments_have_marathons_fields() {
    let shown = json!({
        "id": "d1", "version": VERSION, "steps": [
            {"actions": [{"action": "StartApplication", "app": "/shop/web"}]},
            {"actions": [{"action": "RestartApplication", "app": "/shop/web"}]},
        ],
    });
    let second = json!({"plan": shown, "currentStep": shown["steps"][1]});
    for (kind, event_type, own) in [
        (
            EventKind::GroupChangeSuccess { group: PathId::root(), version: version() },
            "group_change_success",
            json!({"groupId": "/", "version": VERSION}),
        ),
        (
            EventKind::GroupChangeFailed {
                group: PathId::root(),
                version: version(),
                reason: "no".into(),
            },
            "group_change_failed",
            json!({"groupId": "/", "version": VERSION, "reason": "no"}),
        ),
        (EventKind::DeploymentInfo { plan: plan(), step: 1 }, "deployment_info", second.clone()),
        (
            EventKind::DeploymentStepSuccess { plan: plan(), step: 1 },
            "deployment_step_success",
            second.clone(),
        ),
        (
            EventKind::DeploymentStepFailure { plan: plan(), step: 1 },
            "deployment_step_failure",
            second,
        ),
        (
            EventKind::DeploymentSuccess { id: DeploymentId::from_text("d1"), plan: plan() },
            "deployment_success",
            json!({"id": "d1", "plan": shown}),
        ),
        (
            EventKind::DeploymentFailed {
                id: DeploymentId::from_text("d1"),
                plan: plan(),
                reason: "The upgrade has been cancelled".into(),
            },
            "deployment_failed",
            json!({"id": "d1", "plan": shown, "reason": "The upgrade has been cancelled"}),
        ),
    ] {
        check(kind, event_type, own);
    }
}

#[test]
fn events_of_the_connection_have_marathons_fields() {
    check(
        EventKind::SchedulerRegistered {
            framework: FrameworkId::parse("f1").expect("an id"),
            master: "m".into(),
        },
        "scheduler_registered_event",
        json!({"frameworkId": "f1", "master": "m"}),
    );
    check(
        EventKind::SchedulerReregistered { master: "m".into() },
        "scheduler_reregistered_event",
        json!({"master": "m"}),
    );
    check(EventKind::SchedulerDisconnected, "scheduler_disconnected_event", json!({}));
}
