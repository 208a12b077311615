//! Health checks: an app counts as up when it answers, and a task that no longer does is replaced.

use std::sync::Arc;
use std::sync::atomic::{AtomicU16, AtomicUsize, Ordering};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::cluster::Dev;
use crate::http::{list, text};
use crate::leftovers::processes_of_task;
use crate::marathon::{
    deploy, deployed, healthy, ids, incarnation, running, server, sleeper, tasks,
};
use crate::sse::Events;
use crate::wait::until;

/// Sends a signal to all processes of a task.
fn signal(task: &str, signal: Signal) {
    let processes = processes_of_task(task);
    assert!(!processes.is_empty(), "{task} has processes");
    for pid in processes.iter().filter_map(|found| Pid::from_raw(found.pid)) {
        kill_process(pid, signal).expect("it runs as we do");
    }
}

fn is(kind: &'static str) -> impl Fn(&Value) -> bool {
    move |event| event["eventType"] == kind
}

#[tokio::test]
async fn an_app_is_deployed_once_all_its_checks_pass_and_shows_their_results() {
    let dev = Dev::start(&["--agents", "2"]).await;
    let kinds = ["add_health_check_event", "health_status_changed_event", "deployment_success"];
    let query: Vec<String> = kinds.iter().map(|kind| format!("event_type={kind}")).collect();
    let mut events = Events::open(&dev.marathon, &query.join("&")).await;
    let mut app = server("/web", 2);
    let tcp = json!({"protocol": "TCP", "portIndex": 0, "intervalSeconds": 1});
    app["healthChecks"].as_array_mut().expect("a list").push(tcp);
    let created = dev.marathon.post("/v2/apps", &app).await;
    created.expect(201);
    let told = events.until(is("deployment_success")).await;
    assert_eq!(told.iter().filter(|event| is(kinds[0])(event)).count(), 2, "{told:#?}");
    let passed = told.iter().filter(|event| is(kinds[1])(event) && event["alive"] == true);
    assert_eq!(passed.count(), 4, "two checks of two tasks: {told:#?}");

    let shown = &dev.marathon.get("/v2/apps/web").await["app"];
    let counts = ["tasksRunning", "tasksHealthy", "tasksUnhealthy"].map(|count| &shown[count]);
    assert_eq!(counts, [2, 2, 0], "{shown}");
    for task in list(&shown["tasks"]) {
        let results = list(&task["healthCheckResults"]);
        assert_eq!(results.len(), 2, "{task}");
        for result in results {
            assert_eq!(
                (&result["alive"], &result["consecutiveFailures"]),
                (&json!(true), &json!(0))
            );
            assert!(text(&result["firstSuccess"]).ends_with('Z'), "{result}");
            assert_eq!(incarnation(text(&task["id"])).0, text(&result["instanceId"]));
        }
    }
    drop(events);
    dev.stop().await;
}

#[tokio::test]
async fn a_task_that_stops_answering_is_killed_after_so_many_failures_and_replaced() {
    let dev = Dev::start(&["--agents", "1"]).await;
    let before = ids(&deploy(&dev.marathon, &server("/web", 2)).await);
    let query = "event_type=failed_health_check_event&event_type=unhealthy_instance_kill_event";
    let mut events = Events::open(&dev.marathon, query).await;
    // It is there, and can be connected to, but never says a word again.
    signal(&before[0], Signal::STOP);
    let told = events.until(is("unhealthy_instance_kill_event")).await;
    // Two failures are allowed: the third kills.
    assert_eq!(told.len(), 4, "{told:#?}");
    let (instance, number) = incarnation(&before[0]);
    assert!(told[..3].iter().all(|event| event["taskId"] == *instance), "{told:#?}");
    let kill = &told[3];
    assert_eq!((text(&kill["taskId"]), text(&kill["instanceId"])), (&*before[0], &*instance));
    assert_eq!(kill["reason"], "no answer within 1s");
    let next = format!("{instance}._app.{}", number + 1);
    until("a healthy replacement", async || {
        let tasks = tasks(&dev.marathon, "web").await;
        let found = tasks
            .iter()
            .any(|task| task["id"] == *next && task["healthCheckResults"][0]["alive"] == true);
        if found { Ok(()) } else { Err(json!(tasks)) }
    })
    .await;
    let after = ids(&running(&dev.marathon, "web", 2).await);
    assert!(after.contains(&before[1]), "the other one was let be: {after:?}");
    assert!(processes_of_task(&before[0]).is_empty());
    drop(events);
    dev.stop().await;
}

