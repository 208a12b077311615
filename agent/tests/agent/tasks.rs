//! Commands that run, end and are ended.

use std::path::Path;
use std::time::{Duration, Instant};

use meros_proto::v1;
use meros_proto::v1::TaskState;
use meros_proto::v1::task_status::{Reason, Source};
use serde_json::Value;

use crate::host::{Host, shell};

#[tokio::test]
async fn a_command_runs_and_its_output_can_be_read_by_path_and_by_name() {
    let (host, mut master, _dir) = Host::registered().await;
    master.run(shell("t", "echo hello; echo oops >&2; exit 3")).await;
    for state in [TaskState::TaskStarting, TaskState::TaskRunning] {
        assert_eq!(master.status().await.state(), state);
    }
    let end = master.status().await;
    assert_eq!(end.state(), TaskState::TaskFailed);
    assert_eq!(end.source(), Source::Executor);
    assert_eq!(end.message(), "Command exited with status 3");
    assert_eq!(end.executor_id.expect("an executor").value(), "t");
    assert_eq!(end.agent_id.expect("an agent").value(), "m-S0");
    let container = end.container_status.expect("a container");
    assert_eq!(container.network_infos[0].ip_addresses[0].ip_address(), "127.0.0.1");

    let state = settled(&host).await;
    let executor = &state["completed_frameworks"][0]["completed_executors"][0];
    assert_eq!(executor["completed_tasks"][0]["state"], "TASK_FAILED");
    let directory = executor["directory"].as_str().expect("a directory");
    for path in [directory, "/framework/m-0000/executor/t/latest"] {
        let read = host.get(&format!("/files/read?path={path}/stdout&offset=0")).await.json();
        assert_eq!(read["data"], "hello\n", "{path}");
        let size = host.get(&format!("/files/read.json?path={path}/stderr&offset=-1")).await.json();
        assert_eq!((&size["offset"], &size["data"]), (&5.into(), &"".into()), "{path}");
        let listing = host.get(&format!("/files/browse?path={path}")).await.json();
        let names: Vec<&str> = listing
            .as_array()
            .expect("a list")
            .iter()
            .map(|entry| {
                entry["path"].as_str().expect("a path").rsplit('/').next().expect("a name")
            })
            .collect();
        assert_eq!(names, ["stderr", "stdout"], "{path}");
    }
    let download = host.get(&format!("/files/download?path={directory}/stdout")).await;
    assert_eq!((download.status, download.body.as_str()), (200, "hello\n"));
    assert!(download.head.contains("attachment; filename=\"stdout\""), "{}", download.head);
    assert_eq!(host.get(&format!("/files/download?path={directory}")).await.status, 400);
    assert_eq!(host.get(&format!("/files/read?path={directory}/none")).await.status, 404);
    assert_eq!(host.get("/files/read?path=/etc/passwd").await.status, 404);
    assert_eq!(host.get("/files/browse").await.status, 400);
    host.leave(&mut master).await;
}

#[tokio::test]
async fn a_command_finds_the_variables_that_mesos_gives_and_its_own() {
    let (host, mut master, _dir) = Host::registered().await;
    let mut task = shell("t", "env; pwd");
    let variable = |name: &str, value: &str| v1::environment::Variable {
        name: Some(name.to_owned()),
        value: Some(value.to_owned()),
        ..Default::default()
    };
    let variables = vec![variable("PORT0", "31005"), variable("MESOS_CONTAINER_IP", "mine")];
    task.command.as_mut().expect("a command").environment = Some(v1::Environment { variables });
    master.run(task).await;
    master.end_of("t").await;
    let out =
        host.get("/files/read?path=/framework/m-0000/executor/t/latest/stdout&offset=0").await;
    let out = out.json()["data"].as_str().expect("text").to_owned();
    let sandbox = out.lines().last().expect("the working directory");
    let endpoint = host.address;
    for line in [
        "MESOS_FRAMEWORK_ID=m-0000",
        "MESOS_EXECUTOR_ID=t",
        "MESOS_SLAVE_ID=m-S0",
        &format!("MESOS_AGENT_ENDPOINT={endpoint}"),
        &format!("MESOS_SLAVE_PID=slave(1)@{endpoint}"),
        &format!("MESOS_SANDBOX={sandbox}"),
        &format!("MESOS_DIRECTORY={sandbox}"),
        "MESOS_CHECKPOINT=1",
        "MESOS_EXECUTOR_SHUTDOWN_GRACE_PERIOD=2secs",
        "PORT0=31005",
        "MESOS_CONTAINER_IP=mine",
    ] {
        assert!(out.lines().any(|found| found == line), "{line} is not in\n{out}");
    }
    assert!(sandbox.contains("/slaves/m-S0/frameworks/m-0000/executors/t/runs/"), "{sandbox}");
    host.leave(&mut master).await;
}

