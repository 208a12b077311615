//! A second start on the same folder finds the apps again.

use rustix::process::Signal;
use serde_json::json;

use crate::cluster::{Dev, Role, Roles, assert_log_is_clean, registered, subscribed};
use crate::home::Home;
use crate::http::{list, text};
use crate::leftovers::processes_of_task;
use crate::marathon::{deploy, deployed, ids, running, sleeper};
use crate::process::Process;

#[tokio::test]
async fn a_second_start_on_the_same_folder_finds_the_apps_again() {
    let home = Home::new();
    let work_dir = home.join("cluster");
    let dev = Dev::start_in(home, &["--agents", "2", "--work-dir", &work_dir]).await;
    deploy(&dev.marathon, &sleeper("/one", 2)).await;
    deploy(&dev.marathon, &sleeper("/group/two", 1)).await;
    let changed = dev.marathon.put("/v2/apps/one", &json!({"labels": {"a": "b"}})).await;
    deployed(&dev.marathon, &changed).await;
    let before = dev.marathon.get("/v2/apps/one").await["app"].clone();
    let versions = dev.marathon.get("/v2/apps/one/versions").await;
    let framework = dev.marathon.get("/v2/info").await["frameworkId"].clone();
    let home = dev.stop().await;

    let dev = Dev::start_in(home, &["--agents", "2", "--work-dir", &work_dir]).await;
    running(&dev.marathon, "one", 2).await;
    running(&dev.marathon, "group/two", 1).await;
    let after = dev.marathon.get("/v2/apps/one").await["app"].clone();
    for field in ["version", "labels", "cmd", "instances", "versionInfo"] {
        assert_eq!(after[field], before[field], "{field}");
    }
    assert_eq!(dev.marathon.get("/v2/apps/one/versions").await, versions);
    assert_eq!(dev.marathon.get("/v2/info").await["frameworkId"], framework);
    dev.stop().await;
}

#[tokio::test]
async fn an_app_that_is_given_again_on_a_second_start_is_not_a_new_one() {
    let home = Home::new();
    let (work_dir, file) = (home.join("cluster"), home.write("a.json", sleeper("/a", 1)));
    let arguments = ["--agents", "1", "--work-dir", &work_dir, &file];
    let mut dev = Dev::start_in(home, &arguments).await;
    dev.process.says("Ctrl-C ends the tasks").await;
    let versions = dev.marathon.get("/v2/apps/a/versions").await;
    let home = dev.stop().await;
    let mut dev = Dev::start_in(home, &arguments).await;
    dev.process.says("Ctrl-C ends the tasks").await;
    running(&dev.marathon, "a", 1).await;
    assert_eq!(dev.marathon.get("/v2/apps/a/versions").await, versions);
    dev.stop().await;
}

#[tokio::test]
async fn a_folder_is_used_by_one_cluster_at_a_time() {
    let home = Home::new();
    let work_dir = home.join("cluster");
    let arguments = ["--agents", "1", "--work-dir", &work_dir];
    let dev = Dev::start_in(home, &arguments).await;
    let ports = ["dev", "--master-port", "0", "--marathon-port", "0"];
    let second = Process::run(&dev.home, &[&ports[..], &arguments].concat()).await;
    assert_eq!(second.code, Some(3), "{second:?}");
    let error = second.stderr.lines().last().unwrap_or_default();
    assert!(error.starts_with("error: ") && error.contains("in use by another process"), "{error}");
    deploy(&dev.marathon, &sleeper("/unharmed", 1)).await;
    dev.stop().await;
}

#[tokio::test]
async fn tasks_run_on_while_marathon_is_away_and_are_its_own_when_it_is_back() {
    let roles = Roles::start(1).await;
    let marathon = roles.marathon().await;
    let before = ids(&deploy(&marathon.api, &sleeper("/sleeper", 2)).await);
    marathon.stop().await;
    for task in &before {
        assert_eq!(processes_of_task(task).len(), 1, "{task} runs on");
    }
    let marathon = roles.marathon().await;
    assert_eq!(ids(&running(&marathon.api, "sleeper", 2).await), before);
    let scaled = marathon.api.put("/v2/apps/sleeper", &json!({"instances": 3})).await;
    deployed(&marathon.api, &scaled).await;
    let after = ids(&running(&marathon.api, "sleeper", 3).await);
    assert!(before.iter().all(|task| after.contains(task)), "{before:?} to {after:?}");
    let frameworks = roles.master.api.get("/frameworks").await;
    assert_eq!(list(&frameworks["frameworks"]).len(), 1, "it came back as the same framework");
    let removed = marathon.api.delete("/v2/apps/sleeper").await;
    deployed(&marathon.api, &removed).await;
    marathon.stop().await;
    roles.stop().await;
}

#[tokio::test]
async fn what_marathon_has_answered_outlives_its_being_killed() {
    let roles = Roles::start(1).await;
    let mut marathon = roles.marathon().await;
    let kept = ids(&deploy(&marathon.api, &sleeper("/kept", 1)).await);
    for number in 1..=3 {
        let created = marathon.api.post("/v2/apps", &sleeper(&format!("/new-{number}"), 1)).await;
        let scaled = marathon.api.put("/v2/apps/kept", &json!({"instances": number + 1})).await;
        marathon.process.signal(Signal::KILL);
        created.expect(201);
        assert!([200, 409].contains(&scaled.status), "{}", scaled.text);
        marathon.process.ended().await;
        marathon = roles.marathon().await;
        // The deployments go on, too.
        running(&marathon.api, &format!("new-{number}"), 1).await;
        let instances = if scaled.status == 200 { number + 1 } else { number };
        let app = &marathon.api.get("/v2/apps/kept").await["app"];
        assert_eq!(app["instances"], instances, "{app}");
        let tasks = ids(&running(&marathon.api, "kept", instances).await);
        assert!(tasks.contains(&kept[0]), "{tasks:?}");
    }
    marathon.stop().await;
    roles.stop().await;
}

#[tokio::test]
async fn a_master_that_is_killed_and_started_again_finds_agents_tasks_and_frameworks() {
    let mut roles = Roles::start(1).await;
    let marathon = roles.marathon().await;
    let before = ids(&deploy(&marathon.api, &sleeper("/sleeper", 1)).await);
    let agents = roles.master.api.get("/slaves").await;
    let agent = text(&agents["slaves"][0]["id"]).to_owned();
    let port = roles.master.api.address.port().to_string();
    roles.master.process.signal(Signal::KILL);
    roles.master.process.ended().await;
    let arguments = ["--port", &port, "--work-dir", &roles.home.join("master")];
    roles.master = Role::start(&roles.home, "master", &arguments).await;
    registered(&roles.master.api, 1).await;
    subscribed(&roles.master.api).await;
    let agents = roles.master.api.get("/slaves").await;
    assert_eq!(agents["slaves"][0]["id"], *agent, "the same agent");
    assert_eq!(ids(&running(&marathon.api, "sleeper", 1).await), before, "the same task");
    let scaled = marathon.api.put("/v2/apps/sleeper", &json!({"instances": 2})).await;
    deployed(&marathon.api, &scaled).await;
    running(&marathon.api, "sleeper", 2).await;

    let away = [
        "lost the master; connecting again",
        "no master takes the subscription",
        "can't register with the master",
        "disconnected from the master",
    ];
    marathon.stop_allowing(&away).await;
    for mut agent in roles.agents {
        let ended = agent.process.left().await;
        assert_eq!(ended.code, Some(0), "{ended:?}");
        assert_log_is_clean(&ended.stderr, &away);
    }
    roles.master.stop().await;
}
