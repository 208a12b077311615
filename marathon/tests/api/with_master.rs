//! What a master brings about: launches, kills, failures, and coming back after a restart.

use std::time::Duration;

use meros_proto::v1::TaskState::{TaskFailed, TaskKilled, TaskRunning, TaskStarting};
use meros_proto::v1::scheduler::call::Type;
use meros_sdk::testing::FakeMaster;
use serde_json::Value;
use tempfile::TempDir;

use crate::http_client::{open, send};
use crate::role::{Marathon, read_until, start};
use crate::transcript;

const OFFERED: &str = "cpus:4;mem:4096;disk:4096;ports:[31000-31010]";

/// A Marathon and its master, with the app `/web` of two instances running.
struct Cluster {
    master: FakeMaster,
    marathon: Marathon,
    work_dir: TempDir,
}

async fn with_web() -> Cluster {
    let master = FakeMaster::start().await;
    master.run_tasks(&[TaskStarting, TaskRunning]);
    let work_dir = TempDir::new().expect("a directory");
    let marathon = start(&work_dir, &master.address()).await;
    post(&marathon, r#"{"id": "/web", "cmd": "sleep 100", "cpus": 0.5, "instances": 2}"#).await;
    master.next_call(Type::Revive).await;
    master.offer("offer-1", "agent-1", OFFERED);
    let cluster = Cluster { master, marathon, work_dir };
    cluster.settled(|app| app["tasksRunning"] == 2).await;
    cluster
}

async fn post(marathon: &Marathon, app: &str) {
    let answer = send(&marathon.address, "POST", "/v2/apps", &[], app).await;
    assert_eq!(answer.status, 201, "{}", answer.text());
}

impl Cluster {
    /// Waits until no deployment changes `/web` and it is as wanted; gives it.
    async fn settled(&self, wanted: impl Fn(&Value) -> bool) -> Value {
        for _ in 0..500 {
            let answer = send(&self.marathon.address, "GET", "/v2/apps/web", &[], "").await;
            let mut found: Value = serde_json::from_slice(&answer.body).expect("JSON");
            let app = found["app"].take();
            if app["deployments"] == Value::Array(Vec::new()) && wanted(&app) {
                return app;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("/web did not settle");
    }

    /// The ids of the tasks of `/web`.
    async fn tasks(&self) -> Vec<String> {
        let app = self.settled(|_| true).await;
        let tasks = app["tasks"].as_array().expect("a list");
        tasks.iter().map(|task| task["id"].as_str().expect("text").to_owned()).collect()
    }

    async fn delete(&self, path: &str) -> Value {
        let answer = send(&self.marathon.address, "DELETE", path, &[], "").await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        serde_json::from_slice(&answer.body).expect("JSON")
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn running_tasks_are_shown_everywhere_in_the_contracts_shape() {
    let cluster = with_web().await;
    let transcript = include_str!("transcripts/running.txt");
    transcript::play("running.txt", transcript, &cluster.marathon.address).await;
    cluster.marathon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_task_is_replaced_by_the_next_incarnation_of_its_instance() {
    let cluster = with_web().await;
    let task = cluster.tasks().await.remove(0);
    let killed =
        cluster.delete(&format!("/v2/apps//web/tasks/{task}?scale=False&wipe=False")).await;
    assert_eq!(killed["task"]["id"], task.as_str());
    let call = cluster.master.next_call(Type::Kill).await;
    let named = call.kill.and_then(|kill| kill.task_id?.value);
    assert_eq!(named.as_deref(), Some(task.as_str()));
    cluster.master.update(&task, "agent-1", TaskKilled);
    cluster.master.next_call(Type::Revive).await;
    cluster.master.offer("offer-2", "agent-1", OFFERED);
    let next = task.replace("._app.1", "._app.2");
    cluster
        .settled(|app| app["tasksRunning"] == 2 && app["tasks"].to_string().contains(next.as_str()))
        .await;
    cluster.marathon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_with_scale_leaves_one_less() {
    let cluster = with_web().await;
    let task = cluster.tasks().await.remove(0);
    let result = cluster.delete(&format!("/v2/apps/web/tasks/{task}?scale=true")).await;
    assert!(result["deploymentId"].is_string() && result["version"].is_string(), "{result}");
    cluster.master.next_call(Type::Kill).await;
    cluster.master.update(&task, "agent-1", TaskKilled);
    let app = cluster.settled(|app| app["tasksRunning"] == 1).await;
    assert_eq!(app["instances"], 1);
    cluster.marathon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failure_is_shown_and_told_and_delays_the_next_launch() {
    let cluster = with_web().await;
    let accept = [("Accept".to_owned(), "text/event-stream".to_owned())];
    let mut stream = open(&cluster.marathon.address, "GET", "/v2/events", &accept, "").await;
    read_until(&mut stream, "event_stream_attached").await;
    let task = cluster.tasks().await.remove(0);
    cluster.master.update(&task, "agent-1", TaskFailed);
    let told = read_until(&mut stream, "\"taskStatus\":\"TASK_FAILED\"").await;
    assert!(told.contains("event: status_update_event\r\ndata: {"), "{told}");
    let app = cluster.settled(|app| app["tasksRunning"] == 1).await;
    assert_eq!(app["lastTaskFailure"]["taskId"], task.as_str());
    assert_eq!(app["lastTaskFailure"]["state"], "TASK_FAILED");
    let queue = send(&cluster.marathon.address, "GET", "/v2/queue", &[], "").await;
    assert!(queue.text().contains("\"overdue\":false"), "{}", queue.text());
    cluster.marathon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_launch_that_the_master_refuses_is_tried_again() {
    let master = FakeMaster::start().await;
    master.run_tasks(&[TaskStarting, TaskRunning]);
    let work_dir = TempDir::new().expect("a directory");
    let marathon = start(&work_dir, &master.address()).await;
    post(&marathon, r#"{"id": "/web", "cmd": "sleep 100", "cpus": 0.5, "backoffSeconds": 0}"#)
        .await;
    master.next_call(Type::Revive).await;
    master.answer_call(400, "no such offer");
    master.offer("offer-1", "agent-1", OFFERED);
    master.next_call(Type::Accept).await;
    master.next_call(Type::Revive).await;
    master.offer("offer-2", "agent-1", OFFERED);
    let cluster = Cluster { master, marathon, work_dir };
    cluster.settled(|app| app["tasksRunning"] == 1).await;
    cluster.marathon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_leaves_the_tasks_alone_and_a_start_comes_back_as_the_same_framework() {
    let cluster = with_web().await;
    let tasks = cluster.tasks().await;
    let first = cluster.master.next_call(Type::Subscribe).await;
    assert_eq!(first.framework_id, None);
    cluster.marathon.stop().await;
    cluster.master.unsubscribed().await;
    for kind in [Type::Teardown, Type::Kill] {
        assert_eq!(cluster.master.count(kind), 0, "{kind:?}");
    }

    let marathon = start(&cluster.work_dir, &cluster.master.address()).await;
    let second = cluster.master.next_call(Type::Subscribe).await;
    assert!(second.framework_id.is_some(), "it has an id by now");
    let cluster = Cluster { marathon, ..cluster };
    cluster.settled(|app| app["tasksRunning"] == 2).await;
    assert_eq!(cluster.tasks().await, tasks);
    cluster.marathon.stop().await;
}