#[tokio::test]
async fn an_upgrade_that_never_gets_healthy_keeps_what_must_stay_and_can_be_taken_back() {
    let dev = Dev::start(&["--agents", "2"]).await;
    let mut app = server("/web", 4);
    app["upgradeStrategy"] = json!({"minimumHealthCapacity": 0.75, "maximumOverCapacity": 0.25});
    let old = deploy(&dev.marathon, &app).await;
    let version = old[0]["version"].clone();
    // Nobody answers on the port of this one.
    let broken = dev.marathon.put("/v2/apps/web", &json!({"cmd": "exec sleep 1000"})).await;
    broken.expect(200);
    // One old one may go, and so many new ones may come that there are five.
    let stuck = until("two new ones that don't answer", async || {
        let tasks = tasks(&dev.marathon, "web").await;
        let new = tasks.iter().filter(|task| task["version"] != version);
        let states: Vec<&str> = new.map(|task| text(&task["state"])).collect();
        let settled = states == ["TASK_RUNNING"; 2] && tasks.len() == 5;
        if settled { Ok(tasks) } else { Err(json!(tasks)) }
    })
    .await;
    let kept = stuck.iter().filter(|task| task["version"] == version);
    assert_eq!(kept.count(), 3);
    let locked = dev.marathon.put("/v2/apps/web", &json!({"instances": 9})).await;
    let id = broken.header("marathon-deployment-id");
    assert_eq!(locked.expect(409)["deployments"], json!([{"id": id}]));

    let back = dev.marathon.delete(&format!("/v2/deployments/{id}")).await;
    assert_ne!(back.expect(200)["deploymentId"], id);
    let restored = loop {
        let shown = dev.marathon.get("/v2/apps/web").await["app"].take();
        assert!(shown["tasksHealthy"].as_u64().is_some_and(|healthy| healthy >= 3), "{shown}");
        if list(&shown["deployments"]).is_empty() {
            break shown;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    };
    assert_eq!((&restored["cmd"], &restored["tasksHealthy"]), (&app["cmd"], &json!(4)));
    assert_eq!(list(&restored["tasks"]).len(), 4, "{restored}");
    dev.stop().await;
}

/// Answers for a task, from outside of it: with a status that can be changed, counting questions.
struct StandIn {
    port: u16,
    status: Arc<AtomicU16>,
    asked: Arc<AtomicUsize>,
}

impl StandIn {
    async fn start() -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port is free");
        let port = listener.local_addr().expect("it is bound").port();
        let (status, asked) = (Arc::new(AtomicU16::new(503)), Arc::new(AtomicUsize::new(0)));
        let stand_in = Self { port, status: Arc::clone(&status), asked: Arc::clone(&asked) };
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let status = status.load(Ordering::SeqCst);
                let answer = format!("HTTP/1.1 {status} x\r\nContent-Length: 0\r\n\r\n");
                let _ = stream.read(&mut [0; 4_096]).await;
                let _ = stream.write_all(answer.as_bytes()).await;
                asked.fetch_add(1, Ordering::SeqCst);
            }
        });
        stand_in
    }
}

#[tokio::test]
async fn failures_before_a_task_was_ever_healthy_do_not_count_while_it_may_be_starting() {
    let dev = Dev::start(&["--agents", "1"]).await;
    let stand_in = StandIn::start().await;
    let mut app = sleeper("/slow", 1);
    app["healthChecks"] = json!([{
        "port": stand_in.port, "intervalSeconds": 1, "gracePeriodSeconds": 300,
        "maxConsecutiveFailures": 1,
    }]);
    let mut events = Events::open(&dev.marathon, "event_type=failed_health_check_event").await;
    let created = dev.marathon.post("/v2/apps", &app).await;
    created.expect(201);
    let task = ids(&running(&dev.marathon, "slow", 1).await).remove(0);
    // The second failure would kill, if it counted.
    until("four questions", async || match stand_in.asked.load(Ordering::SeqCst) {
        asked if asked >= 4 => Ok(()),
        asked => Err(asked),
    })
    .await;
    assert_eq!(ids(&running(&dev.marathon, "slow", 1).await), [task.as_str()]);
    let shown = &dev.marathon.get("/v2/apps/slow").await["app"];
    assert_eq!((&shown["tasksHealthy"], &shown["tasksUnhealthy"]), (&json!(0), &json!(0)));
    assert_eq!(list(&shown["deployments"]).len(), 1, "it waits: {shown}");
    stand_in.status.store(200, Ordering::SeqCst);
    deployed(&dev.marathon, &created).await;
    healthy(&dev.marathon, "slow", 1).await;
    assert_eq!(ids(&running(&dev.marathon, "slow", 1).await), [task]);
    let (told, _) = tokio::join!(events.next(), dev.stop());
    assert_eq!(told, None, "no failure was told of");
}
