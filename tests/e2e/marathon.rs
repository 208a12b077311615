//! What most tests do with Marathon: an app, its end state, its tasks.

use serde_json::{Value, json};

use crate::http::{Answer, Api, list, text};
use crate::wait::until;

/// An app that does nothing for long, and needs no port.
pub(crate) fn sleeper(id: &str, instances: u32) -> Value {
    json!({
        "id": id,
        "cmd": "exec sleep 1000",
        "instances": instances,
        "cpus": 0.1,
        "mem": 32,
        "portDefinitions": [],
    })
}

/// An app that answers on its port, and is asked every second whether it still does.
pub(crate) fn server(id: &str, instances: u32) -> Value {
    json!({
        "id": id,
        "cmd": "exec meros serve",
        "instances": instances,
        "cpus": 0.1,
        "mem": 32,
        "portDefinitions": [{"port": 0, "name": "http"}],
        "healthChecks": [{
            "path": "/",
            "intervalSeconds": 1,
            "timeoutSeconds": 1,
            "gracePeriodSeconds": 300,
            "maxConsecutiveFailures": 2,
        }],
        "taskKillGracePeriodSeconds": 1,
    })
}

/// Creates an app and waits until it is deployed; returns its tasks.
pub(crate) async fn deploy(marathon: &Api, app: &Value) -> Vec<Value> {
    let created = marathon.post("/v2/apps", app).await;
    assert_eq!(created.status, 201, "{}", created.text);
    deployed(marathon, &created).await;
    let instances = app["instances"].as_u64().unwrap_or(1);
    let tasks = running(marathon, text(&app["id"]), instances).await;
    assert_eq!(tasks.len() as u64, instances);
    tasks
}

/// Waits until the deployment that `answer` started has ended.
pub(crate) async fn deployed(marathon: &Api, answer: &Answer) {
    let id = answer.header("marathon-deployment-id");
    assert_eq!(id.len(), 36, "a UUID in {answer:?}");
    until("the deployment's end", async || {
        let running = marathon.get("/v2/deployments").await;
        match list(&running).iter().find(|deployment| deployment["id"] == id) {
            None => Ok(()),
            Some(deployment) => Err(deployment.clone()),
        }
    })
    .await;
}

/// Waits until exactly `count` tasks of an app run, and no others are there; returns them, sorted
/// by their ids.
pub(crate) async fn running(marathon: &Api, app: &str, count: u64) -> Vec<Value> {
    until(&format!("{count} running tasks of {app}"), async || {
        let tasks = tasks(marathon, app).await;
        let all_run = tasks.iter().all(|task| task["state"] == "TASK_RUNNING");
        if all_run && tasks.len() as u64 == count { Ok(tasks) } else { Err(json!(tasks)) }
    })
    .await
}

/// Waits until `count` tasks of an app are healthy.
pub(crate) async fn healthy(marathon: &Api, app: &str, count: u64) {
    until(&format!("{count} healthy tasks of {app}"), async || {
        let shown = marathon.get(&format!("/v2/apps/{app}")).await;
        if shown["app"]["tasksHealthy"] == count { Ok(()) } else { Err(shown) }
    })
    .await;
}

/// The tasks of an app, sorted by their ids.
pub(crate) async fn tasks(marathon: &Api, app: &str) -> Vec<Value> {
    let answer = marathon.get(&format!("/v2/apps/{app}/tasks")).await;
    let mut tasks = list(&answer["tasks"]).to_vec();
    tasks.sort_by_key(|task| text(&task["id"]).to_owned());
    tasks
}

/// The ids of tasks.
pub(crate) fn ids(tasks: &[Value]) -> Vec<String> {
    tasks.iter().map(|task| text(&task["id"]).to_owned()).collect()
}

/// The instance of a task, and the number of its launch: `x.instance-<uuid>._app.2` is the second
/// of `x.instance-<uuid>`.
pub(crate) fn incarnation(task: &str) -> (String, u32) {
    let parts = task.rsplit_once("._app.");
    let (instance, number) = parts.unwrap_or_else(|| panic!("{task} isn't a task's id"));
    (instance.to_owned(), number.parse().unwrap_or_else(|_| panic!("{task} has no number")))
}
