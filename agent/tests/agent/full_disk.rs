//! An agent whose disk is full: what runs goes on and its end is told, nothing new is started.

use std::path::Path;
use std::time::Duration;

use meros_proto::link::{KillTask, from_master};

use meros_proto::v1;
use meros_proto::v1::TaskState;
use meros_proto::v1::task_status::Reason;
use tokio::time::Instant;

use crate::host::{Host, config, shell};
use crate::master::{Master, PATIENCE};
use crate::small_disk::SmallDisk;
use crate::tasks::lines_of;

const GAUGE: &str = "slave/log_disk_full";

/// A task whose description takes room in the log.
fn wordy(id: &str) -> v1::TaskInfo {
    let label = v1::Label { key: "text".to_owned().into(), value: Some("x".repeat(100 << 10)) };
    v1::TaskInfo { labels: Some(v1::Labels { labels: vec![label] }), ..shell(id, "true") }
}

/// Runs tasks on a full disk until the log has come to its reserve.
async fn until_the_reserve(master: &mut Master) {
    for number in 0..50 {
        let id = format!("wordy-{number}");
        master.run(wordy(&id)).await;
        let end = master.end_of(&id).await;
        if end.state() == TaskState::TaskLost {
            assert!(number > 0, "that is for later");
            assert!(end.message().contains("disk"), "{end:?}");
            return;
        }
        // The sandbox can't be made: a launch that failed, as others do.
        assert_eq!(
            (end.state(), end.reason()),
            (TaskState::TaskFailed, Reason::ContainerLaunchFailed)
        );
        assert!(end.message().contains("No space left on device"), "{end:?}");
    }
    panic!("it never came to its reserve");
}

#[tokio::test]
async fn a_full_disk_stops_starts_and_nothing_else_until_there_is_room() {
    let Some(disk) = SmallDisk::mount() else { return };
    let outside = tempfile::tempdir().expect("a temporary directory");
    let mut master = Master::start().await;
    let mut config = config(&outside, master.address);
    config.work_dir = disk.path().join("agent");
    let host = Host::start(config).await;
    master.admit().await;
    let go = outside.path().join("go");
    let waits = format!("while ! test -e {}; do sleep 0.05; done; exit 5", go.display());
    master.run(shell("runs", &waits)).await;
    master.until(TaskState::TaskRunning).await;
    assert_eq!(host.get("/metrics/snapshot").await.json()[GAUGE], 0.0);

    let others = disk.fill_up();
    until_the_reserve(&mut master).await;
    assert_eq!(host.get("/metrics/snapshot").await.json()[GAUGE], 1.0);

    // What ran before can end, and that is on record.
    std::fs::write(&go, "").expect("there is room elsewhere");
    let end = master.end_of("runs").await;
    assert_eq!(end.message(), "Command exited with status 5");

    std::fs::remove_dir_all(others).expect("it is ours");
    let deadline = Instant::now() + PATIENCE;
    while host.get("/metrics/snapshot").await.json()[GAUGE] != 0.0 {
        assert!(Instant::now() < deadline, "it never noticed");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    master.run(shell("again", "true")).await;
    assert_eq!(master.end_of("again").await.state(), TaskState::TaskFinished);
    host.leave(&mut master).await;
}

#[tokio::test]
async fn an_agent_whose_reserve_is_used_up_too_stops_and_its_tasks_run_on() {
    let Some(disk) = SmallDisk::mount() else { return };
    let outside = tempfile::tempdir().expect("a temporary directory");
    let mut master = Master::start().await;
    let mut config = config(&outside, master.address);
    config.work_dir = disk.path().join("agent");
    config.recovery_timeout = Duration::from_secs(30);
    let host = Host::start(config.clone()).await;
    master.admit().await;
    let id = "x".repeat(200);
    let pid = outside.path().join("pid");
    let stays = format!("trap '' TERM; echo $$ > {}; while :; do sleep 0.05; done", pid.display());
    master.run(shell(&id, &stays)).await;
    master.until(TaskState::TaskRunning).await;
    let pid = lines_of(&pid, 1).await.remove(0);
    let others = disk.fill_up();
    until_the_reserve(&mut master).await;

    // Each is to end the task a little sooner, and so is on record.
    let kill = |grace_ms| {
        let framework_id = "m-0000".to_owned();
        KillTask { framework_id, task_id: id.clone(), grace_period_ms: Some(grace_ms) }
    };
    let mut grace_ms = 3_600_000;
    while master.try_say(from_master::Message::KillTask(kill(grace_ms))).await {
        grace_ms -= 1;
        assert!(grace_ms > 3_500_000, "the reserve has no end");
    }
    let error = host.ended().await.expect_err("it can't go on").to_string();
    assert!(error.contains("is full") && error.contains("the tasks run on"), "{error}");
    assert!(Path::new("/proc").join(&pid).exists());

    std::fs::remove_dir_all(others).expect("it is ours");
    let host = Host::start(config).await;
    let register = master.admit().await;
    assert!(register.tasks.iter().any(|task| task.state == TaskState::TaskRunning as i32));
    master.kill(&id).await;
    assert_eq!(master.end_of(&id).await.state(), TaskState::TaskKilled);
    host.leave(&mut master).await;
}
