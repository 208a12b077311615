//! A task that ends is replaced: at once after a kill, with growing delays when it fails.

use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;

use crate::cluster::{Dev, Roles, registered};
use crate::http::{list, text};
use crate::leftovers::{cgroups_of, processes_of_task};
use crate::marathon::{deploy, deployed, ids, incarnation, running, sleeper, tasks};
use crate::wait::until;

/// Kills a task's processes, as the kernel or an administrator might.
fn kill(task: &str) {
    let processes = processes_of_task(task);
    assert!(!processes.is_empty(), "{task} has processes");
    for pid in processes.iter().filter_map(|found| Pid::from_raw(found.pid)) {
        kill_process(pid, Signal::KILL).expect("it runs as we do");
    }
}

#[tokio::test]
async fn a_task_whose_process_dies_is_replaced_by_the_next_of_the_same_instance() {
    let dev = Dev::start(&["--agents", "2"]).await;
    let before = ids(&deploy(&dev.marathon, &sleeper("/sleeper", 2)).await);
    kill(&before[0]);
    let (instance, number) = incarnation(&before[0]);
    let next = format!("{instance}._app.{}", number + 1);
    until("the replacement", async || {
        let tasks = tasks(&dev.marathon, "sleeper").await;
        let found = tasks.iter().any(|task| task["id"] == *next && task["state"] == "TASK_RUNNING");
        if found { Ok(()) } else { Err(json!(tasks)) }
    })
    .await;
    let after = ids(&running(&dev.marathon, "sleeper", 2).await);
    assert!(after.contains(&before[1]), "the other one was let be: {after:?}");
    assert_eq!(processes_of_task(&next).len(), 1);
    let failure = &dev.marathon.get("/v2/apps/sleeper").await["app"]["lastTaskFailure"];
    assert_eq!((text(&failure["taskId"]), text(&failure["state"])), (&*before[0], "TASK_FAILED"));
    assert_eq!(failure["message"], "Command terminated with signal Killed");
    dev.stop().await;
}

#[tokio::test]
async fn a_task_that_fails_is_tried_again_after_its_back_off_which_can_be_reset() {
    let dev = Dev::start(&["--agents", "1"]).await;
    let mut app = sleeper("/failing", 1);
    app["cmd"] = json!("exit 3");
    // Longer than the test: what comes after it came of the reset.
    app["backoffSeconds"] = json!(3600);
    app["maxLaunchDelaySeconds"] = json!(3600);
    dev.marathon.post("/v2/apps", &app).await.expect(201);
    let failed = async |at_least: u32| {
        until("the failure", async || {
            let answer = dev.marathon.get("/v2/apps/failing").await;
            let failure = answer["app"]["lastTaskFailure"].clone();
            let task = text(&failure["taskId"]);
            let found = !task.is_empty() && incarnation(task).1 >= at_least;
            if found { Ok(failure) } else { Err(answer) }
        })
        .await
    };
    let first = failed(1).await;
    assert_eq!((&first["state"], &first["appId"]), (&json!("TASK_FAILED"), &json!("/failing")));
    assert_eq!(first["message"], "Command exited with status 3");
    let item = until("the delay", async || {
        let queue = dev.marathon.get("/v2/queue").await;
        let item = list(&queue["queue"]).first().cloned().unwrap_or_default();
        if item["delay"]["overdue"] == false { Ok(item) } else { Err(queue) }
    })
    .await;
    assert_eq!((&item["app"]["id"], &item["count"]), (&json!("/failing"), &json!(1)));
    let left = item["delay"]["timeLeftSeconds"].as_f64().expect("a number");
    assert!((3000.0..=3600.0).contains(&left), "{item}");

    let reset = dev.marathon.delete("/v2/queue//failing/delay").await;
    assert_eq!((reset.status, reset.text.as_str()), (204, ""));
    let second = failed(2).await;
    let (one, two) = (incarnation(text(&first["taskId"])), incarnation(text(&second["taskId"])));
    assert_eq!((one.0, one.1 + 1), two, "the same instance, the next task");
    let unknown = dev.marathon.delete("/v2/queue/nothing/delay").await;
    let message = json!({"message": "Application /nothing not found in tasks queue."});
    assert_eq!(unknown.expect(404), message);
    dev.stop().await;
}

#[tokio::test]
async fn a_task_that_finishes_is_run_again_and_its_tries_come_ever_later() {
    let dev = Dev::start(&["--agents", "1"]).await;
    let mut app = sleeper("/finishing", 1);
    app["cmd"] = json!("true");
    app["backoffFactor"] = json!(2.0);
    dev.marathon.post("/v2/apps", &app).await.expect(201);
    let delayed = async |at_least: f64| {
        until(&format!("a delay of more than {at_least} s"), async || {
            let queue = dev.marathon.get("/v2/queue").await;
            let left = queue["queue"][0]["delay"]["timeLeftSeconds"].as_f64();
            if left.is_some_and(|left| left > at_least) { Ok(()) } else { Err(queue) }
        })
        .await;
    };
    // 1 s, then 2 s: more than 1 s is left only after the second try.
    delayed(0.0).await;
    delayed(1.0).await;
    dev.stop().await;
}

#[tokio::test]
async fn the_tasks_of_an_agent_that_leaves_go_on_elsewhere() {
    let mut roles = Roles::start(2).await;
    let marathon = roles.marathon().await;
    let mut app = sleeper("/sleeper", 2);
    app["constraints"] = json!([["hostname", "UNIQUE"]]);
    let placed = deploy(&marathon.api, &app).await;
    let hosts: Vec<&str> = placed.iter().map(|task| text(&task["host"])).collect();
    assert!(hosts.contains(&"127.0.0.1") && hosts.contains(&"127.0.0.2"), "{hosts:?}");
    let widened = marathon.api.put("/v2/apps/sleeper", &json!({"constraints": []})).await;
    deployed(&marathon.api, &widened).await;

    let agent = roles.agents.remove(0);
    let groups = cgroups_of(agent.api.address.port());
    agent.stop().await;
    assert!(groups.iter().all(|group| !group.exists()), "{groups:?}");
    registered(&roles.master.api, 1).await;
    until("both on the other agent", async || {
        let now = tasks(&marathon.api, "sleeper").await;
        let there = now
            .iter()
            .filter(|task| task["host"] == "127.0.0.2" && task["state"] == "TASK_RUNNING");
        if there.count() == 2 { Ok(()) } else { Err(json!(now)) }
    })
    .await;
    marathon.stop().await;
    roles.stop().await;
}
