//! Tasks that are looked at: real sockets, and real commands beside them.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

use meros_proto::v1;
use meros_proto::v1::TaskState::{self, *};
use meros_proto::v1::task_status::Reason;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::host::{Host, config, shell};
use crate::master::Master;
use crate::tasks::lines_of;

const HEALTH: Reason = Reason::TaskHealthCheckStatusUpdated;
const CHECK: Reason = Reason::TaskCheckStatusUpdated;

/// Looked at all the time, and ended after two failures.
fn impatient() -> v1::HealthCheck {
    v1::HealthCheck {
        delay_seconds: Some(0.0),
        interval_seconds: Some(0.02),
        timeout_seconds: Some(10.0),
        consecutive_failures: Some(2),
        grace_period_seconds: Some(0.0),
        ..v1::HealthCheck::default()
    }
}

fn by_command(command: &str) -> v1::HealthCheck {
    let command = v1::CommandInfo { value: Some(command.to_owned()), ..Default::default() };
    let r#type = Some(v1::health_check::Type::Command as i32);
    v1::HealthCheck { r#type, command: Some(command), ..impatient() }
}

fn by_http(port: u16) -> v1::HealthCheck {
    let http = v1::health_check::HttpCheckInfo {
        port: Some(port.into()),
        path: Some("/health".to_owned()),
        ..Default::default()
    };
    let r#type = Some(v1::health_check::Type::Http as i32);
    v1::HealthCheck { r#type, http: Some(http), ..impatient() }
}

fn with_health(task: v1::TaskInfo, check: v1::HealthCheck) -> v1::TaskInfo {
    v1::TaskInfo { health_check: Some(Box::new(check)), ..task }
}

/// The next update that comes of a look, once the task runs.
async fn looked_at(master: &mut Master, reason: Reason) -> v1::TaskStatus {
    let status = master.status().await;
    assert_eq!((status.state(), status.reason()), (TaskRunning, reason), "{status:?}");
    status
}

async fn until_running(master: &mut Master) {
    let status = master.until(TaskState::TaskRunning).await;
    assert_eq!((status.reason, status.healthy), (None, None));
}

/// Answers with the status that is set at the time.
async fn server() -> (u16, Arc<AtomicU16>) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port is free");
    let port = listener.local_addr().expect("it is bound").port();
    let status = Arc::new(AtomicU16::new(200));
    let answered = Arc::clone(&status);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = Vec::new();
            while !request.ends_with(b"\r\n\r\n") {
                match stream.read_u8().await {
                    Ok(byte) => request.push(byte),
                    Err(_) => break,
                }
            }
            let found = if request.starts_with(b"GET /health HTTP/1.1\r\n") {
                answered.load(Ordering::SeqCst)
            } else {
                404
            };
            let answer = format!("HTTP/1.1 {found} X\r\nContent-Length: 0\r\n\r\n");
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    });
    (port, status)
}

