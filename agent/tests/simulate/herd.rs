//! A herd in this process, in a directory that may outlive it.

use std::net::SocketAddr;
use std::path::Path;

use clap::Parser;
use meros_agent::{Config, Flags, RunError, run};
use meros_plugin_api::Plugins;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::master::{Master, PATIENCE};

pub(crate) struct Herd {
    pub(crate) address: SocketAddr,
    shutdown: CancellationToken,
    leave: CancellationToken,
    running: JoinHandle<Result<(), RunError>>,
}

#[derive(Debug, Parser)]
struct Line {
    #[command(flatten)]
    flags: Flags,
}

/// What `meros agent` is given.
pub(crate) fn config(master: &Master, dir: &Path, count: u32, more: &[&str]) -> Config {
    let (master, dir, count) =
        (master.address.to_string(), dir.display().to_string(), count.to_string());
    let usual = ["agent", "--ip", "127.0.0.1", "--port", "0", "--hostname", "host"];
    let own = ["--master", &master, "--work-dir", &dir, "--simulate", &count];
    let resources = ["--resources", "cpus:2;mem:256;disk:100;ports:[31000-31010]"];
    let line = [&usual[..], &own, &resources, more].concat();
    Config::try_from(Line::try_parse_from(line).expect("known flags").flags).expect("valid flags")
}

impl Herd {
    pub(crate) async fn start(config: Config) -> Self {
        let (shutdown, leave) = (CancellationToken::new(), config.leave.clone());
        let (ready, bound) = oneshot::channel();
        let running = tokio::spawn(run(config, Plugins::default(), shutdown.clone(), ready));
        match bound.await {
            Ok(bound) => Self { address: bound.address, shutdown, leave, running },
            Err(_) => panic!("the herd did not start: {:?}", running.await),
        }
    }

    /// Stops the process, and no task.
    pub(crate) async fn shut_down(self) {
        self.shutdown.cancel();
        self.ended().await;
    }

    /// Ends all tasks; the agents leave for good.
    pub(crate) fn leave(&self) {
        self.leave.cancel();
    }

    pub(crate) async fn ended(self) {
        let ended = tokio::time::timeout(PATIENCE, self.running).await.expect("it ends in time");
        ended.expect("it does not panic").expect("it stops in order");
    }

    /// The status of an answer, and its body where that is JSON.
    pub(crate) async fn get(&self, path: &str) -> (u16, Value) {
        let mut stream = TcpStream::connect(self.address).await.expect("the herd listens");
        let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.expect("it reads");
        let mut text = String::new();
        stream.read_to_string(&mut text).await.expect("it answers");
        let (head, body) = text.split_once("\r\n\r\n").expect("a head and a body");
        let status = head.split(' ').nth(1).and_then(|code| code.parse().ok()).expect("a status");
        (status, serde_json::from_str(body).unwrap_or_default())
    }
}
