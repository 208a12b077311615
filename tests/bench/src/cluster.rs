//! A master and an agent of the release binary, on loopback, gone when dropped.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, ensure};
use tempfile::TempDir;

/// The running roles.
pub(crate) struct Cluster {
    pub(crate) master: SocketAddr,
    roles: Vec<Child>,
    _work_dir: TempDir,
}

impl Cluster {
    /// Builds the binary and starts one master and one agent.
    pub(crate) fn start() -> anyhow::Result<Self> {
        let binary = build()?;
        let work_dir = tempfile::tempdir().context("make a work directory")?;
        let master = free_address()?;
        let mut cluster = Self { master, roles: Vec::new(), _work_dir: work_dir };
        let dir = |name: &str| cluster._work_dir.path().join(name).display().to_string();
        let (of_master, of_agent) = (dir("master"), dir("agent"));
        let port = master.port().to_string();
        let roles: [&[&str]; 2] = [
            &["master", "--ip", "127.0.0.1", "--port", &port, "--work-dir", &of_master],
            &[
                "agent",
                "--ip",
                "127.0.0.1",
                "--port",
                "0",
                "--work-dir",
                &of_agent,
                "--master",
                &master.to_string(),
                "--resources",
                "cpus:64;mem:65536",
            ],
        ];
        for arguments in roles {
            cluster.roles.push(start(&binary, arguments)?);
        }
        Ok(cluster)
    }
}

impl Drop for Cluster {
    /// The agent first: it ends its tasks and leaves.
    fn drop(&mut self) {
        for role in self.roles.iter_mut().rev() {
            // A role that is gone already needs no signal.
            let _ = Command::new("kill").arg(role.id().to_string()).status();
            let _ = role.wait();
        }
    }
}

fn build() -> anyhow::Result<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let built = Command::new(std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned()))
        .args(["build", "--release", "--locked", "--package", "meros"])
        .current_dir(&root)
        .status()
        .context("run cargo")?;
    ensure!(built.success(), "cargo build failed");
    let target =
        std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
    Ok(target.join("release/meros"))
}

fn start(binary: &Path, arguments: &[&str]) -> anyhow::Result<Child> {
    Command::new(binary)
        .args(arguments)
        .env("MEROS_LOG", "warn")
        .stdin(Stdio::null())
        .spawn()
        .with_context(|| format!("start {}", binary.display()))
}

fn free_address() -> anyhow::Result<SocketAddr> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("find a free port")?;
    listener.local_addr().context("read the port")
}
