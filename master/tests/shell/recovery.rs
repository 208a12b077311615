//! A master is killed and another starts on what was durable: nobody is asked to do anything twice.

use meros_master::RunError;
use meros_proto::wire::{self, Encoding};
use meros_proto::{link, v1};
use serde_json::{Value, json};

use crate::agent::{FakeAgent, registration};
use crate::http::{self, Subscription, subscribe};
use crate::master::{TestMaster, eventually};

/// What a framework says of itself, again when it comes back.
fn info(id: Option<&str>) -> Value {
    let mut info = json!({"user": "u", "name": "n", "failover_timeout": 3600});
    if let Some(id) = id {
        info["id"] = json!({"value": id});
    }
    info
}

/// Uses the next offer for a task of one CPU.
async fn launch(master: &TestMaster, stream: &mut Subscription, id: &str) {
    let offers = stream.wait_for("OFFERS").await.offers.expect("it has a body").offers;
    let offer = offers.first().expect("there is one");
    let task = json!({
        "name": "t", "task_id": {"value": "t-1"},
        "agent_id": {"value": offer.agent_id.as_ref().map(|id| id.value())},
        "resources": [{"name": "cpus", "type": "SCALAR", "scalar": {"value": 1}}],
        "command": {"value": "true"},
    });
    let accept = json!({
        "type": "ACCEPT", "framework_id": {"value": id},
        "accept": {
            "offer_ids": [{"value": offer.id.as_ref().map(|id| id.value())}],
            "operations": [{"type": "LAUNCH", "launch": {"task_infos": [task]}}],
        },
    });
    let answer = http::call(master.address, Some(stream.stream_id()), &accept).await;
    assert_eq!(answer.status, 202, "{}", answer.text());
}

/// What an agent that runs `task` says when it comes back.
fn report(agent: &str, framework: &str, task: &v1::TaskInfo) -> link::Register {
    let said = registration("cpus:4;mem:1024");
    let info: v1::AgentInfo =
        wire::decode(Encoding::Protobuf, &said.agent_info).expect("a complete info");
    let id = Some(v1::AgentId { value: Some(agent.to_owned()) });
    let framework_info = v1::FrameworkInfo {
        user: Some("u".to_owned()),
        name: Some("n".to_owned()),
        failover_timeout: Some(3600.0),
        ..Default::default()
    };
    let status = v1::TaskStatus {
        task_id: task.task_id.clone(),
        state: Some(v1::TaskState::TaskRunning.into()),
        timestamp: Some(1.5),
        ..Default::default()
    };
    link::Register {
        agent_info: wire::encode(Encoding::Protobuf, &v1::AgentInfo { id, ..info }).into(),
        tasks: vec![link::TaskReport {
            framework_id: framework.to_owned(),
            task: wire::encode(Encoding::Protobuf, task).into(),
            state: v1::TaskState::TaskRunning.into(),
            status: wire::encode(Encoding::Protobuf, &status).into(),
        }],
        frameworks: vec![link::FrameworkReport {
            framework_id: framework.to_owned(),
            framework_info: wire::encode(Encoding::Protobuf, &framework_info).into(),
        }],
        ..said
    }
}

