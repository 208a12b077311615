//! Readiness checks: a deployment goes on only when a new task says that it can serve.

use serde_json::{Value, json};

use crate::cluster::Dev;
use crate::http::{list, text};
use crate::marathon::{deploy, deployed, ids, running, server, tasks};
use crate::wait::until;

/// An app whose tasks answer on their port from when there is a file `go`.
fn slow(go: &str) -> Value {
    let mut app = server("/slow", 1);
    app["cmd"] =
        json!(format!("until test -e {go}; do sleep 0.1; done; exec meros serve --text up"));
    app["healthChecks"] = json!([]);
    app["readinessChecks"] = json!([{
        "name": "warm", "portName": "http", "path": "/", "intervalSeconds": 2, "timeoutSeconds": 1,
        "preserveLastResponse": true,
    }]);
    app
}

#[tokio::test]
async fn a_deployment_waits_for_readiness_and_shows_what_it_waits_for() {
    let dev = Dev::start(&["--agents", "1"]).await;
    let go = dev.home.join("go");
    let created = dev.marathon.post("/v2/apps", &slow(&go)).await;
    created.expect(201);
    let first = until("an answer to the readiness check", async || {
        let deployments = dev.marathon.get("/v2/deployments").await;
        let action = deployments[0]["currentActions"][0].clone();
        let result = action["readinessCheckResults"][0].clone();
        if result.is_object() { Ok(result) } else { Err(deployments) }
    })
    .await;
    assert_eq!((text(&first["name"]), &first["ready"]), ("warm", &json!(false)));
    // There is no answer yet, which counts as a gateway's that got none.
    assert_eq!(first["lastResponse"]["status"], 504);
    let task = ids(&running(&dev.marathon, "slow", 1).await).remove(0);
    assert_eq!(first["taskId"], *task);
    let shown = &dev.marathon.get("/v2/apps/slow?embed=app.readiness").await["app"];
    assert_eq!(shown["readinessCheckResults"][0]["taskId"], *task);

    std::fs::write(&go, "").expect("a file");
    deployed(&dev.marathon, &created).await;
    assert_eq!(ids(&running(&dev.marathon, "slow", 1).await), [task]);
    dev.stop().await;
}

#[tokio::test]
async fn an_upgrade_keeps_the_old_task_until_the_new_one_is_ready() {
    let dev = Dev::start(&["--agents", "1"]).await;
    let (first, second) = (dev.home.join("first"), dev.home.join("second"));
    std::fs::write(&first, "").expect("a file");
    let old = ids(&deploy(&dev.marathon, &slow(&first)).await);
    let upgrade = dev.marathon.put("/v2/apps/slow", &slow(&second)).await;
    upgrade.expect(200);
    let both = running(&dev.marathon, "slow", 2).await;
    assert!(ids(&both).contains(&old[0]), "{both:?}");
    until("the new one to be asked", async || {
        let deployments = dev.marathon.get("/v2/deployments").await;
        let results = &deployments[0]["currentActions"][0]["readinessCheckResults"];
        let asked = list(results).iter().any(|result| result["ready"] == false);
        if asked { Ok(()) } else { Err(deployments) }
    })
    .await;
    assert_eq!(ids(&tasks(&dev.marathon, "slow").await), ids(&both), "nothing goes on");
    std::fs::write(&second, "").expect("a file");
    deployed(&dev.marathon, &upgrade).await;
    let new = ids(&running(&dev.marathon, "slow", 1).await);
    assert!(new != old && ids(&both).contains(&new[0]), "{new:?}");
    dev.stop().await;
}