async fn gone(pid: &Path) {
    let text = std::fs::read_to_string(pid).expect("it was written");
    let process = PathBuf::from("/proc").join(text.trim());
    let deadline = Instant::now() + Duration::from_secs(20);
    while process.exists() {
        assert!(Instant::now() < deadline, "{} is still there", process.display());
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn a_task_is_healthy_and_ended_by_what_its_port_answers() {
    let (host, mut master, _dir) = Host::registered().await;
    let (port, answers) = server().await;
    master.run(with_health(shell("t", "sleep 1000"), by_http(port))).await;
    until_running(&mut master).await;
    assert_eq!(looked_at(&mut master, HEALTH).await.healthy, Some(true));
    answers.store(503, Ordering::SeqCst);
    for _ in 0..2 {
        assert_eq!(looked_at(&mut master, HEALTH).await.healthy, Some(false));
    }
    let end = master.status().await;
    assert_eq!((end.state(), end.healthy, end.reason), (TaskKilled, Some(false), None));
    host.leave(&mut master).await;
}

#[tokio::test]
async fn a_task_is_healthy_while_its_port_takes_connections() {
    let (host, mut master, _dir) = Host::registered().await;
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port is free");
    let port = listener.local_addr().expect("it is bound").port();
    let tcp = v1::health_check::TcpCheckInfo { port: Some(port.into()), ..Default::default() };
    let r#type = Some(v1::health_check::Type::Tcp as i32);
    let check = v1::HealthCheck { r#type, tcp: Some(tcp), ..impatient() };
    master.run(with_health(shell("t", "sleep 1000"), check)).await;
    until_running(&mut master).await;
    assert_eq!(looked_at(&mut master, HEALTH).await.healthy, Some(true));
    drop(listener);
    assert_eq!(looked_at(&mut master, HEALTH).await.healthy, Some(false));
    assert_eq!(master.end_of("t").await.healthy, Some(false));
    host.leave(&mut master).await;
}

#[tokio::test]
async fn a_command_looks_at_a_task_from_its_sandbox_with_its_environment_unheard() {
    let (host, mut master, _dir) = Host::registered().await;
    let mut task = shell("t", "echo mine; touch ready; sleep 1000");
    let variable = |name: &str, value: &str| v1::environment::Variable {
        name: Some(name.to_owned()),
        value: Some(value.to_owned()),
        ..Default::default()
    };
    let environment = |variables| Some(v1::Environment { variables });
    task.command.as_mut().expect("a command").environment =
        environment(vec![variable("OURS", "task"), variable("BOTH", "task")]);
    let looks = r#"echo noise; echo noise >&2; test -e ready -a "$OURS$BOTH" = taskcheck"#;
    let mut check = by_command(looks);
    check.command.as_mut().expect("a command").environment =
        environment(vec![variable("BOTH", "check")]);
    check.consecutive_failures = Some(1_000);
    master.run(with_health(task, check)).await;
    until_running(&mut master).await;
    // It may have looked before the task was ready.
    while looked_at(&mut master, HEALTH).await.healthy != Some(true) {}
    for (file, text) in [("stdout", "mine\n"), ("stderr", "")] {
        let path = format!("/framework/m-0000/executor/t/latest/{file}");
        let read = host.get(&format!("/files/read?path={path}&offset=0")).await.json();
        assert_eq!(read["data"], text, "{file}");
    }
    let state = host.get("/state").await.json();
    let task = &state["frameworks"][0]["executors"][0]["tasks"][0];
    let last = task["statuses"].as_array().and_then(|all| all.last()).expect("a status");
    assert_eq!(last["healthy"], true, "{last}");
    host.leave(&mut master).await;
}

#[tokio::test]
async fn a_command_that_takes_too_long_is_a_failure_and_is_ended() {
    let (host, mut master, dir) = Host::registered().await;
    let pid = dir.path().join("pid");
    let mut check = by_command(&format!("echo $$ > {}; exec sleep 1000", pid.display()));
    check.timeout_seconds = Some(0.5);
    check.consecutive_failures = Some(1);
    master.run(with_health(shell("t", "sleep 1000"), check)).await;
    until_running(&mut master).await;
    assert_eq!(looked_at(&mut master, HEALTH).await.healthy, Some(false));
    assert_eq!(master.end_of("t").await.state(), TaskKilled);
    gone(&pid).await;
    host.leave(&mut master).await;
}

#[tokio::test]
async fn a_command_ends_with_the_task_that_it_looks_at() {
    let (host, mut master, dir) = Host::registered().await;
    let pid = dir.path().join("pid");
    let check = by_command(&format!("echo $$ > {}; exec sleep 1000", pid.display()));
    // The task ends once it is looked at.
    let task = shell("t", &format!("until test -s {}; do sleep 0.02; done", pid.display()));
    master.run(with_health(task, check)).await;
    assert_eq!(master.end_of("t").await.state(), TaskFinished);
    gone(&pid).await;
    host.leave(&mut master).await;
}

#[tokio::test]
async fn an_agent_that_comes_back_ends_old_commands_and_looks_again() {
    let (host, mut master, dir) = Host::registered().await;
    let (pid, ready) = (dir.path().join("pid"), dir.path().join("ready"));
    let command = format!(
        "test -e {} || {{ echo $$ > {}; exec sleep 1000; }}",
        ready.display(),
        pid.display()
    );
    master.run(with_health(shell("t", "sleep 1000"), by_command(&command))).await;
    until_running(&mut master).await;
    lines_of(&pid, 1).await;
    host.shut_down().await;
    std::fs::write(&ready, "").expect("writable");
    let host = Host::start(config(&dir, master.address)).await;
    master.admit().await;
    assert_eq!(looked_at(&mut master, HEALTH).await.healthy, Some(true));
    gone(&pid).await;
    host.leave(&mut master).await;
}

#[tokio::test]
async fn a_check_tells_its_result_and_ends_nothing() {
    let (host, mut master, dir) = Host::registered().await;
    let code = dir.path().join("code");
    std::fs::write(&code, "7").expect("writable");
    let command = format!("exit $(cat {})", code.display());
    let command = v1::CommandInfo { value: Some(command), ..Default::default() };
    let check = v1::CheckInfo {
        r#type: Some(v1::check_info::Type::Command as i32),
        command: Some(v1::check_info::Command { command: Some(command) }),
        delay_seconds: Some(0.0),
        interval_seconds: Some(0.02),
        ..v1::CheckInfo::default()
    };
    master.run(v1::TaskInfo { check: Some(Box::new(check)), ..shell("t", "sleep 1000") }).await;
    let exit_code = |status: v1::TaskStatus| {
        let told = status.check_status.expect("it has a check");
        assert_eq!(told.r#type(), v1::check_info::Type::Command);
        told.command.expect("by command").exit_code
    };
    assert_eq!(exit_code(master.until(TaskRunning).await), None);
    assert_eq!(exit_code(looked_at(&mut master, CHECK).await), Some(7));
    std::fs::write(&code, "0").expect("writable");
    // The file may have been read while it was empty, which is no number: dash exits with 0 then.
    assert_eq!(exit_code(looked_at(&mut master, CHECK).await), Some(0));
    master.kill("t").await;
    assert_eq!(master.end_of("t").await.healthy, None);
    host.leave(&mut master).await;
}
