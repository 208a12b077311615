//! An app's versions, going back to one of them, and deployments in each other's way.

use meros_sdk::http::Method;
use serde_json::json;

use crate::cluster::Dev;
use crate::http::{list, text};
use crate::marathon::{deploy, deployed, running, sleeper};

#[tokio::test]
async fn every_version_is_kept_and_any_can_be_gone_back_to() {
    let dev = Dev::start(&["--agents", "1"]).await;
    let mut app = sleeper("/sleeper", 1);
    app["env"] = json!({"COLOUR": "blue"});
    deploy(&dev.marathon, &app).await;
    let blue = dev.marathon.get("/v2/apps/sleeper").await["app"]["version"].clone();
    let changed = dev.marathon.put("/v2/apps/sleeper", &json!({"env": {"COLOUR": "green"}})).await;
    let green = changed.expect(200)["version"].clone();
    deployed(&dev.marathon, &changed).await;

    let versions = dev.marathon.get("/v2/apps/sleeper/versions").await;
    assert_eq!(versions, json!({"versions": [green, blue]}), "the newest first");
    let old = dev.marathon.get(&format!("/v2/apps/sleeper/versions/{}", text(&blue))).await;
    assert_eq!((&old["version"], &old["env"]), (&blue, &json!({"COLOUR": "blue"})), "the bare app");

    let back = dev.marathon.put("/v2/apps/sleeper", &json!({"version": blue})).await;
    let third = back.expect(200)["version"].clone();
    deployed(&dev.marathon, &back).await;
    let app = &dev.marathon.get("/v2/apps/sleeper").await["app"];
    assert_eq!((&app["version"], &app["env"]), (&third, &json!({"COLOUR": "blue"})));
    assert_eq!(list(&dev.marathon.get("/v2/apps/sleeper/versions").await["versions"]).len(), 3);

    let never = "2015-01-01T00:00:00.000Z";
    let message = json!({"message": format!("App '/sleeper' does not exist in version {never}")});
    let asked =
        dev.marathon.send(Method::GET, &format!("/v2/apps/sleeper/versions/{never}"), "").await;
    assert_eq!(asked.expect(404), message);
    let went = dev.marathon.put("/v2/apps/sleeper", &json!({"version": never})).await;
    assert_eq!(went.expect(404), message);
    let more =
        dev.marathon.put("/v2/apps/sleeper", &json!({"version": blue, "instances": 2})).await;
    let details = &more.expect(422)["details"];
    assert!(
        details
            .to_string()
            .contains("The 'version' field may only be combined with the 'id' field."),
        "{details}"
    );
    dev.stop().await;
}

#[tokio::test]
async fn an_app_that_is_being_deployed_is_locked_unless_the_change_is_forced() {
    let dev = Dev::start(&["--agents", "1"]).await;
    let mut app = sleeper("/stuck", 1);
    app["cpus"] = json!(1_000_000);
    let created = dev.marathon.post("/v2/apps", &app).await;
    let id = created.header("marathon-deployment-id").to_owned();
    let change = json!({"cpus": 0.1});
    let locked = dev.marathon.put("/v2/apps/stuck", &change).await;
    assert_eq!(
        locked.expect(409),
        json!({
            "message": "App is locked by one or more deployments. Override with the option \
                '?force=true'. View details at '/v2/deployments/<DEPLOYMENT_ID>'.",
            "deployments": [{"id": id}],
        })
    );
    // Python writes booleans so.
    let forced = dev.marathon.put("/v2/apps/stuck?force=True", &change).await;
    forced.expect(200);
    deployed(&dev.marathon, &forced).await;
    running(&dev.marathon, "stuck", 1).await;
    dev.stop().await;
}

#[tokio::test]
async fn cancelling_a_deployment_takes_back_what_it_changed_and_a_forced_cancel_does_not() {
    let dev = Dev::start(&["--agents", "1"]).await;
    deploy(&dev.marathon, &sleeper("/sleeper", 1)).await;
    let too_large = json!({"cpus": 1_000_000});
    let changed = dev.marathon.put("/v2/apps/sleeper", &too_large).await;
    let id = changed.expect(200)["deploymentId"].clone();
    let cancelled = dev.marathon.delete(&format!("/v2/deployments/{}", text(&id))).await;
    let reverting = cancelled.expect(200)["deploymentId"].clone();
    assert_ne!(reverting, id);
    deployed(&dev.marathon, &cancelled).await;
    running(&dev.marathon, "sleeper", 1).await;
    assert_eq!(dev.marathon.get("/v2/apps/sleeper").await["app"]["cpus"], 0.1);

    let changed = dev.marathon.put("/v2/apps/sleeper", &too_large).await;
    let id = changed.expect(200)["deploymentId"].clone();
    let stopped = dev.marathon.delete(&format!("/v2/deployments/{}?force=true", text(&id))).await;
    assert_eq!((stopped.status, stopped.text.as_str()), (202, ""));
    assert_eq!(dev.marathon.get("/v2/deployments").await, json!([]));
    let app = &dev.marathon.get("/v2/apps/sleeper").await["app"];
    assert_eq!(app["cpus"].as_f64(), Some(1_000_000.0), "{app}");

    let unknown = dev.marathon.delete("/v2/deployments/nothing").await;
    assert_eq!(unknown.expect(404), json!({"message": "DeploymentPlan nothing does not exist"}));
    dev.stop().await;
}
