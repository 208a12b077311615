//! The life of an app over Marathon's REST API: create, scale, change, restart, delete.

use std::collections::BTreeSet;

use meros_sdk::http::Method;
use serde_json::json;

use crate::cluster::Dev;
use crate::http::{list, text};
use crate::leftovers::processes_of_task;
use crate::marathon::{deploy, deployed, ids, incarnation, running, sleeper, tasks};
use crate::wait::until;

/// The instances of tasks.
fn instances(tasks: &[String]) -> BTreeSet<String> {
    tasks.iter().map(|task| incarnation(task).0).collect()
}

#[tokio::test]
async fn creating_an_app_answers_201_with_its_place_and_its_deployment_and_it_runs() {
    let dev = Dev::start(&["--agents", "2"]).await;
    let created = dev.marathon.post("/v2/apps", &sleeper("group/sleeper", 2)).await;
    let app = created.expect(201);
    let place = format!("http://{}/group/sleeper", dev.marathon.address);
    assert_eq!(created.header("location"), place);
    assert_eq!(created.header("server"), concat!("Meros/", env!("CARGO_PKG_VERSION")));
    assert_eq!(app["id"], "/group/sleeper");
    assert_eq!(app["deployments"], json!([{"id": created.header("marathon-deployment-id")}]));
    for count in ["tasksStaged", "tasksRunning", "tasksHealthy", "tasksUnhealthy"] {
        assert_eq!(app[count], 0, "{count}");
    }
    deployed(&dev.marathon, &created).await;
    // With one slash more, as older clients ask.
    for path in ["/v2/apps/group/sleeper", "/v2/apps//group/sleeper"] {
        let shown = &dev.marathon.get(path).await["app"];
        assert_eq!(shown["tasksRunning"], 2, "{shown}");
        assert_eq!((&shown["deployments"], &shown["version"]), (&json!([]), &app["version"]));
        let tasks = list(&shown["tasks"]);
        assert_eq!(tasks.len(), 2);
        for task in tasks {
            assert_eq!(task["state"], "TASK_RUNNING");
            assert_eq!(processes_of_task(text(&task["id"])).len(), 1, "one process: {task}");
        }
    }
    dev.stop().await;
}

#[tokio::test]
async fn scaling_starts_what_is_missing_and_ends_what_is_too_much_and_touches_nothing_else() {
    let dev = Dev::start(&["--agents", "2"]).await;
    let first = ids(&deploy(&dev.marathon, &sleeper("/sleeper", 2)).await);
    let more = dev.marathon.put("/v2/apps/sleeper", &json!({"instances": 4})).await;
    let result = more.expect(200);
    assert_eq!(result["deploymentId"], more.header("marathon-deployment-id"));
    assert!(text(&result["version"]).ends_with('Z'), "{result}");
    deployed(&dev.marathon, &more).await;
    let second = ids(&running(&dev.marathon, "sleeper", 4).await);
    assert!(first.iter().all(|task| second.contains(task)), "{first:?} are in {second:?}");

    let fewer = dev.marathon.put("/v2/apps//sleeper?force=False", &json!({"instances": 1})).await;
    fewer.expect(200);
    deployed(&dev.marathon, &fewer).await;
    let third = ids(&running(&dev.marathon, "sleeper", 1).await);
    assert!(second.contains(&third[0]));
    for ended in second.iter().filter(|task| **task != third[0]) {
        assert!(processes_of_task(ended).is_empty(), "{ended} has ended");
    }

    let none = dev.marathon.put("/v2/apps/sleeper", &json!({"instances": 0})).await;
    deployed(&dev.marathon, &none).await;
    assert_eq!(dev.marathon.get("/v2/apps/sleeper").await["app"]["instances"], 0);
    running(&dev.marathon, "sleeper", 0).await;
    dev.stop().await;
}

#[tokio::test]
async fn changing_an_app_replaces_its_instances_and_restarting_it_too() {
    let dev = Dev::start(&["--agents", "2"]).await;
    let first = ids(&deploy(&dev.marathon, &sleeper("/sleeper", 3)).await);
    let changed = dev.marathon.put("/v2/apps/sleeper", &json!({"env": {"A": "1"}})).await;
    let version = changed.expect(200)["version"].clone();
    deployed(&dev.marathon, &changed).await;
    let tasks = running(&dev.marathon, "sleeper", 3).await;
    assert!(tasks.iter().all(|task| task["version"] == version), "{tasks:?}");
    let second = ids(&tasks);
    assert!(instances(&first).is_disjoint(&instances(&second)), "{first:?} and {second:?}");
    for (task, count) in
        first.iter().map(|task| (task, 0)).chain(second.iter().map(|task| (task, 1)))
    {
        assert_eq!(processes_of_task(task).len(), count, "{task}");
    }

    let same = dev.marathon.put("/v2/apps/sleeper", &json!({"env": {"A": "1"}})).await;
    deployed(&dev.marathon, &same).await;
    assert_eq!(ids(&running(&dev.marathon, "sleeper", 3).await), second, "nothing has changed");

    let restarted = dev.marathon.post("/v2/apps/sleeper/restart", &json!(null)).await;
    let newer = restarted.expect(200)["version"].clone();
    deployed(&dev.marathon, &restarted).await;
    let third = ids(&running(&dev.marathon, "sleeper", 3).await);
    assert!(instances(&second).is_disjoint(&instances(&third)), "{second:?} and {third:?}");
    let app = &dev.marathon.get("/v2/apps/sleeper").await["app"];
    assert_eq!((&app["version"], &app["env"]), (&newer, &json!({"A": "1"})));
    dev.stop().await;
}

