//! A master and agents of the release binary, on loopback, gone when dropped.

use std::fs::File;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, bail};
use meros_sdk::http::HttpClient;
use rustix::fs::{IFlags, ioctl_getflags, ioctl_setflags};
use serde_json::Value;
use tempfile::TempDir;
use tokio::time::{Instant, sleep};

use crate::role::Role;

/// How long roles may take to come up.
const UP_WITHIN: Duration = Duration::from_secs(120);
/// How often they are looked at meanwhile: with thousands of agents a look costs something.
const AGAIN: Duration = Duration::from_millis(200);

/// What clusters are made of, and where.
#[derive(Debug)]
pub(crate) struct Place {
    binary: PathBuf,
    dir: TempDir,
}

/// The running roles. Dropped in this order: agents first.
#[derive(Debug)]
pub(crate) struct Cluster {
    pub(crate) agents: Option<Role>,
    pub(crate) master: Role,
    pub(crate) address: SocketAddr,
    http: HttpClient,
    binary: PathBuf,
    dir: TempDir,
}

impl Place {
    /// Clusters of this binary, in folders below `below` or where temporary files go.
    pub(crate) fn new(binary: PathBuf, below: Option<&Path>) -> anyhow::Result<Self> {
        let dir = match below {
            Some(below) => tempfile::tempdir_in(below),
            None => tempfile::tempdir(),
        };
        let dir = dir.context("make a work directory")?;
        // Asks ext4 to put each folder in it elsewhere on the disk. Where thousands of files were
        // deleted of late, by the run before this one, making one takes ten times as long. Other
        // file systems know nothing of it.
        if let Ok(folder) = File::open(dir.path())
            && let Ok(flags) = ioctl_getflags(&folder)
        {
            let _ = ioctl_setflags(&folder, flags | IFlags::TOPDIR);
        }
        Ok(Self { binary, dir })
    }

    /// A folder that goes when it is dropped.
    pub(crate) fn folder(&self) -> anyhow::Result<TempDir> {
        tempfile::tempdir_in(self.dir.path()).context("make a work directory")
    }

    /// Starts a master alone.
    pub(crate) async fn master(&self) -> anyhow::Result<Cluster> {
        let dir = self.folder()?;
        let address = free_address()?;
        let port = address.port().to_string();
        let work_dir = dir.path().join("master").display().to_string();
        let arguments = ["master", "--ip", "127.0.0.1", "--port", &port, "--work-dir", &work_dir];
        let master = Role::start(&self.binary, &arguments)?;
        let (http, binary) = (HttpClient::new(), self.binary.clone());
        let cluster = Cluster { agents: None, master, address, http, binary, dir };
        cluster
            .until("the master answers", async |cluster| cluster.get("/health").await.is_ok())
            .await?;
        Ok(cluster)
    }

    /// Starts a master and a real agent, with these flags on top of the usual ones.
    pub(crate) async fn with_agent(&self, flags: &[&str]) -> anyhow::Result<Cluster> {
        let mut cluster = self.master().await?;
        // What a launcher outlives its agent by.
        let own = [&["--recovery-timeout", "1secs"], flags].concat();
        cluster.agents = Some(cluster.start_agents(&own)?.stopped_in_order());
        cluster.until_agents(1).await?;
        Ok(cluster)
    }

    /// Starts a master and so many hollow agents, each with these resources.
    pub(crate) async fn with_hollow(&self, count: u32, resources: &str) -> anyhow::Result<Cluster> {
        let mut cluster = self.master().await?;
        cluster.add_hollow(count, resources).await?;
        Ok(cluster)
    }
}

impl Cluster {
    /// Adds hollow agents to a master that has none, and waits for all to be registered.
    pub(crate) async fn add_hollow(&mut self, count: u32, resources: &str) -> anyhow::Result<()> {
        let count_text = count.to_string();
        let flags = ["--simulate", count_text.as_str(), "--resources", resources];
        self.agents = Some(self.start_agents(&flags)?);
        self.until_agents(count).await
    }

    fn start_agents(&self, flags: &[&str]) -> anyhow::Result<Role> {
        let work_dir = self.dir.path().join("agent").display().to_string();
        let master = self.address.to_string();
        let usual = ["agent", "--ip", "127.0.0.1", "--port", "0", "--work-dir", &work_dir];
        let arguments = [&usual[..], &["--master", &master], flags].concat();
        Role::start(&self.binary, &arguments)
    }

    /// The agents' process.
    pub(crate) fn agents(&mut self) -> anyhow::Result<&mut Role> {
        self.agents.as_mut().context("the cluster has agents")
    }

    async fn until_agents(&self, count: u32) -> anyhow::Result<()> {
        self.until("all agents are registered", async |cluster| {
            let connected = cluster.metric("master/slaves_connected").await;
            connected.is_ok_and(|connected| connected >= f64::from(count))
        })
        .await
    }

    async fn until(
        &self,
        what: &str,
        mut holds: impl AsyncFnMut(&Self) -> bool,
    ) -> anyhow::Result<()> {
        let deadline = Instant::now() + UP_WITHIN;
        while !holds(self).await {
            if Instant::now() > deadline {
                bail!("waited in vain until {what}");
            }
            sleep(AGAIN).await;
        }
        Ok(())
    }

    /// One of the master's numbers.
    pub(crate) async fn metric(&self, name: &str) -> anyhow::Result<f64> {
        let all: Value = serde_json::from_slice(&self.get("/metrics/snapshot").await?)?;
        all[name].as_f64().with_context(|| format!("the master has no {name}"))
    }

    /// What the master answers.
    pub(crate) async fn get(&self, path: &str) -> anyhow::Result<bytes::Bytes> {
        let answer = self.http.get(&format!("http://{}{path}", self.address)).await?;
        if !answer.status.is_success() {
            bail!("GET {path}: {}", answer.status);
        }
        Ok(answer.body)
    }
}

fn free_address() -> anyhow::Result<SocketAddr> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("find a free port")?;
    listener.local_addr().context("read the port")
}
