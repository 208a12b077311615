//! Marathon's own checks over real sockets: a master that runs tasks only in name, and a server of
//! the test in their place.

use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};

use meros_proto::v1::TaskState::{TaskKilled, TaskRunning, TaskStarting};
use meros_proto::v1::scheduler::call::Type;
use meros_sdk::testing::FakeMaster;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::http_client::{open, send};
use crate::role::{Marathon, read_until, start};

/// The agent, by its id and by its host name.
const HOST: &str = "127.0.0.1";

/// Answers every request with a status that can be changed.
struct Task {
    port: u16,
    status: Arc<AtomicU16>,
}

impl Task {
    async fn start(status: u16) -> Self {
        let listener = TcpListener::bind((HOST, 0)).await.expect("a port is free");
        let port = listener.local_addr().expect("it is bound").port();
        let status = Arc::new(AtomicU16::new(status));
        let task = Self { port, status: Arc::clone(&status) };
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let status = status.load(Ordering::SeqCst);
                let answer = format!(
                    "HTTP/1.1 {status} x\r\nContent-Type: text/plain\r\nContent-Length: 4\r\n\r\nhere"
                );
                let mut request = [0; 4_096];
                let _ = stream.read(&mut request).await;
                let _ = stream.write_all(answer.as_bytes()).await;
            }
        });
        task
    }

    fn answers(&self, status: u16) {
        self.status.store(status, Ordering::SeqCst);
    }
}

struct Cluster {
    master: FakeMaster,
    marathon: Marathon,
    _work_dir: TempDir,
}

impl Cluster {
    /// Starts a Marathon that is offered all that `app` needs.
    async fn with(app: &Value) -> Self {
        let master = FakeMaster::start().await;
        master.run_tasks(&[TaskStarting, TaskRunning]);
        let work_dir = TempDir::new().expect("a directory");
        let marathon = start(&work_dir, &master.address()).await;
        let answer = send(&marathon.address, "POST", "/v2/apps", &[], &app.to_string()).await;
        assert_eq!(answer.status, 201, "{}", answer.text());
        let cluster = Self { master, marathon, _work_dir: work_dir };
        cluster.offer("offer-1").await;
        cluster
    }

    async fn offer(&self, id: &str) {
        self.master.next_call(Type::Revive).await;
        self.master.offer(id, HOST, "cpus:4;mem:4096;disk:4096;ports:[31000-31010]");
    }

    async fn get(&self, path: &str) -> Value {
        let answer = send(&self.marathon.address, "GET", path, &[], "").await;
        serde_json::from_slice(&answer.body).expect("JSON")
    }

