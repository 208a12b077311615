//! RECONCILE, offers that are declined, suppressed and revived, and tasks that are refused.

use std::time::Duration;

use serde_json::{Value, json};

use crate::cluster::Roles;
use crate::framework::user;
use crate::http::text;
use crate::scheduler::Scheduler;

fn info(capabilities: &[&str]) -> Value {
    let capabilities: Vec<Value> = capabilities.iter().map(|name| json!({"type": name})).collect();
    json!({"user": user(), "name": "foreign", "capabilities": capabilities})
}

#[tokio::test]
async fn the_state_of_tasks_is_told_when_asked_for_without_wanting_to_be_acknowledged() {
    let roles = Roles::start(1).await;
    for (capabilities, unknown_here, unknown) in
        [(&[][..], "TASK_LOST", "TASK_LOST"), (&["PARTITION_AWARE"], "TASK_GONE", "TASK_UNKNOWN")]
    {
        let mut scheduler =
            Scheduler::subscribe(roles.master.api.address, info(capabilities)).await;
        let offer = scheduler.offer().await;
        scheduler.launch(&offer, "known", "exec sleep 1000").await;
        scheduler.status_of("TASK_RUNNING").await;
        let agent = &offer["agent_id"];
        let tasks = json!([
            {"task_id": {"value": "known"}},
            {"task_id": {"value": "unknown-here"}, "agent_id": agent},
            {"task_id": {"value": "unknown"}, "agent_id": {"value": "nobody-S0"}},
        ]);
        scheduler.accepted(json!({"type": "RECONCILE", "reconcile": {"tasks": tasks}})).await;
        for (task, state) in
            [("known", "TASK_RUNNING"), ("unknown-here", unknown_here), ("unknown", unknown)]
        {
            let status = scheduler.status().await;
            assert_eq!((text(&status["task_id"]["value"]), text(&status["state"])), (task, state));
            assert_eq!(
                (text(&status["source"]), text(&status["reason"])),
                ("SOURCE_MASTER", "REASON_RECONCILIATION")
            );
            assert_eq!(status["uuid"], Value::Null);
        }
        scheduler.accepted(json!({"type": "RECONCILE", "reconcile": {"tasks": []}})).await;
        let status = scheduler.status().await;
        assert_eq!(
            (&status["task_id"]["value"], &status["state"]),
            (&json!("known"), &json!("TASK_RUNNING"))
        );
        // Killing what isn't there asks for its state.
        let kill = json!({"task_id": {"value": "never-was"}, "agent_id": agent});
        scheduler.accepted(json!({"type": "KILL", "kill": kill})).await;
        let status = scheduler.status().await;
        assert_eq!(
            (&status["task_id"]["value"], &status["state"]),
            (&json!("never-was"), &json!(unknown_here))
        );
        scheduler.accepted(json!({"type": "TEARDOWN"})).await;
    }
    roles.stop().await;
}

