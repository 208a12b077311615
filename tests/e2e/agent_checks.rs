//! Checks that the agent runs beside the task: COMMAND and MESOS_*, and checks that are only shown.

use serde_json::{Value, json};

use crate::cluster::Dev;
use crate::http::text;
use crate::marathon::{deploy, healthy, ids, incarnation, running, server, sleeper, tasks};
use crate::wait::until;

/// A check each second, from the start on.
fn each_second(mut check: Value) -> Value {
    for (name, seconds) in [("intervalSeconds", 1), ("timeoutSeconds", 1), ("delaySeconds", 0)] {
        check[name] = json!(seconds);
    }
    check
}

#[tokio::test]
async fn a_task_whose_command_check_fails_too_often_is_killed_by_its_agent_and_replaced() {
    let dev = Dev::start(&["--agents", "1"]).await;
    let good = dev.home.join("good");
    std::fs::write(&good, "").expect("a file");
    let mut app = sleeper("/checked", 1);
    app["healthChecks"] = json!([each_second(json!({
        "protocol": "COMMAND", "command": {"value": format!("test -e {good}")},
        "gracePeriodSeconds": 0, "maxConsecutiveFailures": 2,
    }))]);
    let first = ids(&deploy(&dev.marathon, &app).await).remove(0);
    healthy(&dev.marathon, "checked", 1).await;
    std::fs::remove_file(&good).expect("it is there");
    until("the replacement", async || {
        let tasks = tasks(&dev.marathon, "checked").await;
        let replaced = tasks.iter().any(|task| incarnation(text(&task["id"])).1 > 1);
        if replaced { Ok(()) } else { Err(json!(tasks)) }
    })
    .await;
    std::fs::write(&good, "").expect("a file");
    healthy(&dev.marathon, "checked", 1).await;
    let last = ids(&running(&dev.marathon, "checked", 1).await).remove(0);
    assert_eq!(incarnation(&last).0, incarnation(&first).0, "the same instance");
    dev.stop().await;
}

#[tokio::test]
async fn the_agent_asks_a_tasks_port_and_what_is_only_looked_at_is_shown() {
    let dev = Dev::start(&["--agents", "1"]).await;
    for protocol in ["MESOS_HTTP", "MESOS_TCP"] {
        let id = format!("/{}", protocol.to_lowercase().replace('_', "-"));
        let mut app = server(&id, 1);
        app["healthChecks"] = json!([each_second(json!({"protocol": protocol}))]);
        deploy(&dev.marathon, &app).await;
        healthy(&dev.marathon, &id[1..], 1).await;
        let task = tasks(&dev.marathon, &id[1..]).await.remove(0);
        let result = &task["healthCheckResults"][0];
        assert_eq!((&result["alive"], &result["consecutiveFailures"]), (&json!(true), &json!(0)));
    }
    for (id, check, result) in [
        ("/http", json!({"http": {"path": "/"}}), json!({"http": {"statusCode": 200}})),
        ("/tcp", json!({"tcp": {}}), json!({"tcp": {"succeeded": true}})),
        (
            "/exec",
            json!({"exec": {"command": {"shell": "exit 7"}}}),
            json!({"command": {"exitCode": 7}}),
        ),
    ] {
        let mut app = server(id, 1);
        app["healthChecks"] = json!([]);
        app["check"] = each_second(check);
        deploy(&dev.marathon, &app).await;
        until(&format!("the result of {id}"), async || {
            let task = tasks(&dev.marathon, &id[1..]).await.remove(0);
            if task["checkResult"] == result { Ok(()) } else { Err(task) }
        })
        .await;
    }
    dev.stop().await;
}
