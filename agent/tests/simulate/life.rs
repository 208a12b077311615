//! What a hollow agent is to its master, from its registration to its end.

use std::time::{Duration, Instant};

use meros_proto::v1::{self, TaskState};
use meros_proto::wire::{self, Encoding};

use crate::herd::{Herd, config};
use crate::master::Master;

#[tokio::test]
async fn each_has_a_name_a_link_and_an_address_of_its_own() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let mut master = Master::start().await;
    let herd = Herd::start(config(&master, dir.path(), 3, &["--attributes", "rack:r1"])).await;
    let registered = master.admit(3).await;
    let mut incarnations = Vec::new();
    for (number, register) in &registered {
        assert_eq!(register.pid, format!("slave({number})@{}", herd.address));
        let info: v1::AgentInfo =
            wire::decode(Encoding::Protobuf, &register.agent_info).expect("an AgentInfo");
        assert_eq!(info.hostname(), format!("host-{number}"));
        assert_eq!((info.resources.len(), info.attributes.len()), (4, 1));
        incarnations.push(&register.incarnation);
        let id = format!("m-S{number}");
        assert_eq!(until_known_as(&herd, *number, &id).await["hostname"], info.hostname());
        assert_eq!(herd.get(&format!("/slave({number})/health")).await.0, 200);
    }
    incarnations.dedup();
    assert_eq!(incarnations.len(), 3);
    assert_eq!(herd.get("/health").await.0, 200);
    for path in ["/slave(0)/state", "/slave(4)/state", "/slave(2)/nothing"] {
        assert_eq!(herd.get(path).await.0, 404, "{path}");
    }
    herd.leave();
    master.farewells(3).await;
    herd.ended().await;
}

#[tokio::test]
async fn a_task_starts_runs_and_ends_as_flags_and_labels_say() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let mut master = Master::start().await;
    let flags = ["--simulate-run-time", "1ms"];
    let herd = Herd::start(config(&master, dir.path(), 2, &flags)).await;
    master.admit(2).await;
    for (id, labels, end, message) in [
        ("plain", &[][..], TaskState::TaskFinished, "Command exited with status 0"),
        (
            "failing",
            &[("FAILURE_RATE", "1")],
            TaskState::TaskFailed,
            "Command exited with status 1",
        ),
        (
            "wrong",
            &[("RUN_TIME", "long")],
            TaskState::TaskFailed,
            "Failed to launch container: MEROS_SIMULATE_RUN_TIME: 'long' is no unit",
        ),
    ] {
        master.run(2, id, labels).await;
        assert_eq!(master.status().await.state(), TaskState::TaskStarting, "{id}");
        let mut status = master.status().await;
        if status.state() == TaskState::TaskRunning {
            status = master.status().await;
        }
        assert_eq!(status.state(), end, "{id}");
        assert!(status.message().starts_with(message), "{id}: {}", status.message());
        assert_eq!(status.agent_id.expect("an agent").value(), "m-S2");
    }
    herd.shut_down().await;
}

#[tokio::test]
async fn a_kill_is_followed_after_the_tasks_own_delay_or_its_grace() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let mut master = Master::start().await;
    let herd = Herd::start(config(&master, dir.path(), 1, &[])).await;
    master.admit(1).await;
    let grace = Duration::from_millis(300);
    for (id, delay, signal, least) in
        [("willing", "0secs", "Terminated", Duration::ZERO), ("stubborn", "1mins", "Killed", grace)]
    {
        master.run(1, id, &[("KILL_DELAY", delay)]).await;
        for state in [TaskState::TaskStarting, TaskState::TaskRunning] {
            assert_eq!(master.status().await.state(), state, "{id}");
        }
        let asked = Instant::now();
        master.kill(1, id, grace).await;
        let end = master.status().await;
        assert_eq!(end.state(), TaskState::TaskKilled, "{id}");
        assert_eq!(end.message(), format!("Command terminated with signal {signal}"));
        assert!(asked.elapsed() >= least, "{id}");
    }
    herd.shut_down().await;
}

#[tokio::test]
async fn a_new_process_takes_up_every_agent_with_its_id_and_its_tasks() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let mut master = Master::start().await;
    let herd = Herd::start(config(&master, dir.path(), 2, &[])).await;
    master.admit(2).await;
    master.run(2, "forever", &[]).await;
    master.run(2, "short", &[("RUN_TIME", "500ms")]).await;
    for _ in 0..4 {
        master.status().await;
    }
    herd.shut_down().await;

    // One more than before: it is new, and the others are not.
    let herd = Herd::start(config(&master, dir.path(), 3, &[])).await;
    let registered = master.admit(3).await;
    let ids: Vec<String> = registered
        .values()
        .map(|register| {
            let info: v1::AgentInfo =
                wire::decode(Encoding::Protobuf, &register.agent_info).expect("an AgentInfo");
            info.id.unwrap_or_default().value().to_owned()
        })
        .collect();
    assert_eq!(ids, ["m-S1", "m-S2", ""]);
    let running: Vec<usize> = registered.values().map(|register| register.tasks.len()).collect();
    assert_eq!(running, [0, 2, 0]);
    assert_eq!(registered[&2].tasks[0].state, TaskState::TaskRunning as i32);
    // What was not heard of before is said again, then comes what happened since.
    let end = master.end().await;
    assert_eq!(end.task_id.as_ref().expect("a task").value(), "short");
    assert_eq!(end.state(), TaskState::TaskFinished, "{}", end.message());
    master.kill(2, "forever", Duration::ZERO).await;
    assert_eq!(master.end().await.state(), TaskState::TaskKilled);
    herd.shut_down().await;

    let (ready, _) = tokio::sync::oneshot::channel();
    let fewer = config(&master, dir.path(), 2, &[]);
    let refused = meros_agent::run(
        fewer,
        meros_plugin_api::Plugins::default(),
        tokio_util::sync::CancellationToken::new(),
        ready,
    );
    let error = refused.await.expect_err("it holds three").to_string();
    assert!(error.starts_with("--simulate: the work directory holds 3 agents"), "{error}");
}

/// An agent's state, once it knows that it was taken in.
async fn until_known_as(herd: &Herd, number: u32, id: &str) -> serde_json::Value {
    let deadline = Instant::now() + crate::master::PATIENCE;
    loop {
        let (status, state) = herd.get(&format!("/slave({number})/state")).await;
        assert_eq!(status, 200);
        if state["id"] == id {
            return state;
        }
        assert!(Instant::now() < deadline, "{state}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
