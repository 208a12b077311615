//! Masters that go, come back and refuse; directories and ports that are taken.

use std::net::TcpListener;

use meros_agent::run;
use meros_plugin_api::Plugins;
use meros_proto::link::{Refused, from_master};
use meros_proto::v1::TaskState;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use crate::host::{Host, config, shell};
use crate::master::Master;

#[tokio::test]
async fn an_agent_registers_again_with_its_tasks_and_repeats_what_was_not_heard() {
    let (host, mut master, _dir) = Host::registered().await;
    master.run(shell("t", "exec sleep 1000")).await;
    let (_, first) = master.unheard_status().await;
    assert_eq!(first.state(), TaskState::TaskStarting);
    master.cut();
    let register = master.admit().await;
    assert_eq!(register.tasks.len(), 1);
    assert_eq!(register.frameworks.len(), 1);
    let again = master.status().await;
    assert_eq!(again, first);
    assert_eq!(master.status().await.state(), TaskState::TaskRunning);
    host.leave(&mut master).await;
}

#[tokio::test]
async fn an_agent_that_comes_back_has_its_id_and_tells_what_became_of_its_tasks() {
    let (host, mut master, dir) = Host::registered().await;
    master.run(shell("t", "exec sleep 1000")).await;
    master.until(TaskState::TaskRunning).await;
    // Nobody hears the end: it is kept for the next start.
    master.cut();
    drop(master);
    host.until_registered(false).await;
    host.leave_unheard().await;

    let mut master = Master::start().await;
    let host = Host::start(config(&dir, master.address)).await;
    let register = master.admit().await;
    let info: meros_proto::v1::AgentInfo =
        meros_proto::wire::decode(meros_proto::wire::Encoding::Protobuf, &register.agent_info)
            .expect("an agent's info");
    assert_eq!(info.id.expect("its old id").value(), "m-S0");
    assert_eq!(register.tasks[0].state, TaskState::TaskKilled as i32);
    assert_eq!(master.status().await.state(), TaskState::TaskKilled);
    host.leave(&mut master).await;
}

#[tokio::test]
async fn a_final_refusal_ends_the_agent_and_another_is_tried_again() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let mut master = Master::start().await;
    let host = Host::start(config(&dir, master.address)).await;
    for is_final in [false, true] {
        master.registration().await;
        let refused = Refused { reason: "unknown domain".to_owned(), r#final: is_final };
        master.say(from_master::Message::Refused(refused)).await;
    }
    let error = host.ended().await.expect_err("it was refused");
    assert_eq!(error.to_string(), "the master refused this agent: unknown domain");
}

#[tokio::test]
async fn a_port_or_a_directory_that_is_taken_is_said_in_one_line() {
    let (host, mut master, dir) = Host::registered().await;
    let error = failing(config(&dir, master.address)).await;
    let taken = dir.path().join("agent");
    let taken = format!("the work directory {} is in use by another process: ", taken.display());
    assert!(error.starts_with(&taken), "{error}");

    let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = taken.local_addr().expect("bound").port();
    let other = tempfile::tempdir().expect("a temporary directory");
    let mut config = config(&other, master.address);
    config.port = port;
    let error = failing(config).await;
    let hint = "stop what listens there, or choose another with --port";
    assert_eq!(error, format!("port {port} on 127.0.0.1 is in use: {hint}"));
    host.leave(&mut master).await;
}

pub(crate) async fn failing(config: meros_agent::Config) -> String {
    let ready = oneshot::channel().0;
    let result = run(config, Plugins::default(), CancellationToken::new(), ready).await;
    result.expect_err("it can't start").to_string()
}