#[tokio::test]
async fn tasks_outlive_a_killed_master_and_what_they_leave_free_is_offered() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let master = TestMaster::start_in(dir.path(), 0).await.expect("it starts");
    let (mut agent, agent_id) = FakeAgent::register(master.address, "cpus:4;mem:1024").await;
    let mut stream = subscribe(master.address, info(None)).await;
    let id = stream.framework_id().await;
    launch(&master, &mut stream, &id).await;
    let (_, task) = agent.task().await;
    agent.update(&id, &task, v1::TaskState::TaskRunning).await;
    stream.wait_for("UPDATE").await;
    let left = master.kill(dir.path()).await;

    let master = TestMaster::start_in(left.path(), 0).await.expect("it starts again");
    let slaves = http::get(master.address, "/slaves").await.json();
    assert_eq!(slaves["recovered_slaves"][0]["id"], agent_id.as_str(), "{slaves}");
    let said = report(&agent_id, &id, &task);
    let (agent, same) = FakeAgent::register_as(master.address, said).await;
    assert_eq!(same, agent_id);
    let tasks = http::get(master.address, "/tasks").await.json();
    assert_eq!(tasks["tasks"][0]["state"], "TASK_RUNNING", "{tasks}");
    let frameworks = http::get(master.address, "/frameworks").await.json();
    assert_eq!(frameworks["frameworks"][0]["recovered"], true, "{frameworks}");

    let mut stream = subscribe(master.address, info(Some(&id))).await;
    assert_eq!(stream.framework_id().await, id);
    let offers = stream.wait_for("OFFERS").await.offers.expect("it has a body").offers;
    let cpus = |offer: &v1::Offer| {
        offer.resources.iter().find_map(|one| Some(one.scalar.as_ref()?.value()))
    };
    assert_eq!(offers.iter().map(cpus).collect::<Vec<_>>(), [Some(3.0)]);
    // Updates find their way again, and nothing was said of the task before.
    agent.update(&id, &task, v1::TaskState::TaskFinished).await;
    let update = stream.wait_for("UPDATE").await.update.expect("it has a body");
    let status = update.status.expect("it has a status");
    assert_eq!(status.state(), v1::TaskState::TaskFinished);

    let mut other = subscribe(master.address, info(None)).await;
    assert_ne!(other.framework_id().await, id);
    master.stop().await;
}

#[tokio::test]
async fn a_framework_that_was_removed_stays_so_after_a_kill() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let master = TestMaster::start_in(dir.path(), 0).await.expect("it starts");
    let mut stream = subscribe(master.address, json!({"user": "u", "name": "n"})).await;
    let id = stream.framework_id().await;
    // Without a failover timeout its hanging up removes it.
    drop(stream);
    eventually("the framework is removed", async || {
        let state = http::get(master.address, "/state").await.json();
        (state["completed_frameworks"][0]["id"] == id.as_str()).then_some(())
    })
    .await;
    let left = master.kill(dir.path()).await;
    let master = TestMaster::start_in(left.path(), 0).await.expect("it starts again");
    let mut again = subscribe(master.address, info(Some(&id))).await;
    let error = again.wait_for("ERROR").await.error.expect("it has a body");
    assert_eq!(error.message.as_deref(), Some("Framework has been removed"));
    master.stop().await;
}

#[tokio::test]
async fn a_registry_that_is_none_of_ours_or_damaged_is_refused_in_one_line() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let master = TestMaster::start_in(dir.path(), 0).await.expect("it starts");
    let (_agent, _) = FakeAgent::register(master.address, "cpus:4;mem:1024").await;
    let (_other, _) = FakeAgent::register(master.address, "cpus:4;mem:1024").await;
    let left = master.kill(dir.path()).await;
    let path = left.path().join("registry.log");
    let sound = std::fs::read(&path).expect("it was copied");
    let flipped = |at: usize| {
        let mut bytes = sound.clone();
        bytes[at] ^= 1;
        bytes
    };
    for (bytes, told) in [
        (b"something else altogether".to_vec(), "not a meros log"),
        (flipped(9), "format"),
        (flipped(30), "header"),
    ] {
        std::fs::write(&path, bytes).expect("it can be written");
        let error = TestMaster::start_in(left.path(), 0).await.err().expect("it is refused");
        assert!(matches!(error, RunError::Registry(_)), "{error}");
        let line = error.to_string();
        assert!(line.contains(told) && line.contains("registry.log"), "{line}");
        assert!(!line.contains('\n'), "{line}");
    }
    std::fs::write(&path, sound).expect("it can be written");
    TestMaster::start_in(left.path(), 0).await.expect("it is sound again").stop().await;
}