#[tokio::test]
async fn a_kill_reaches_the_whole_tree_also_what_ignores_it() {
    let (host, mut master, dir) = Host::registered().await;
    let pids = dir.path().join("pids");
    let command = format!(
        "trap '' TERM; sleep 1000 & echo $! > {0}; setsid sleep 1000 & echo $! >> {0}; echo $$ >> {0}; wait; wait; sleep 1000",
        pids.display()
    );
    master.run(shell("t", &command)).await;
    master.until(TaskState::TaskRunning).await;
    let pids = lines_of(&pids, 3).await;
    master.kill("t").await;
    let end = master.end_of("t").await;
    assert_eq!((end.state(), end.source()), (TaskState::TaskKilled, Source::Executor));
    for pid in pids {
        assert!(!Path::new("/proc").join(&pid).exists(), "process {pid} is still there");
    }
    host.leave(&mut master).await;
}

#[tokio::test]
async fn what_can_not_be_started_fails_and_what_is_not_built_is_an_error() {
    let (host, mut master, _dir) = Host::registered().await;
    let mut missing = shell("missing", "/nonexistent/program");
    missing.command.as_mut().expect("a command").shell = Some(false);
    master.run(missing).await;
    let end = master.end_of("missing").await;
    assert_eq!((end.state(), end.reason()), (TaskState::TaskFailed, Reason::ContainerLaunchFailed));
    assert!(end.message().starts_with("Failed to launch container: "), "{}", end.message());

    let container = v1::ContainerInfo { r#type: Some(1), ..v1::ContainerInfo::default() };
    master
        .run(v1::TaskInfo { container: Some(Box::new(container)), ..shell("docker", "true") })
        .await;
    let end = master.end_of("docker").await;
    assert_eq!((end.state(), end.reason()), (TaskState::TaskError, Reason::TaskInvalid));
    host.leave(&mut master).await;
}

#[tokio::test]
async fn an_agent_that_leaves_ends_its_tasks_reports_them_and_unregisters() {
    let (host, mut master, dir) = Host::registered().await;
    for id in ["a", "b"] {
        master
            .run(shell(id, &format!("echo $$ > {}/{id}; exec sleep 1000", dir.path().display())))
            .await;
        master.until(TaskState::TaskRunning).await;
    }
    let mut pids = lines_of(&dir.path().join("a"), 1).await;
    pids.extend(lines_of(&dir.path().join("b"), 1).await);
    let said = host.leave(&mut master).await;
    let killed = said.iter().filter(|status| status.state() == TaskState::TaskKilled).count();
    assert_eq!(killed, 2, "{said:?}");
    for pid in pids {
        assert!(!Path::new("/proc").join(&pid).exists(), "process {pid} is still there");
    }
}

/// The lines of a file that a task writes, once they are there.
pub(crate) async fn lines_of(path: &Path, count: usize) -> Vec<String> {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        let text = std::fs::read_to_string(path).unwrap_or_default();
        let lines: Vec<String> = text.lines().map(str::to_owned).collect();
        if lines.len() == count && text.ends_with('\n') {
            return lines;
        }
        assert!(
            Instant::now() < deadline,
            "{count} lines expected in {}: {text:?}",
            path.display()
        );
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// The agent's state once the last acknowledgement has reached it.
async fn settled(host: &Host) -> Value {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        let state = host.get("/state").await.json();
        if state["frameworks"].as_array().is_some_and(Vec::is_empty) {
            return state;
        }
        assert!(Instant::now() < deadline, "{state}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
