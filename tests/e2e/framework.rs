//! The scheduler API, as a foreign framework uses it: JSON over a bare connection.

use std::path::Path;
use std::process::Command;

use meros_sdk::http::Method;
use serde_json::{Value, json};

use crate::cluster::Roles;
use crate::http::{list, text};
use crate::leftovers::processes_of_framework;
use crate::scheduler::{Scheduler, Stream, resubscription};
use crate::wait::{until, within_patience};

/// A FrameworkInfo with no more than it must have.
fn info() -> Value {
    json!({"user": user(), "name": "foreign"})
}

/// A user that tasks can run as: this one.
pub(crate) fn user() -> String {
    let root = rustix::process::geteuid().is_root();
    if root { "root".to_owned() } else { std::env::var("USER").unwrap_or_default() }
}

#[tokio::test]
async fn a_subscription_begins_with_an_id_a_heartbeat_and_offers() {
    let roles = Roles::start(1).await;
    let mut scheduler = Scheduler::subscribe(roles.master.api.address, info()).await;
    let subscribed = &scheduler.subscribed;
    assert_eq!(subscribed["heartbeat_interval_seconds"].as_f64(), Some(15.0));
    assert_eq!(subscribed["master_info"]["port"], roles.master.api.address.port());
    assert!(scheduler.framework.ends_with("-0000"), "{}", scheduler.framework);
    assert_eq!(scheduler.stream_id.len(), 36, "{}", scheduler.stream_id);
    assert_eq!(scheduler.next_of_all().await, Some(json!({"type": "HEARTBEAT"})));
    let offer = scheduler.offer().await;
    assert_eq!(
        (&offer["hostname"], &offer["allocation_info"]),
        (&json!("127.0.0.1"), &json!({"role": "*"}))
    );
    let value = |name: &str| {
        let resource = list(&offer["resources"]).iter().find(|one| one["name"] == name);
        resource.unwrap_or_else(|| panic!("no {name} in {offer}")).clone()
    };
    assert_eq!(value("cpus")["scalar"]["value"].as_f64(), Some(4.0));
    assert_eq!(value("mem")["scalar"]["value"].as_f64(), Some(2048.0));
    assert_eq!(value("ports")["ranges"]["range"], json!([{"begin": 21000, "end": 22000}]));
    let listed = roles.master.api.get("/frameworks").await;
    assert_eq!(listed["frameworks"][0]["id"], scheduler.framework);
    scheduler.accepted(json!({"type": "TEARDOWN"})).await;
    assert_eq!(scheduler.next().await, None, "the stream ends");
    roles.stop().await;
}

#[tokio::test]
async fn a_task_runs_through_its_states_and_what_it_wrote_can_be_read() {
    let roles = Roles::start(1).await;
    let mut scheduler = Scheduler::subscribe(roles.master.api.address, info()).await;
    let offer = scheduler.offer().await;
    scheduler.launch(&offer, "echo", "echo hello; exit 7").await;
    for (state, message) in [
        ("TASK_STARTING", None),
        ("TASK_RUNNING", None),
        ("TASK_FAILED", Some("Command exited with status 7")),
    ] {
        let status = scheduler.status().await;
        assert_eq!(
            (text(&status["state"]), text(&status["task_id"]["value"])),
            (state, "echo"),
            "{status}"
        );
        assert_eq!(status["agent_id"], offer["agent_id"]);
        assert_eq!(text(&status["uuid"]).len(), 24, "16 bytes in base64: {status}");
        assert!(message.is_none_or(|message| status["message"] == message), "{status}");
        assert!(status["timestamp"].as_f64().is_some_and(|time| time > 1.6e9), "{status}");
    }
    let path = format!(
        "/files/read?offset=0&path=/framework/{}/executor/echo/latest/stdout",
        scheduler.framework
    );
    let read = roles.agents[0].api.send(Method::GET, &path, "").await.expect(200);
    assert_eq!(read, json!({"data": "hello\n", "offset": 0}));
    // Acknowledged to the end, it is history.
    until("the completed task", async || {
        let state = roles.master.api.get("/state").await;
        let framework = &state["frameworks"][0];
        let completed = list(&framework["completed_tasks"]).first();
        let found = completed.is_some_and(|task| task["state"] == "TASK_FAILED");
        if found && list(&framework["tasks"]).is_empty() { Ok(()) } else { Err(state) }
    })
    .await;
    // What it held is offered again.
    let again = scheduler.offer().await;
    assert_eq!(again["agent_id"], offer["agent_id"]);
    scheduler.accepted(json!({"type": "TEARDOWN"})).await;
    roles.stop().await;
}

