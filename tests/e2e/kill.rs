//! Killing tasks over Marathon's REST API: to have them replaced, or to have fewer.

use serde_json::json;

use crate::cluster::Dev;
use crate::http::{list, text};
use crate::leftovers::processes_of_task;
use crate::marathon::{deploy, deployed, ids, incarnation, running, sleeper, tasks};
use crate::wait::until;

/// Waits until these tasks are gone and `count` others of the app run; returns their ids.
async fn replaced(dev: &Dev, app: &str, killed: &[String], count: u64) -> Vec<String> {
    until("replacements", async || {
        let tasks = tasks(&dev.marathon, app).await;
        let all_run = tasks.iter().all(|task| task["state"] == "TASK_RUNNING");
        let found = ids(&tasks);
        let gone = killed.iter().all(|task| !found.contains(task));
        if all_run && gone && found.len() as u64 == count { Ok(found) } else { Err(json!(tasks)) }
    })
    .await
}

#[tokio::test]
async fn a_killed_task_is_shown_and_then_replaced_by_the_next_of_its_instance() {
    let dev = Dev::start(&["--agents", "1"]).await;
    let before = ids(&deploy(&dev.marathon, &sleeper("/sleeper", 2)).await);
    let path = format!("/v2/apps//sleeper/tasks/{}?scale=False&wipe=False", before[0]);
    let killed = dev.marathon.delete(&path).await.expect(200);
    assert_eq!(
        (text(&killed["task"]["id"]), text(&killed["task"]["appId"])),
        (&*before[0], "/sleeper")
    );
    let after = replaced(&dev, "sleeper", &before[..1], 2).await;
    let (instance, number) = incarnation(&before[0]);
    assert!(after.contains(&format!("{instance}._app.{}", number + 1)), "{before:?} to {after:?}");
    assert!(after.contains(&before[1]), "{before:?} to {after:?}");

    let unknown = dev.marathon.delete(&format!("/v2/apps/sleeper/tasks/{}", before[0])).await;
    let message = format!("Task '{}' does not exist", before[0]);
    assert_eq!(unknown.expect(404), json!({"message": message}));
    dev.stop().await;
}

#[tokio::test]
async fn killing_with_scale_leaves_that_many_fewer() {
    let dev = Dev::start(&["--agents", "1"]).await;
    let before = ids(&deploy(&dev.marathon, &sleeper("/sleeper", 4)).await);
    let one =
        dev.marathon.delete(&format!("/v2/apps/sleeper/tasks/{}?scale=true", before[0])).await;
    assert_eq!(one.expect(200)["deploymentId"], one.header("marathon-deployment-id"));
    deployed(&dev.marathon, &one).await;
    assert_eq!(ids(&running(&dev.marathon, "sleeper", 3).await), before[1..]);
    assert_eq!(dev.marathon.get("/v2/apps/sleeper").await["app"]["instances"], 3);

    let some = json!({"ids": [before[1], before[2]]});
    let two = dev.marathon.post("/v2/tasks/delete?scale=True", &some).await;
    two.expect(200);
    deployed(&dev.marathon, &two).await;
    assert_eq!(ids(&running(&dev.marathon, "sleeper", 1).await), before[3..]);
    for task in &before[..3] {
        assert!(processes_of_task(task).is_empty(), "{task} has ended");
    }

    let all = dev.marathon.delete("/v2/apps/sleeper/tasks?scale=true").await;
    all.expect(200);
    deployed(&dev.marathon, &all).await;
    assert_eq!(dev.marathon.get("/v2/apps/sleeper").await["app"]["instances"], 0);
    dev.stop().await;
}

#[tokio::test]
async fn tasks_are_killed_by_host_or_by_their_ids_and_unknown_ids_are_skipped() {
    let dev = Dev::start(&["--agents", "2"]).await;
    let mut app = sleeper("/sleeper", 2);
    app["constraints"] = json!([["hostname", "UNIQUE"]]);
    let before = deploy(&dev.marathon, &app).await;
    let (host, there) = (text(&before[0]["host"]), ids(&before[..1]));
    let killed =
        dev.marathon.delete(&format!("/v2/apps/sleeper/tasks?host={host}")).await.expect(200);
    assert_eq!(ids(list(&killed["tasks"])), there);
    let after = replaced(&dev, "sleeper", &there, 2).await;
    assert!(after.contains(&ids(&before)[1]));

    let elsewhere = dev.marathon.delete("/v2/apps/sleeper/tasks?host=nowhere").await;
    assert_eq!(elsewhere.expect(200), json!({"tasks": []}));
    let some =
        json!({"ids": [after[0], "gone.instance-00000000-0000-4000-8000-000000000000._app.1"]});
    let killed = dev.marathon.post("/v2/tasks/delete", &some).await.expect(200);
    assert_eq!(ids(list(&killed["tasks"])), after[..1]);
    let last = replaced(&dev, "sleeper", &after[..1], 2).await;

    let wiped = dev.marathon.delete("/v2/apps/sleeper/tasks?wipe=true").await.expect(200);
    assert_eq!(list(&wiped["tasks"]).len(), 2);
    let fresh = replaced(&dev, "sleeper", &last, 2).await;
    for task in &fresh {
        assert_eq!(incarnation(task).1, 1, "new instances: {last:?} to {fresh:?}");
    }
    let both = dev.marathon.delete("/v2/apps/sleeper/tasks?wipe=true&scale=true").await;
    let message = json!({"message": "You cannot use scale and wipe at the same time."});
    assert_eq!(both.expect(400), message);
    dev.stop().await;
}
