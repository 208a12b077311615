//! Rolling upgrades under load, and which instances go when there are too many.

use serde_json::{Value, json};

use crate::cluster::Dev;
use crate::http::{list, text};
use crate::marathon::{deploy, deployed, ids, running, server, sleeper, tasks};

#[tokio::test]
async fn while_an_app_is_upgraded_enough_of_it_stays_healthy_and_never_too_much_runs() {
    let dev = Dev::start(&["--agents", "2"]).await;
    for (minimum, over, healthy_min, tasks_max) in [(0.5, 0.0, 2, 4), (1.0, 0.25, 4, 5)] {
        let id = format!("/web-{tasks_max}");
        let mut app = server(&id, 4);
        app["upgradeStrategy"] =
            json!({"minimumHealthCapacity": minimum, "maximumOverCapacity": over});
        let old = ids(&deploy(&dev.marathon, &app).await);
        let path = format!("/v2/apps{id}");
        let upgrade = dev.marathon.put(&path, &json!({"env": {"COLOUR": "green"}})).await;
        upgrade.expect(200);
        loop {
            let shown = dev.marathon.get(&path).await["app"].take();
            let healthy = shown["tasksHealthy"].as_u64().expect("a number");
            assert!(healthy >= healthy_min, "only {healthy} are healthy: {shown}");
            let count = list(&shown["tasks"]).len();
            assert!(count <= tasks_max, "{count} tasks: {shown}");
            if list(&shown["deployments"]).is_empty() {
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
        let new = ids(&running(&dev.marathon, &id[1..], 4).await);
        assert!(new.iter().all(|task| !old.contains(task)), "{old:?} became {new:?}");
    }
    dev.stop().await;
}

#[tokio::test]
async fn a_stuck_upgrade_can_be_overtaken_by_force() {
    let dev = Dev::start(&["--agents", "1"]).await;
    let old = deploy(&dev.marathon, &server("/web", 1)).await;
    let stuck = dev.marathon.put("/v2/apps/web", &json!({"cmd": "exec sleep 1000"})).await;
    stuck.expect(200);
    running(&dev.marathon, "web", 2).await;
    let better = json!({"cmd": "exec meros serve --text better"});
    let locked = dev.marathon.put("/v2/apps/web", &better).await;
    let id = stuck.header("marathon-deployment-id");
    assert_eq!(locked.expect(409)["deployments"], json!([{"id": id}]));
    // A kill with scale changes the app too; a plain kill doesn't.
    let all = "/v2/apps/web/tasks?scale=true";
    assert_eq!(dev.marathon.delete(all).await.expect(409), locked.json());
    let by_id = dev.marathon.post("/v2/tasks/delete?scale=true", &json!({"ids": ids(&old)})).await;
    assert_eq!(by_id.expect(409), locked.json());
    let forced = dev.marathon.put("/v2/apps/web?force=true", &better).await;
    forced.expect(200);
    deployed(&dev.marathon, &forced).await;
    let now = running(&dev.marathon, "web", 1).await;
    assert_ne!(ids(&now), ids(&old));
    let at = format!("http://{}:{}/", text(&now[0]["host"]), now[0]["ports"][0]);
    let answer = dev.marathon.http.get(&at).await.expect("it serves");
    assert_eq!(answer.text(), "better\n");
    dev.stop().await;
}

#[tokio::test]
async fn the_youngest_or_the_oldest_goes_first_as_the_app_says() {
    let dev = Dev::start(&["--agents", "1"]).await;
    for (selection, kept) in [("YOUNGEST_FIRST", 0), ("OLDEST_FIRST", 1)] {
        let name = selection.to_lowercase().replace('_', "-");
        let mut app = sleeper(&format!("/{name}"), 1);
        app["killSelection"] = json!(selection);
        let first = ids(&deploy(&dev.marathon, &app).await);
        let scale = async |instances: u64| {
            let path = format!("/v2/apps/{name}");
            let scaled = dev.marathon.put(&path, &json!({"instances": instances})).await;
            scaled.expect(200);
            deployed(&dev.marathon, &scaled).await;
            running(&dev.marathon, &name, instances).await
        };
        let both: Vec<Value> = scale(2).await;
        let second = ids(&both).into_iter().find(|task| *task != first[0]).expect("another");
        let expected = [first[0].clone(), second][kept].clone();
        assert_eq!(ids(&scale(1).await), [expected], "{selection}");
        assert_eq!(tasks(&dev.marathon, &name).await.len(), 1);
    }
    dev.stop().await;
}