#[tokio::test]
async fn a_killed_task_ends_with_all_its_processes() {
    let roles = Roles::start(1).await;
    let mut with_killing = info();
    with_killing["capabilities"] = json!([{"type": "TASK_KILLING_STATE"}]);
    let mut scheduler = Scheduler::subscribe(roles.master.api.address, with_killing).await;
    let offer = scheduler.offer().await;
    scheduler.launch(&offer, "tree", "(sleep 1000 & sleep 1000 & wait) & sleep 1000 & wait").await;
    scheduler.status_of("TASK_RUNNING").await;
    until("its processes", async || {
        let found = scheduler.processes_of("tree").len();
        if found >= 5 { Ok(()) } else { Err(found) }
    })
    .await;
    scheduler.accepted(json!({"type": "KILL", "kill": {"task_id": {"value": "tree"}}})).await;
    assert_eq!(scheduler.status().await["state"], "TASK_KILLING");
    let killed = scheduler.status().await;
    assert_eq!(killed["state"], "TASK_KILLED", "{killed}");
    let left = scheduler.processes_of("tree");
    assert!(left.is_empty(), "{left:?}");
    scheduler.accepted(json!({"type": "TEARDOWN"})).await;
    roles.stop().await;
}

#[tokio::test]
async fn a_task_that_does_not_heed_sigterm_is_ended_after_its_grace_period() {
    let roles = Roles::start(1).await;
    let mut scheduler = Scheduler::subscribe(roles.master.api.address, info()).await;
    let offer = scheduler.offer().await;
    scheduler.launch(&offer, "deaf", "trap '' TERM; echo ready; while :; do sleep 0.1; done").await;
    scheduler.status_of("TASK_RUNNING").await;
    let path = format!(
        "/files/read?offset=0&path=/framework/{}/executor/deaf/latest/stdout",
        scheduler.framework
    );
    until("the trap", async || {
        let read = roles.agents[0].api.send(Method::GET, &path, "").await;
        if read.text.contains("ready") { Ok(()) } else { Err(read.text) }
    })
    .await;
    let began = std::time::Instant::now();
    let second = json!({"grace_period": {"nanoseconds": 1_000_000_000}});
    let kill =
        json!({"type": "KILL", "kill": {"task_id": {"value": "deaf"}, "kill_policy": second}});
    scheduler.accepted(kill).await;
    let killed = scheduler.status_of("TASK_KILLED").await;
    let took = began.elapsed().as_secs_f64();
    assert!((0.9..3.0).contains(&took), "{took} s: {killed}");
    assert!(scheduler.processes_of("deaf").is_empty());
    scheduler.accepted(json!({"type": "TEARDOWN"})).await;
    roles.stop().await;
}

