//! What a task finds: its sandbox, its environment, its limits.

use std::collections::BTreeMap;

use meros_sdk::http::Method;
use serde_json::{Value, json};

use crate::cluster::Dev;
use crate::http::{Api, list, text};
use crate::marathon::{deploy, running, sleeper};
use crate::wait::until;

/// Waits for a file in the sandbox of a task that is not empty; returns what is in it.
async fn file(dev: &Dev, task: &Value, name: &str) -> String {
    let frameworks = dev.master.get("/frameworks").await;
    let framework = text(&frameworks["frameworks"][0]["id"]);
    let agents = dev.master.get("/slaves").await;
    let mut agents = list(&agents["slaves"]).iter();
    let agent = agents.find(|agent| agent["id"] == task["slaveId"]).expect("its agent");
    let port = agent["port"].as_u64().expect("a port");
    let own = |api: &&Api| u64::from(api.address.port()) == port;
    let agent = dev.agents.iter().find(own).expect("one of ours");
    let id = text(&task["id"]);
    let path =
        format!("/files/read?offset=0&path=/framework/{framework}/executor/{id}/latest/{name}");
    until(&format!("{name} of {id}"), async || {
        let answer = agent.send(Method::GET, &path, "").await;
        let data = if answer.status == 200 { answer.json()["data"].clone() } else { Value::Null };
        match text(&data) {
            "" => Err(answer.text),
            text => Ok(text.to_owned()),
        }
    })
    .await
}

#[tokio::test]
async fn the_worker_example_runs_without_ports_and_writes_to_its_sandbox() {
    let worker = format!("{}/examples/worker.json", env!("CARGO_MANIFEST_DIR"));
    let mut dev = Dev::start(&["--agents", "2", &worker]).await;
    dev.process.says("Ctrl-C ends the tasks").await;
    let tasks = running(&dev.marathon, "worker", 2).await;
    for task in &tasks {
        assert_eq!(task["ports"], json!([]));
        let wrote = file(&dev, task, "stdout").await;
        assert!(wrote.contains(&format!(" working as {}\n", text(&task["id"]))), "{wrote:?}");
    }
    dev.stop().await;
}

#[tokio::test]
async fn a_task_finds_its_ports_its_app_and_its_own_variables_in_its_environment() {
    let dev = Dev::start(&["--agents", "1"]).await;
    let app = json!({
        "id": "/shop/web", "cmd": "env > environment; pwd > place; exec sleep 1000",
        "cpus": 0.1, "mem": 32, "instances": 1,
        "env": {"COLOUR": "blue and green", "MARATHON_APP_ID": "mine"},
        "labels": {"tier": "front", "HAPROXY_0_VHOST": "a.b"},
        "portDefinitions": [{"port": 0, "name": "http"}, {"port": 0, "name": "admin"}],
    });
    let tasks = deploy(&dev.marathon, &app).await;
    let task = &tasks[0];
    let wrote = file(&dev, task, "environment").await;
    let environment: BTreeMap<&str, &str> =
        wrote.lines().filter_map(|line| line.split_once('=')).collect();
    let ports: Vec<String> = list(&task["ports"]).iter().map(ToString::to_string).collect();
    let place = file(&dev, task, "place").await;
    let shown = dev.marathon.get("/v2/apps/shop/web").await;
    for (name, value) in [
        ("MESOS_TASK_ID", text(&task["id"])),
        ("MARATHON_APP_VERSION", text(&shown["app"]["version"])),
        ("MARATHON_APP_RESOURCE_CPUS", "0.1"),
        ("MARATHON_APP_RESOURCE_MEM", "32.0"),
        ("MARATHON_APP_LABEL_TIER", "front"),
        ("MARATHON_APP_LABEL_HAPROXY_0_VHOST", "a.b"),
        ("MARATHON_APP_LABELS", "HAPROXY_0_VHOST TIER"),
        ("HOST", text(&task["host"])),
        ("PORT", &ports[0]),
        ("PORT0", &ports[0]),
        ("PORT1", &ports[1]),
        ("PORTS", &ports.join(",")),
        ("PORT_HTTP", &ports[0]),
        ("PORT_ADMIN", &ports[1]),
        ("COLOUR", "blue and green"),
        ("MARATHON_APP_ID", "mine"),
        ("MESOS_SANDBOX", place.trim()),
        ("MESOS_ALLOCATION_ROLE", "*"),
    ] {
        assert_eq!(environment.get(name), Some(&value), "{name} in {environment:#?}");
    }
    dev.stop().await;
}

#[tokio::test]
async fn a_task_that_takes_more_memory_than_it_may_is_ended_where_the_host_can_limit_it() {
    let dev = Dev::start(&["--agents", "1"]).await;
    // 300 MB, held at once, and then gone: bounded also where nothing limits it.
    let mut app = sleeper("/greedy", 1);
    app["cmd"] =
        json!("head -c 300m /dev/zero | tail -c 300m > /dev/null; echo survived; sleep 1000");
    app["backoffSeconds"] = json!(3600);
    app["maxLaunchDelaySeconds"] = json!(3600);
    let created = dev.marathon.post("/v2/apps", &app).await;
    assert_eq!(created.status, 201, "{}", created.text);
    if dev.process.stderr().contains("not limited in") {
        return drop(dev.stop().await);
    }
    // The shell may outlive the pipe that was ended: the task fails all the same.
    let failure = until("the end of the task", async || {
        let answer = dev.marathon.get("/v2/apps/greedy").await;
        let failure = answer["app"]["lastTaskFailure"].clone();
        if failure.is_null() { Err(answer) } else { Ok(failure) }
    })
    .await;
    assert_eq!(failure["state"], "TASK_FAILED", "{failure}");
    assert!(text(&failure["message"]).to_lowercase().contains("memory"), "{failure}");
    dev.stop().await;
}