#[tokio::test]
async fn put_creates_or_replaces_and_patch_only_changes() {
    let dev = Dev::start(&["--agents", "1"]).await;
    let missing = dev.marathon.patch("/v2/apps/sleeper", &json!({"instances": 1})).await;
    assert_eq!(missing.expect(404), json!({"message": "App '/sleeper' does not exist"}));
    let mut app = sleeper("/sleeper", 1);
    app["labels"] = json!({"a": "1"});
    let created = dev.marathon.put("/v2/apps/sleeper", &app).await;
    created.expect(201);
    assert!(created.header("location").ends_with("/sleeper"));
    deployed(&dev.marathon, &created).await;

    let patched = dev.marathon.patch("/v2/apps/sleeper", &json!({"instances": 2})).await;
    patched.expect(200);
    deployed(&dev.marathon, &patched).await;
    let shown = dev.marathon.get("/v2/apps/sleeper").await;
    assert_eq!(
        (&shown["app"]["instances"], &shown["app"]["labels"]),
        (&json!(2), &json!({"a": "1"}))
    );

    let whole = json!({"cmd": "exec sleep 1000", "cpus": 0.1, "mem": 32, "portDefinitions": []});
    let replaced = dev.marathon.put("/v2/apps/sleeper?partialUpdate=false", &whole).await;
    replaced.expect(200);
    deployed(&dev.marathon, &replaced).await;
    let shown = dev.marathon.get("/v2/apps/sleeper").await;
    assert_eq!((&shown["app"]["instances"], &shown["app"]["labels"]), (&json!(1), &json!({})));
    dev.stop().await;
}

#[tokio::test]
async fn deleting_an_app_ends_its_tasks_and_forgets_it_and_no_other() {
    let dev = Dev::start(&["--agents", "2"]).await;
    let kept = ids(&deploy(&dev.marathon, &sleeper("/kept", 1)).await);
    let gone = ids(&deploy(&dev.marathon, &sleeper("/gone", 2)).await);
    let deleted = dev.marathon.delete("/v2/apps/gone").await;
    let result = deleted.expect(200);
    assert_eq!(result["deploymentId"], deleted.header("marathon-deployment-id"));
    deployed(&dev.marathon, &deleted).await;
    for task in &gone {
        assert!(processes_of_task(task).is_empty(), "{task} has ended");
    }
    assert_eq!(
        dev.marathon.send(Method::GET, "/v2/apps/gone", "").await.expect(404),
        json!({"message": "App '/gone' does not exist"})
    );
    assert_eq!(ids(&running(&dev.marathon, "kept", 1).await), kept);
    assert_eq!(list(&dev.marathon.get("/v2/apps").await["apps"]).len(), 1);
    dev.stop().await;
}

#[tokio::test]
async fn several_apps_are_one_deployment_and_what_is_depended_on_comes_first() {
    let dev = Dev::start(&["--agents", "1"]).await;
    let mut front = sleeper("/shop/front", 1);
    front["dependencies"] = json!(["/shop/store"]);
    // It can't start: nobody has so much. So the one in front of it waits.
    let mut store = sleeper("/shop/store", 1);
    store["cpus"] = json!(1_000_000);
    let put = dev.marathon.put("/v2/apps", &json!([front, store])).await;
    let id = put.expect(200)["deploymentId"].clone();
    let running_ones = dev.marathon.get("/v2/deployments").await;
    let deployment =
        list(&running_ones).iter().find(|one| one["id"] == id).expect("it is under way");
    assert_eq!(deployment["affectedApps"], json!(["/shop/front", "/shop/store"]));
    until("the queue", async || {
        let queue = dev.marathon.get("/v2/queue").await;
        let waiting: Vec<&str> =
            list(&queue["queue"]).iter().map(|one| text(&one["app"]["id"])).collect();
        if waiting == ["/shop/store"] { Ok(()) } else { Err(queue) }
    })
    .await;
    assert!(tasks(&dev.marathon, "shop/front").await.is_empty());

    let smaller = dev.marathon.put("/v2/apps/shop/store?force=true", &json!({"cpus": 0.1})).await;
    smaller.expect(200);
    running(&dev.marathon, "shop/store", 1).await;
    dev.stop().await;
}