    /// Asks again and again until the answer is as wanted.
    async fn until(&self, path: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let mut last = Value::Null;
        for _ in 0..1_000 {
            last = self.get(path).await;
            if wanted(&last) {
                return last;
            }
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
        panic!("{path} never became what was waited for: {last}");
    }
}

fn app(port: u16, field: &str, check: Value) -> Value {
    let mut app = json!({
        "id": "/web", "cmd": "sleep 100", "cpus": 0.5,
        "portDefinitions": [{"port": port, "name": "http"}], "requirePorts": false,
    });
    app[field] = json!([check]);
    app
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_that_answers_is_healthy_and_one_that_fails_too_often_is_killed_and_told_of() {
    let task = Task::start(200).await;
    let check = json!({
        "port": task.port, "path": "/up", "intervalSeconds": 1, "timeoutSeconds": 1,
        "gracePeriodSeconds": 60, "maxConsecutiveFailures": 1,
    });
    let cluster = Cluster::with(&app(0, "healthChecks", check)).await;
    let healthy = |answer: &Value| answer["app"]["tasksHealthy"] == 1;
    let app = cluster.until("/v2/apps/web", healthy).await["app"].take();
    assert_eq!((&app["tasksRunning"], &app["tasksUnhealthy"]), (&json!(1), &json!(0)));
    assert_eq!(app["deployments"], json!([]), "it was waited for: {app}");
    let result = &app["tasks"][0]["healthCheckResults"][0];
    let first_success = result["firstSuccess"].as_str().expect("a time").to_owned();
    assert_eq!((&result["alive"], &result["consecutiveFailures"]), (&json!(true), &json!(0)));
    assert!(app["tasks"][0]["id"].to_string().contains(result["instanceId"].as_str().unwrap()));
    assert!(result.get("lastFailure").is_none() && result.get("lastFailureCause").is_none());
    let listed = cluster.get("/v2/apps?embed=apps.taskStats").await;
    let stats = &listed["apps"][0]["tasksStats"]["totalSummary"]["stats"]["counts"];
    assert_eq!(*stats, json!({"staged": 0, "running": 1, "healthy": 1, "unhealthy": 0}));

    let accept = [("Accept".to_owned(), "text/event-stream".to_owned())];
    let path =
        "/v2/events?event_type=unhealthy_instance_kill_event&event_type=event_stream_attached";
    let mut stream = open(&cluster.marathon.address, "GET", path, &accept, "").await;
    read_until(&mut stream, "event_stream_attached").await;
    task.answers(503);
    let unhealthy = |answer: &Value| answer["app"]["tasksUnhealthy"] == 1;
    let app = cluster.until("/v2/apps/web", unhealthy).await["app"].take();
    let result = &app["tasks"][0]["healthCheckResults"][0];
    assert_eq!(result["alive"], false);
    assert_eq!(result["lastFailureCause"], "503 Service Unavailable");
    assert_eq!(result["firstSuccess"], first_success.as_str());

    let kill = cluster.master.next_call(Type::Kill).await;
    let killed = kill.kill.and_then(|kill| kill.task_id?.value).expect("a task");
    let told = read_until(&mut stream, "\"eventType\":\"unhealthy_instance_kill_event\"").await;
    assert!(told.contains("\"reason\":\"503 Service Unavailable\""), "{told}");
    assert!(told.contains(&format!("\"taskId\":\"{killed}\"")), "{told}");
    task.answers(200);
    cluster.master.update(&killed, HOST, TaskKilled);
    cluster.offer("offer-2").await;
    let next = killed.replace("._app.1", "._app.2");
    let replaced =
        |answer: &Value| healthy(answer) && answer["app"]["tasks"][0]["id"] == next.as_str();
    cluster.until("/v2/apps/web", replaced).await;
    cluster.marathon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_that_takes_connections_is_healthy() {
    let task = Task::start(500).await;
    let check = json!({"protocol": "TCP", "port": task.port, "intervalSeconds": 1});
    let cluster = Cluster::with(&app(0, "healthChecks", check)).await;
    cluster.until("/v2/apps/web", |answer| answer["app"]["tasksHealthy"] == 1).await;
    cluster.marathon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deployment_waits_until_its_task_says_that_it_is_ready() {
    let task = Task::start(503).await;
    let check = json!({
        "portName": "http", "path": "/ready", "intervalSeconds": 2, "timeoutSeconds": 1,
        "preserveLastResponse": true, "httpStatusCodesForReady": [200, 204],
    });
    let mut app = app(task.port, "readinessChecks", check);
    app["requirePorts"] = json!(true);
    let master = FakeMaster::start().await;
    master.run_tasks(&[TaskStarting, TaskRunning]);
    let work_dir = TempDir::new().expect("a directory");
    let marathon = start(&work_dir, &master.address()).await;
    let answer = send(&marathon.address, "POST", "/v2/apps", &[], &app.to_string()).await;
    assert_eq!(answer.status, 201, "{}", answer.text());
    master.next_call(Type::Revive).await;
    master.offer("offer-1", HOST, &format!("cpus:4;mem:4096;ports:[{0}-{0}]", task.port));
    let cluster = Cluster { master, marathon, _work_dir: work_dir };

    let results = |answer: &Value| answer[0]["currentActions"][0]["readinessCheckResults"].clone();
    let asked = |answer: &Value| results(answer)[0]["lastResponse"].is_object();
    let deployments = cluster.until("/v2/deployments", asked).await;
    let shown = cluster.get("/v2/apps/web?embed=app.readiness").await["app"].take();
    assert_eq!(
        results(&deployments),
        json!([{
            "name": "readinessCheck", "taskId": shown["tasks"][0]["id"], "ready": false,
            "lastResponse": {"status": 503, "contentType": "text/plain", "body": "here"},
        }])
    );
    assert_eq!(shown["readinessCheckResults"], results(&deployments));
    assert_eq!(shown["tasksRunning"], 1);
    task.answers(204);
    cluster.until("/v2/deployments", |answer| *answer == json!([])).await;
    let shown = cluster.get("/v2/apps?embed=apps.readiness").await;
    assert_eq!(shown["apps"][0]["readinessCheckResults"], json!([]), "no deployment, no results");
    cluster.marathon.stop().await;
}
