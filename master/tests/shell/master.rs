//! A master to test against.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use meros_master::{Bound, Config, Flags, RunError, run};
use meros_plugin_api::Plugins;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// How long anything may take before a test fails.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// A running master.
pub(crate) struct TestMaster {
    pub(crate) address: SocketAddr,
    shutdown: CancellationToken,
    running: JoinHandle<Result<(), RunError>>,
    _work_dir: Option<tempfile::TempDir>,
}

impl TestMaster {
    /// Starts one on any free port, with a work directory of its own.
    pub(crate) async fn start() -> Self {
        let work_dir = tempfile::tempdir().expect("a temporary directory");
        let mut master = Self::start_in(work_dir.path(), 0).await.expect("the master starts");
        master._work_dir = Some(work_dir);
        master
    }

    /// Starts one in a given directory.
    pub(crate) async fn start_in(work_dir: &Path, port: u16) -> Result<Self, RunError> {
        let flags = Flags {
            ip: IpAddr::V4(Ipv4Addr::LOCALHOST),
            port,
            work_dir: work_dir.to_owned(),
            cluster: Some("test".to_owned()),
            ..Flags::default()
        };
        let config = Config::try_from(flags).expect("the test's flags are valid");
        let shutdown = CancellationToken::new();
        let (ready, bound) = oneshot::channel();
        let running = tokio::spawn(run(config, Plugins::default(), shutdown.clone(), ready));
        match bound.await {
            Ok(Bound { address }) => Ok(Self { address, shutdown, running, _work_dir: None }),
            Err(_) => {
                Err(running.await.expect("no panic").expect_err("it ended before it was ready"))
            }
        }
    }

    /// Kills it, as far as its disk is concerned: returns a directory with what was durable at this
    /// moment. What the process does after it, its orderly end included, isn't in there.
    pub(crate) async fn kill(self, work_dir: &Path) -> tempfile::TempDir {
        let left = tempfile::tempdir().expect("a temporary directory");
        std::fs::copy(work_dir.join("registry.log"), left.path().join("registry.log"))
            .expect("the log is there");
        self.stop().await;
        left
    }

    /// Stops it and waits until it has stopped.
    pub(crate) async fn stop(self) {
        self.shutdown.cancel();
        tokio::time::timeout(PATIENCE, self.running)
            .await
            .expect("it stops in time")
            .expect("no panic")
            .expect("it stops in order");
    }
}

/// Waits until `check` gives something.
pub(crate) async fn eventually<T>(what: &str, mut check: impl AsyncFnMut() -> Option<T>) -> T {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    loop {
        if let Some(found) = check().await {
            return found;
        }
        assert!(tokio::time::Instant::now() < deadline, "never happened: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