#[tokio::test]
async fn a_framework_that_subscribes_again_takes_its_tasks_over_and_ends_the_older_stream() {
    let roles = Roles::start(1).await;
    let mut lasting = info();
    lasting["failover_timeout"] = json!(1000);
    let mut first = Scheduler::subscribe(roles.master.api.address, lasting.clone()).await;
    let offer = first.offer().await;
    first.launch(&offer, "lasting", "exec sleep 1000").await;
    first.status_of("TASK_RUNNING").await;
    let id = first.framework.clone();
    let mut second = Scheduler::resubscribe(roles.master.api.address, &id, &lasting).await;
    assert_eq!(second.framework, id);
    assert_ne!(second.stream_id, first.stream_id);
    let error = first.event("ERROR").await;
    assert_eq!(error["error"]["message"], "Framework failed over");
    assert_eq!(first.next().await, None, "the stream ends");
    let late = first.call(json!({"type": "REVIVE"})).await;
    assert_eq!(late.status, 400, "{late:?}");
    assert_eq!(second.processes_of("lasting").len(), 1, "it runs on");
    second.accepted(json!({"type": "KILL", "kill": {"task_id": {"value": "lasting"}}})).await;
    second.status_of("TASK_KILLED").await;
    second.accepted(json!({"type": "TEARDOWN"})).await;
    roles.stop().await;
}

#[tokio::test]
async fn a_torn_down_framework_is_gone_with_its_tasks_and_its_id() {
    let roles = Roles::start(1).await;
    let mut scheduler = Scheduler::subscribe(roles.master.api.address, info()).await;
    let offer = scheduler.offer().await;
    scheduler.launch(&offer, "doomed", "exec sleep 1000").await;
    scheduler.status_of("TASK_RUNNING").await;
    scheduler.accepted(json!({"type": "TEARDOWN"})).await;
    assert_eq!(scheduler.next().await, None, "the stream ends");
    until("the end of its task", async || {
        let left = scheduler.processes_of("doomed");
        if left.is_empty() { Ok(()) } else { Err(format!("{left:?}")) }
    })
    .await;
    let state = roles.master.api.get("/state").await;
    assert_eq!(list(&state["frameworks"]).len(), 0, "{state}");
    assert_eq!(state["completed_frameworks"][0]["id"], scheduler.framework);
    let call = resubscription(&scheduler.framework, &info());
    let mut refused = Stream::open(roles.master.api.address, &call).await;
    let event = refused.next().await.expect("an event");
    assert_eq!(event, json!({"type": "ERROR", "error": {"message": "Framework has been removed"}}));
    assert_eq!(refused.next().await, None, "the stream ends");
    roles.stop_allowing(&["refused the subscription of framework"]).await;
}

#[tokio::test]
async fn a_framework_that_hangs_up_without_a_failover_timeout_is_removed_with_its_tasks() {
    let roles = Roles::start(1).await;
    let mut scheduler = Scheduler::subscribe(roles.master.api.address, info()).await;
    let offer = scheduler.offer().await;
    scheduler.launch(&offer, "doomed", "exec sleep 1000").await;
    scheduler.status_of("TASK_RUNNING").await;
    let id = scheduler.framework.clone();
    drop(scheduler);
    until("its end", async || {
        let state = roles.master.api.get("/frameworks").await;
        let left = processes_of_framework(&id, "doomed").len();
        if list(&state["frameworks"]).is_empty() && left == 0 { Ok(()) } else { Err(state) }
    })
    .await;
    roles.stop().await;
}

#[tokio::test]
async fn the_example_framework_runs_a_command_and_ends_as_it_does() {
    let meros = Path::new(env!("CARGO_BIN_EXE_meros"));
    let example = meros.with_file_name("run_command");
    // Only `cargo test` of the whole workspace builds it.
    if !example.exists() {
        return;
    }
    let roles = Roles::start(1).await;
    let master = roles.master.address();
    for (command, says, success) in [
        ("echo hello", "TASK_FINISHED", true),
        ("exit 3", "TASK_FAILED Command exited with status 3", false),
    ] {
        let (example, master) = (example.clone(), master.clone());
        let run = tokio::task::spawn_blocking(move || {
            Command::new(example).args([&master, command]).output().expect("it was built")
        });
        let ended = within_patience("the example's end", run).await.expect("no panic");
        let printed = String::from_utf8_lossy(&ended.stdout);
        assert_eq!(ended.status.success(), success, "{ended:?}");
        assert!(printed.contains(says), "{ended:?}");
    }
    roles.stop().await;
}
