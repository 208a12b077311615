//! Marathon's event stream tells what happens, in order.

use meros_sdk::http::Method;
use serde_json::{Value, json};

use crate::cluster::Dev;
use crate::http::text;
use crate::marathon::{deployed, sleeper};
use crate::sse::Events;

/// The types of events, and of status updates the states, in order; of other kinds only those that
/// are looked for here.
fn story(events: &[Value]) -> Vec<String> {
    let told = |event: &Value| match text(&event["eventType"]) {
        "status_update_event" => Some(text(&event["taskStatus"]).to_owned()),
        kind @ ("api_post_event"
        | "group_change_success"
        | "deployment_info"
        | "deployment_step_success"
        | "deployment_success"
        | "app_terminated_event") => Some(kind.to_owned()),
        _ => None,
    };
    events.iter().filter_map(told).collect()
}

fn ends(id: &str) -> impl Fn(&Value) -> bool {
    move |event| event["eventType"] == "deployment_success" && event["id"] == id
}

#[tokio::test]
async fn the_events_of_a_deployment_come_in_the_order_in_which_things_happen() {
    let dev = Dev::start(&["--agents", "1"]).await;
    dev.is_whole().await;
    let mut events = Events::open(&dev.marathon, "").await;
    let attached = events.next().await.expect("an event");
    assert_eq!(attached["eventType"], "event_stream_attached");
    assert_eq!(attached["remoteAddress"], "127.0.0.1");

    let created = dev.marathon.post("/v2/apps", &sleeper("/sleeper", 1)).await;
    let id = created.header("marathon-deployment-id");
    let told = events.until(ends(id)).await;
    let steps: Vec<String> =
        story(&told).into_iter().filter(|word| word != "TASK_STARTING").collect();
    // The API's own event has no order with the core's.
    let steps: Vec<&str> =
        steps.iter().map(String::as_str).filter(|w| *w != "api_post_event").collect();
    assert_eq!(
        steps,
        [
            "group_change_success",
            "deployment_info", // Start: nothing to wait for
            "deployment_step_success",
            "deployment_info", // Scale
            "TASK_RUNNING",
            "deployment_step_success",
            "deployment_success",
        ]
    );
    let of =
        |kind: &str| told.iter().find(|event| event["eventType"] == kind).cloned().expect("told");
    let post = of("api_post_event");
    assert_eq!((&post["uri"], &post["clientIp"]), (&json!("/v2/apps"), &json!("127.0.0.1")));
    assert_eq!(post["appDefinition"]["id"], "/sleeper");
    let info = of("deployment_info");
    assert_eq!(info["plan"]["id"], id);
    assert_eq!(
        info["currentStep"]["actions"],
        json!([{"action": "StartApplication", "app": "/sleeper"}])
    );
    let status = of("status_update_event");
    assert_eq!(status["appId"], "/sleeper");
    let task = text(&status["taskId"]).to_owned();
    assert!(task.starts_with("sleeper.instance-"), "{status}");
    assert_eq!((&status["host"], &status["ports"]), (&json!("127.0.0.1"), &json!([])));

    let deleted = dev.marathon.delete("/v2/apps/sleeper").await;
    let told = events.until(ends(deleted.header("marathon-deployment-id"))).await;
    let steps: Vec<String> =
        story(&told).into_iter().filter(|word| word != "TASK_KILLING").collect();
    assert_eq!(
        steps,
        [
            "group_change_success",
            "deployment_info",
            "TASK_KILLED",
            "app_terminated_event",
            "deployment_step_success",
            "deployment_success",
        ]
    );
    drop(events);
    dev.stop().await;
}

#[tokio::test]
async fn a_listener_hears_only_of_what_it_asked_for() {
    let dev = Dev::start(&["--agents", "1"]).await;
    let query = "event_type=status_update_event&event_type=deployment_success";
    let mut events = Events::open(&dev.marathon, query).await;
    let created = dev.marathon.post("/v2/apps", &sleeper("/sleeper", 2)).await;
    deployed(&dev.marathon, &created).await;
    let told = events.until(ends(created.header("marathon-deployment-id"))).await;
    let mut kinds: Vec<&str> = told.iter().map(|event| text(&event["eventType"])).collect();
    kinds.dedup();
    assert_eq!(kinds, ["status_update_event", "deployment_success"]);
    let running = told.iter().filter(|event| event["taskStatus"] == "TASK_RUNNING");
    assert_eq!(running.count(), 2);

    let plain = dev.marathon.send(Method::GET, "/v2/events", "").await;
    assert_eq!(plain.status, 405, "{}", plain.text);
    dev.stop().await;
}

#[tokio::test]
async fn the_stream_ends_when_marathon_stops() {
    let dev = Dev::start(&["--agents", "1"]).await;
    let mut events = Events::open(&dev.marathon, "event_type=none").await;
    let (rest, _) = tokio::join!(events.next(), dev.stop());
    assert_eq!(rest, None);
}
