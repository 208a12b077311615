//! Where instances run, and why one doesn't.

use serde_json::{Value, json};

use crate::cluster::Dev;
use crate::http::{Api, list, text};
use crate::marathon::{deploy, ids, running, sleeper};
use crate::wait::until;

/// Waits until the queue names `reason` as one for which offers didn't fit the app.
async fn why_not(marathon: &Api, app: &str, reason: &str) -> Value {
    until(&format!("{reason} of {app}"), async || {
        let queue = marathon.get("/v2/queue?embed=lastUnusedOffers").await;
        let item = list(&queue["queue"]).iter().find(|item| item["app"]["id"] == app);
        let item = item.cloned().unwrap_or_default();
        let rejects = list(&item["processedOffersSummary"]["rejectSummaryLastOffers"]);
        let named = rejects.iter().any(|one| {
            one["reason"] == reason && one["declined"].as_u64().is_some_and(|count| count > 0)
        });
        if named { Ok(item) } else { Err(queue) }
    })
    .await
}

fn hosts(tasks: &[Value]) -> Vec<&str> {
    let mut hosts: Vec<&str> = tasks.iter().map(|task| text(&task["host"])).collect();
    hosts.sort_unstable();
    hosts
}

#[tokio::test]
async fn constraints_say_where_instances_may_run_and_the_queue_says_why_one_does_not() {
    let dev = Dev::start(&["--agents", "2"]).await;
    dev.is_whole().await;
    let mut apart = sleeper("/apart", 2);
    apart["constraints"] = json!([["hostname", "UNIQUE"]]);
    let tasks = deploy(&dev.marathon, &apart).await;
    assert_eq!(hosts(&tasks), ["127.0.0.1", "127.0.0.2"]);
    let mut together = sleeper("/together", 3);
    together["constraints"] = json!([["rack", "LIKE", "r[2-9]"]]);
    let tasks = deploy(&dev.marathon, &together).await;
    assert_eq!(hosts(&tasks), ["127.0.0.2"; 3]);

    let third = dev.marathon.put("/v2/apps/apart", &json!({"instances": 3})).await;
    third.expect(200);
    let item = why_not(&dev.marathon, "/apart", "UnfulfilledConstraint").await;
    assert_eq!((&item["count"], &item["delay"]["overdue"]), (&json!(1), &json!(true)));
    let unused = list(&item["lastUnusedOffers"]);
    assert!(!unused.is_empty(), "{item}");
    for offer in unused {
        assert_eq!(offer["reason"], json!(["UnfulfilledConstraint"]), "{item}");
        assert!(text(&offer["offer"]["hostname"]).starts_with("127.0.0."), "{item}");
    }
    running(&dev.marathon, "apart", 2).await;
    dev.stop().await;
}

#[tokio::test]
async fn an_app_that_is_too_large_waits_and_the_queue_says_for_what() {
    let dev = Dev::start(&["--agents", "1"]).await;
    dev.is_whole().await;
    for (id, field, reason) in [
        ("/cpus", "cpus", "InsufficientCpus"),
        ("/mem", "mem", "InsufficientMemory"),
        ("/disk", "disk", "InsufficientDisk"),
    ] {
        let mut app = sleeper(id, 1);
        app[field] = json!(1_000_000_000);
        dev.marathon.post("/v2/apps", &app).await.expect(201);
        why_not(&dev.marathon, id, reason).await;
    }
    // What fits isn't held up by what doesn't.
    deploy(&dev.marathon, &sleeper("/small", 1)).await;
    dev.stop().await;
}

#[tokio::test]
async fn a_required_port_is_the_agents_own_and_is_given_once() {
    let dev = Dev::start(&["--agents", "1"]).await;
    dev.is_whole().await;
    let mut app = sleeper("/required", 1);
    app["requirePorts"] = json!(true);
    app["portDefinitions"] = json!([{"port": 31005}]);
    let tasks = deploy(&dev.marathon, &app).await;
    assert_eq!(tasks[0]["ports"], json!([31005]));
    dev.marathon.put("/v2/apps/required", &json!({"instances": 2})).await.expect(200);
    why_not(&dev.marathon, "/required", "InsufficientPorts").await;
    dev.stop().await;
}

#[tokio::test]
async fn service_ports_are_chosen_once_and_kept() {
    let dev = Dev::start(&["--agents", "1"]).await;
    let mut app = sleeper("/web", 1);
    app["portDefinitions"] = json!([{"port": 0, "name": "http"}]);
    let created = dev.marathon.post("/v2/apps", &app).await.expect(201);
    let port = created["portDefinitions"][0]["port"].clone();
    assert!((10_000..=20_000).contains(&port.as_u64().expect("a number")), "{created}");
    let shown = dev.marathon.get("/v2/apps/web").await;
    assert_eq!(
        shown["app"]["portDefinitions"],
        json!([{"name": "http", "port": port, "protocol": "tcp"}])
    );
    running(&dev.marathon, "web", 1).await;
    let tasks = dev.marathon.get("/v2/tasks?status=running").await;
    assert_eq!(tasks["tasks"][0]["servicePorts"], json!([port]));
    dev.stop().await;
}

#[tokio::test]
async fn an_app_may_have_the_role_of_its_group_and_a_later_apps_role_leaves_it_alone() {
    let dev = Dev::start(&["--agents", "2"]).await;
    dev.is_whole().await;
    let plain = deploy(&dev.marathon, &sleeper("/plain", 1)).await;
    let mut first = sleeper("/team/first", 2);
    first["role"] = json!("team");
    let of_team = deploy(&dev.marathon, &first).await;
    let mut second = sleeper("/other/second", 1);
    second["role"] = json!("other");
    deploy(&dev.marathon, &second).await;
    // Told to the master before, so nothing changes.
    first["id"] = json!("/team/third");
    deploy(&dev.marathon, &first).await;

    let still = running(&dev.marathon, "team/first", 2).await;
    assert_eq!(ids(&still), ids(&of_team));
    assert_eq!(ids(&running(&dev.marathon, "plain", 1).await), ids(&plain));
    let frameworks = dev.master.get("/frameworks").await;
    let marathon = &list(&frameworks["frameworks"])[0];
    assert_eq!(marathon["roles"], json!(["*", "other", "team"]), "{marathon}");
    let tasks = list(&marathon["tasks"]);
    let of_role = |role: &str| tasks.iter().filter(|task| task["role"] == role).count();
    assert_eq!((of_role("*"), of_role("team"), of_role("other")), (1, 4, 1), "{marathon}");
    dev.stop().await;
}