#[tokio::test]
async fn a_task_that_asks_for_more_than_its_offers_hold_gets_task_error_and_others_run() {
    let roles = Roles::start(1).await;
    let mut scheduler = Scheduler::subscribe(roles.master.api.address, info(&[])).await;
    let offer = scheduler.offer().await;
    scheduler.launch_with(&offer, "large", "true", 4.001).await;
    let status = scheduler.status().await;
    assert_eq!(
        (text(&status["task_id"]["value"]), text(&status["state"])),
        ("large", "TASK_ERROR")
    );
    assert_eq!(
        (text(&status["source"]), text(&status["reason"])),
        ("SOURCE_MASTER", "REASON_TASK_INVALID")
    );
    assert_eq!(status["uuid"], Value::Null, "nothing to acknowledge");
    assert!(text(&status["message"]).contains("more than available"), "{status}");

    // The offer is used up: a second launch on it is too late.
    scheduler.launch(&offer, "late", "true").await;
    let status = scheduler.status().await;
    assert_eq!((text(&status["task_id"]["value"]), text(&status["state"])), ("late", "TASK_LOST"));
    assert_eq!(status["reason"], "REASON_INVALID_OFFERS");

    let again = scheduler.offer().await;
    let scalar = |name: &str, value: f64| json!({"name": name, "type": "SCALAR", "scalar": {"value": value}});
    let task = |id: &str, resources: Value, command: Value| {
        let mut task = json!({"name": id, "task_id": {"value": id}, "agent_id": again["agent_id"],
            "resources": resources});
        task["command"] = command;
        task
    };
    let enough = json!([scalar("cpus", 0.1), scalar("mem", 32.0)]);
    let command = json!({"value": "exec sleep 1000"});
    let tasks = json!([
        task("nothing", json!([]), command.clone()),
        task("negative", json!([scalar("cpus", -1.0)]), command.clone()),
        task("no-command", enough.clone(), Value::Null),
        task("right", enough.clone(), command.clone()),
        task("right", enough, command),
    ]);
    let launch = json!({"type": "LAUNCH", "launch": {"task_infos": tasks}});
    let accept = json!({"offer_ids": [again["id"]], "operations": [launch]});
    scheduler.accepted(json!({"type": "ACCEPT", "accept": accept})).await;
    let mut refused = Vec::new();
    loop {
        let status = scheduler.status().await;
        match text(&status["state"]) {
            "TASK_ERROR" => refused.push(text(&status["task_id"]["value"]).to_owned()),
            "TASK_RUNNING" => break,
            state => assert_eq!(state, "TASK_STARTING", "{status}"),
        }
    }
    assert_eq!(refused, ["nothing", "negative", "no-command", "right"], "the second of a name");
    scheduler.accepted(json!({"type": "TEARDOWN"})).await;
    roles.stop().await;
}

#[tokio::test]
async fn offers_come_when_they_are_wanted_and_not_before() {
    let roles = Roles::start(1).await;
    let mut scheduler = Scheduler::subscribe(roles.master.api.address, info(&[])).await;
    let declined = scheduler.offer().await;
    let long = json!({"offer_ids": [declined["id"]], "filters": {"refuse_seconds": 3600}});
    scheduler.accepted(json!({"type": "DECLINE", "decline": long})).await;
    // Longer than two rounds of allocation; nothing else would come of it.
    let quiet = tokio::time::timeout(Duration::from_millis(2500), scheduler.next()).await;
    assert!(quiet.is_err(), "{quiet:?}");
    scheduler.accepted(json!({"type": "REVIVE"})).await;
    let revived = scheduler.offer().await;
    assert_ne!(revived["id"], declined["id"]);

    scheduler.accepted(json!({"type": "SUPPRESS"})).await;
    let short = json!({"offer_ids": [revived["id"]], "filters": {"refuse_seconds": 0}});
    scheduler.accepted(json!({"type": "DECLINE", "decline": short})).await;
    let quiet = tokio::time::timeout(Duration::from_millis(2500), scheduler.next()).await;
    assert!(quiet.is_err(), "{quiet:?}");
    scheduler.accepted(json!({"type": "REVIVE"})).await;
    scheduler.offer().await;
    scheduler.accepted(json!({"type": "TEARDOWN"})).await;
    roles.stop().await;
}

#[tokio::test]
async fn an_offer_of_an_agent_that_leaves_is_rescinded() {
    let mut roles = Roles::start(1).await;
    let mut scheduler = Scheduler::subscribe(roles.master.api.address, info(&[])).await;
    let offer = scheduler.offer().await;
    roles.agents.remove(0).stop().await;
    let rescinded = scheduler.event("RESCIND").await;
    assert_eq!(rescinded["rescind"]["offer_id"], offer["id"]);
    let failure = scheduler.event("FAILURE").await;
    assert_eq!(failure["failure"], json!({"agent_id": offer["agent_id"]}));
    scheduler.accepted(json!({"type": "TEARDOWN"})).await;
    roles.stop().await;
}
