//! An agent on this host, in a directory of its own.

use std::net::SocketAddr;
use std::time::Duration;

use meros_agent::config::{Config, LauncherCommand, OnShutdown, Overhead};
use meros_agent::{RunError, run};
use meros_plugin_api::Plugins;
use meros_proto::attributes::Attributes;
use meros_proto::resources::{Role, Scalar};
use meros_proto::v1;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::master::{Master, PATIENCE};

pub(crate) struct Host {
    pub(crate) address: SocketAddr,
    shutdown: CancellationToken,
    leave: CancellationToken,
    running: JoinHandle<Result<(), RunError>>,
}

pub(crate) fn config(work_dir: &tempfile::TempDir, master: SocketAddr) -> Config {
    Config {
        masters: vec![master.to_string()],
        ip: [127, 0, 0, 1].into(),
        port: 0,
        hostname: "host-1".to_owned(),
        work_dir: work_dir.path().join("agent"),
        resources: Some("cpus:2;mem:256;disk:100;ports:[31000-31010]".to_owned()),
        attributes: Attributes::parse("rack:r1").expect("an attribute"),
        default_role: Role::star(),
        recovery_timeout: Duration::from_secs(5),
        on_shutdown: OnShutdown::Keep,
        leave: CancellationToken::new(),
        shutdown_grace: Duration::from_secs(2),
        overhead: Overhead { cpus: Scalar::ZERO, mem: Scalar::ZERO },
        task_environment: std::collections::BTreeMap::new(),
        // What cgroups do is tested where they are made; here they would only need root.
        cgroups: false,
        cfs_quota: false,
        launcher: LauncherCommand {
            exe: env!("CARGO_BIN_EXE_meros-test-launcher").into(),
            args: Vec::new(),
        },
        simulation: None,
    }
}

impl Host {
    pub(crate) async fn start(config: Config) -> Self {
        let (shutdown, leave) = (CancellationToken::new(), config.leave.clone());
        let (ready, bound) = oneshot::channel();
        let running = tokio::spawn(run(config, Plugins::default(), shutdown.clone(), ready));
        match bound.await {
            Ok(bound) => Self { address: bound.address, shutdown, leave, running },
            Err(_) => panic!("the agent did not start: {:?}", running.await),
        }
    }

    /// An agent and its master, which has taken it in.
    pub(crate) async fn registered() -> (Self, Master, tempfile::TempDir) {
        let work_dir = tempfile::tempdir().expect("a temporary directory");
        let mut master = Master::start().await;
        let host = Self::start(config(&work_dir, master.address)).await;
        master.admit().await;
        host.until_registered(true).await;
        (host, master, work_dir)
    }

    /// Waits until the agent knows that it is part of a cluster, or isn't any more.
    pub(crate) async fn until_registered(&self, registered: bool) {
        let deadline = tokio::time::Instant::now() + PATIENCE;
        let wanted = f64::from(u8::from(registered));
        while self.get("/metrics/snapshot").await.json()["slave/registered"] != wanted {
            assert!(tokio::time::Instant::now() < deadline, "registered={registered} never came");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Has the agent leave while the master acknowledges what it says; everything it said.
    pub(crate) async fn leave(self, master: &mut Master) -> Vec<v1::TaskStatus> {
        use meros_proto::link::{from_agent, from_master};
        self.leave.cancel();
        let mut said = Vec::new();
        loop {
            match master.heard().await {
                from_agent::Message::Update(update) => {
                    let decoded = meros_proto::wire::decode(
                        meros_proto::wire::Encoding::Protobuf,
                        &update.status,
                    );
                    let status: v1::TaskStatus = decoded.expect("a status");
                    let acknowledge = meros_proto::link::AcknowledgeUpdate {
                        framework_id: update.framework_id,
                        task_id: status.task_id.clone().unwrap_or_default().value().to_owned(),
                        uuid: status.uuid.clone().unwrap_or_default(),
                    };
                    master.say(from_master::Message::Acknowledge(acknowledge)).await;
                    said.push(status);
                }
                from_agent::Message::Unregister(_) => break,
                other => panic!("while it stops: {other:?}"),
            }
        }
        master.cut();
        self.ended().await.expect("it stops in order");
        said
    }

    /// Has the agent leave without anybody listening.
    pub(crate) async fn leave_unheard(self) {
        self.leave.cancel();
        self.ended().await.expect("it stops in order");
    }

    /// Stops the agent, and nothing that it runs.
    pub(crate) async fn shut_down(self) {
        self.shutdown.cancel();
        self.ended().await.expect("it stops in order");
    }

    pub(crate) async fn ended(self) -> Result<(), RunError> {
        let ended = tokio::time::timeout(PATIENCE, self.running).await.expect("it ends in time");
        ended.expect("it does not panic")
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.ask(&format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")).await
    }

    pub(crate) async fn ask(&self, request: &str) -> Answer {
        let mut stream = TcpStream::connect(self.address).await.expect("the agent listens");
        stream.write_all(request.as_bytes()).await.expect("it reads");
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).await.expect("it answers");
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let (head, body) = text.split_once("\r\n\r\n").expect("a head and a body");
        let status = head.split(' ').nth(1).and_then(|code| code.parse().ok()).expect("a status");
        Answer { status, head: head.to_ascii_lowercase(), body: body.to_owned() }
    }
}

/// What the agent answered. Bodies here are short enough to come in one piece.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Answer {
    #[track_caller]
    pub(crate) fn json(&self) -> serde_json::Value {
        assert_eq!(self.status, 200, "{self:?}");
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

/// A task that runs a shell command.
pub(crate) fn shell(id: &str, command: &str) -> v1::TaskInfo {
    let command = v1::CommandInfo { value: Some(command.to_owned()), ..Default::default() };
    v1::TaskInfo {
        name: Some(id.to_owned()),
        task_id: Some(v1::TaskId { value: Some(id.to_owned()) }),
        agent_id: Some(v1::AgentId { value: Some("m-S0".to_owned()) }),
        command: Some(command),
        ..v1::TaskInfo::default()
    }
}
