//! Agents that go and come back, and what they find.

use std::path::Path;
use std::time::{Duration, Instant};

use meros_proto::link::Register;
use meros_proto::v1;
use meros_proto::v1::TaskState;
use meros_proto::wire::{self, Encoding};

use crate::host::{Host, config, shell};
use crate::master::{Master, PATIENCE};
use crate::tasks::lines_of;

fn id_of(register: &Register) -> Option<String> {
    let info: v1::AgentInfo =
        wire::decode(Encoding::Protobuf, &register.agent_info).expect("an agent's info");
    info.id.map(|id| id.value().to_owned())
}

fn runs(pid: &str) -> bool {
    Path::new("/proc").join(pid).exists()
}

async fn until_gone(pid: &str) {
    let deadline = Instant::now() + PATIENCE;
    while runs(pid) {
        assert!(Instant::now() < deadline, "process {pid} is still there");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// An agent in a runtime of its own, with which it can be made to crash.
struct Mortal(tokio::runtime::Runtime);

impl Mortal {
    async fn start(master: &mut Master, dir: &tempfile::TempDir) -> Self {
        let life = tokio::runtime::Runtime::new().expect("threads");
        let host = life.spawn(Host::start(config(dir, master.address)));
        master.admit().await;
        host.await.expect("it starts");
        Self(life)
    }

    /// All that the agent is goes, without a word; the launcher stays.
    async fn crash(self) {
        let crash = tokio::task::spawn_blocking(move || self.0.shutdown_timeout(PATIENCE));
        crash.await.expect("it goes");
    }
}

/// A task that tells its pid and runs until a file is there, then ends with status 7.
fn patient(id: &str, dir: &tempfile::TempDir) -> v1::TaskInfo {
    let (pid, go) = (dir.path().join(id), dir.path().join(format!("{id}-go")));
    let (pid, go) = (pid.display(), go.display());
    shell(id, &format!("echo $$ > {pid}; while ! test -e {go}; do sleep 0.05; done; exit 7"))
}

async fn pid_of(id: &str, dir: &tempfile::TempDir) -> String {
    lines_of(&dir.path().join(id), 1).await.remove(0)
}

#[tokio::test]
async fn a_shutdown_leaves_the_tasks_to_the_next_agent() {
    let (host, mut master, dir) = Host::registered().await;
    master.run(patient("t", &dir)).await;
    master.until(TaskState::TaskRunning).await;
    let pid = pid_of("t", &dir).await;
    host.shut_down().await;
    assert!(runs(&pid));

    let host = Host::start(config(&dir, master.address)).await;
    let register = master.admit().await;
    assert_eq!(id_of(&register).as_deref(), Some("m-S0"));
    assert_eq!(register.tasks.len(), 1);
    assert_eq!(register.tasks[0].state, TaskState::TaskRunning as i32);
    assert!(runs(&pid));
    master.kill("t").await;
    assert_eq!(master.end_of("t").await.state(), TaskState::TaskKilled);
    until_gone(&pid).await;
    host.leave(&mut master).await;
}

#[tokio::test]
async fn after_a_crash_what_runs_is_adopted_and_what_ended_has_its_real_status() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let mut master = Master::start().await;
    let agent = Mortal::start(&mut master, &dir).await;
    for id in ["ends", "runs"] {
        master.run(patient(id, &dir)).await;
        master.until(TaskState::TaskRunning).await;
    }
    let (ends, goes_on) = (pid_of("ends", &dir).await, pid_of("runs", &dir).await);
    agent.crash().await;
    std::fs::write(dir.path().join("ends-go"), "").expect("it is ours");
    until_gone(&ends).await;

    let host = Host::start(config(&dir, master.address)).await;
    let register = master.admit().await;
    let mut states: Vec<i32> = register.tasks.iter().map(|task| task.state).collect();
    states.sort_unstable();
    assert_eq!(states, [TaskState::TaskRunning as i32, TaskState::TaskFailed as i32]);
    let end = master.end_of("ends").await;
    assert_eq!(
        (end.state(), end.message()),
        (TaskState::TaskFailed, "Command exited with status 7")
    );
    assert!(runs(&goes_on));
    std::fs::write(dir.path().join("runs-go"), "").expect("it is ours");
    let end = master.end_of("runs").await;
    assert_eq!(end.message(), "Command exited with status 7");
    host.leave(&mut master).await;
}

#[tokio::test]
async fn many_crashes_in_a_row_leave_a_task_as_it_is() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let mut master = Master::start().await;
    let agent = Mortal::start(&mut master, &dir).await;
    master.run(patient("t", &dir)).await;
    master.until(TaskState::TaskRunning).await;
    let pid = pid_of("t", &dir).await;
    agent.crash().await;
    for _ in 0..3 {
        Mortal::start(&mut master, &dir).await.crash().await;
        assert!(runs(&pid));
    }
    let host = Host::start(config(&dir, master.address)).await;
    assert_eq!(master.admit().await.tasks[0].state, TaskState::TaskRunning as i32);
    std::fs::write(dir.path().join("t-go"), "").expect("it is ours");
    assert_eq!(master.end_of("t").await.message(), "Command exited with status 7");
    host.leave(&mut master).await;
}

#[tokio::test]
async fn an_agent_that_left_comes_back_as_a_new_one() {
    let (host, mut master, dir) = Host::registered().await;
    host.leave(&mut master).await;
    let host = Host::start(config(&dir, master.address)).await;
    assert_eq!(id_of(&master.admit().await), None);
    host.until_registered(true).await;
    host.leave(&mut master).await;
}

#[tokio::test]
async fn a_log_that_is_not_this_agents_is_refused_and_left_as_it_is() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let master = Master::start().await;
    let config = config(&dir, master.address);
    std::fs::create_dir_all(&config.work_dir).expect("it is ours");
    let path = config.work_dir.join("agent.log");
    let mut newer = b"MEROSLOG".to_vec();
    newer.extend(99_u32.to_le_bytes());
    newer.resize(8192, 0);
    for (bytes, problem) in [(b"what is this?".to_vec(), "not a meros log"), (newer, "format 99")] {
        std::fs::write(&path, &bytes).expect("it is ours");
        let error = crate::failures::failing(config.clone()).await;
        assert!(error.starts_with("read the agent's log: "), "{error}");
        assert!(error.contains(problem) && !error.contains('\n'), "{error}");
        let help = "name another --work-dir, or move the file away to start as a new agent";
        assert!(error.ends_with(help), "{error}");
        assert_eq!(std::fs::read(&path).expect("it is there"), bytes);
    }
}
