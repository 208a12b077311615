//! A Marathon in the test's process.

use std::time::Duration;

use meros_marathon::{Bound, Config, Flags, RunError, run};
use meros_plugin_api::Plugins;
use tempfile::TempDir;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// An address at which no master listens.
pub(crate) const NO_MASTER: &str = "127.0.0.1:1";

#[derive(clap::Parser)]
struct Command {
    #[command(flatten)]
    flags: Flags,
}

/// A Marathon on a free port.
pub(crate) struct Marathon {
    pub(crate) address: String,
    shutdown: CancellationToken,
    ended: JoinHandle<Result<(), RunError>>,
}

/// How a Marathon is started that looks for its master at `master`.
pub(crate) fn config(work_dir: &TempDir, master: &str, port: u16) -> Config {
    let work_dir = work_dir.path().to_str().expect("the path is text");
    let port = port.to_string();
    let arguments = [
        "marathon",
        "--master",
        master,
        "--ip",
        "127.0.0.1",
        "--port",
        &port,
        "--work-dir",
        work_dir,
    ];
    let flags = <Command as clap::Parser>::parse_from(arguments).flags;
    Config::try_from(flags).expect("the flags are sound")
}

/// Starts a Marathon and waits until it answers.
pub(crate) async fn start(work_dir: &TempDir, master: &str) -> Marathon {
    let shutdown = CancellationToken::new();
    let (ready, bound) = oneshot::channel();
    let running = run(config(work_dir, master, 0), Plugins::default(), shutdown.clone(), ready);
    let ended = tokio::spawn(running);
    let Bound { address } = bound.await.expect("it starts");
    Marathon { address: address.to_string(), shutdown, ended }
}

impl Marathon {
    /// Stops it in order.
    pub(crate) async fn stop(self) {
        self.shutdown.cancel();
        self.ended.await.expect("no panic").expect("an orderly stop");
    }
}

/// Reads a stream until it holds `wanted`; gives all that was read.
pub(crate) async fn read_until(stream: &mut TcpStream, wanted: &str) -> String {
    let mut text = String::new();
    let mut chunk = [0; 4_096];
    while !text.contains(wanted) {
        let reading = tokio::time::timeout(Duration::from_secs(10), stream.read(&mut chunk));
        let count = reading.await.expect("in time").expect("is read");
        assert!(count > 0, "the stream ended after {text}");
        text.push_str(&String::from_utf8_lossy(&chunk[..count]));
    }
    text
}
