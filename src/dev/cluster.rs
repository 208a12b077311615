//! The roles of `meros dev`, started in order and stopped in the reverse.

use std::error::Error;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use clap::{Args, Parser};
use meros_plugin_api::Plugins;
use tempfile::TempDir;
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::{Flags, ports};
use crate::ops::Failure;

/// The ports that the agents share, from the top down: the first has those that an agent on a host
/// of its own has by default, and none has those that the kernel gives to outgoing connections.
const PORTS: std::ops::Range<u16> = 21_000..32_000;
const PORTS_EACH_MAX: u16 = 1_000;

/// Where everything is to be.
pub(super) struct Plan {
    agents: u8,
    work_dir: PathBuf,
    master_port: u16,
    marathon_port: u16,
    /// Removed at the end.
    _temporary: Option<TempDir>,
}

impl Plan {
    /// Looks for free ports and a folder.
    pub(super) fn of(flags: Flags) -> Result<Self, Failure> {
        let master_port = ports::choose("master", flags.master_port, 5050)?;
        let marathon_port = ports::choose("marathon", flags.marathon_port, 8080)?;
        let (work_dir, temporary) = match flags.work_dir {
            Some(dir) => (dir, None),
            None => {
                let dir = tempfile::Builder::new().prefix("meros-dev-").tempdir();
                let dir = dir.map_err(|error| {
                    Failure::new(format!("make a temporary folder: {error}"))
                        .hint("name one with --work-dir")
                })?;
                (dir.path().to_owned(), Some(dir))
            }
        };
        Ok(Self {
            agents: flags.agents,
            work_dir,
            master_port,
            marathon_port,
            _temporary: temporary,
        })
    }
}

/// The running roles.
pub(super) struct Cluster {
    pub(super) master: SocketAddr,
    pub(super) marathon: SocketAddr,
    /// Where the agents' own APIs are, by their number from 1.
    pub(super) agents: Vec<SocketAddr>,
    /// Marathon, then the agents, then the master.
    groups: Vec<Group>,
}

/// Roles that are stopped together.
struct Group {
    stop: CancellationToken,
    roles: JoinSet<Result<(), Failure>>,
}

impl Cluster {
    /// Starts master, agents and Marathon; returns when all of them listen.
    pub(super) async fn start(plan: &Plan) -> Result<Self, Failure> {
        let mut cluster = Self {
            master: SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0),
            marathon: SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0),
            agents: Vec::new(),
            groups: Vec::new(),
        };
        match cluster.start_roles(plan).await {
            Ok(()) => Ok(cluster),
            Err(failure) => {
                // What did start is stopped; its own failure would only hide the first.
                let _ = cluster.stop().await;
                Err(failure)
            }
        }
    }

    async fn start_roles(&mut self, plan: &Plan) -> Result<(), Failure> {
        let mut masters = Group::new();
        let begun = start_master(plan, &mut masters).await;
        self.groups.insert(0, masters);
        self.master = begun?;
        let mut agents = Group::new();
        let begun = start_agents(plan, self.master, &mut agents).await;
        self.groups.insert(0, agents);
        self.agents = begun?;
        let mut marathons = Group::new();
        let begun = start_marathon(plan, self.master, &mut marathons).await;
        self.groups.insert(0, marathons);
        self.marathon = begun?;
        Ok(())
    }

    /// Returns when a role ends of itself, which none should.
    pub(super) async fn failed(&mut self) -> Failure {
        let ends = self.groups.iter_mut().map(|group| Box::pin(group.next_end()));
        futures_util::future::select_all(ends).await.0
    }

    /// Ends Marathon, so that it replaces nothing; then the agents, which end their tasks; then the
    /// master.
    pub(super) async fn stop(self) -> Result<(), Failure> {
        let mut result = Ok(());
        for group in self.groups {
            group.stop.cancel();
            for ended in group.roles.join_all().await {
                result = result.and(ended);
            }
        }
        result
    }
}

impl Group {
    fn new() -> Self {
        Self { stop: CancellationToken::new(), roles: JoinSet::new() }
    }

    async fn next_end(&mut self) -> Failure {
        match self.roles.join_next().await {
            Some(Ok(Ok(()))) => Failure::new("a role stopped without being told to"),
            Some(Ok(Err(failure))) => failure,
            Some(Err(error)) => Failure::new(format!("a role died: {error}")),
            None => std::future::pending().await,
        }
    }

    /// Starts a role; returns what it says once it listens, or why it doesn't.
    async fn start<C, B: Send + 'static, E: Error, R>(
        &mut self,
        name: String,
        config: C,
        role: impl FnOnce(C, Plugins, CancellationToken, oneshot::Sender<B>) -> R,
    ) -> Result<B, Failure>
    where
        R: Future<Output = Result<(), E>> + Send + 'static,
    {
        let (ready, bound) = oneshot::channel();
        let running = role(config, Plugins::default(), self.stop.clone(), ready);
        self.roles.spawn(async move {
            running.await.map_err(|error| Failure::new(format!("{name}: {error}")))
        });
        match bound.await {
            Ok(bound) => Ok(bound),
            Err(_) => Err(self.next_end().await),
        }
    }
}

async fn start_master(plan: &Plan, group: &mut Group) -> Result<SocketAddr, Failure> {
    let flags = flags::<meros_master::Flags>(&[
        ("--ip", "127.0.0.1".to_owned()),
        ("--hostname", "127.0.0.1".to_owned()),
        ("--port", plan.master_port.to_string()),
        ("--work-dir", text(&plan.work_dir.join("master"))),
    ])?;
    let config = meros_master::Config::try_from(flags).map_err(not_started)?;
    let bound = group.start("master".to_owned(), config, meros_master::run).await?;
    Ok(bound.address)
}

/// The agents share the host: each offers all its CPUs, a share of its memory and disk, and ports
/// of its own. Each has a loopback address as its hostname, so that they count as several hosts and
/// their tasks can be reached.
async fn start_agents(
    plan: &Plan,
    master: SocketAddr,
    group: &mut Group,
) -> Result<Vec<SocketAddr>, Failure> {
    let environment = environment()?;
    // The disk is that of the work directory, which the master has made by now.
    let host = meros_agent::resources::detect(&plan.work_dir);
    let agents = u16::from(plan.agents);
    let ports_each = (PORTS.len() as u16 / agents).min(PORTS_EACH_MAX);
    let share = format!(
        "cpus:{};mem:{:.0};disk:{:.0}",
        host.cpus(),
        host.mem().as_f64() / f64::from(agents),
        host.disk().as_f64() / f64::from(agents)
    );
    let mut addresses = Vec::new();
    for number in 1..=plan.agents {
        let work_dir = plan.work_dir.join(format!("agent-{number}"));
        let first = PORTS.end - u16::from(number) * ports_each;
        let resources = format!("{share};ports:[{first}-{}]", first + ports_each - 1);
        let flags = flags::<meros_agent::Flags>(&[
            ("--master", master.to_string()),
            ("--ip", "127.0.0.1".to_owned()),
            ("--hostname", format!("127.0.0.{number}")),
            ("--port", "0".to_owned()),
            ("--work-dir", text(&work_dir)),
            ("--resources", resources),
            ("--attributes", format!("rack:r{number}")),
            ("--executor-environment-variables", environment.clone()),
            ("--recovery-timeout", "10secs".to_owned()),
        ])?;
        let mut config = meros_agent::Config::try_from(flags).map_err(not_started)?;
        // With the cluster goes all that runs on it.
        config.on_shutdown = meros_agent::config::OnShutdown::Leave;
        let bound = group.start(format!("agent {number}"), config, meros_agent::run).await?;
        addresses.push(bound.address);
    }
    Ok(addresses)
}

/// Tasks find `meros` itself: the examples serve with it.
fn environment() -> Result<String, Failure> {
    const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
    let exe = std::env::current_exe().map_err(not_started)?;
    let path = match exe.parent() {
        Some(dir) => format!("{PATH}:{}", dir.display()),
        None => PATH.to_owned(),
    };
    Ok(serde_json::json!({ "PATH": path }).to_string())
}

async fn start_marathon(
    plan: &Plan,
    master: SocketAddr,
    group: &mut Group,
) -> Result<SocketAddr, Failure> {
    let flags = flags::<meros_marathon::Flags>(&[
        ("--master", master.to_string()),
        ("--ip", "127.0.0.1".to_owned()),
        ("--hostname", "127.0.0.1".to_owned()),
        ("--port", plan.marathon_port.to_string()),
        ("--work-dir", text(&plan.work_dir.join("marathon"))),
    ])?;
    let config = meros_marathon::Config::try_from(flags).map_err(not_started)?;
    let bound = group.start("marathon".to_owned(), config, meros_marathon::run).await?;
    Ok(bound.address)
}

/// A role's flags as its own command line would give them.
fn flags<F: Args>(given: &[(&str, String)]) -> Result<F, Failure> {
    #[derive(Debug, Parser)]
    struct Line<F: Args> {
        #[command(flatten)]
        flags: F,
    }
    let words = given.iter().flat_map(|(flag, value)| [(*flag).to_owned(), value.clone()]);
    let line = Line::<F>::try_parse_from(["dev".to_owned()].into_iter().chain(words));
    line.map(|line| line.flags).map_err(not_started)
}

fn text(path: &Path) -> String {
    path.display().to_string()
}

fn not_started(error: impl std::fmt::Display) -> Failure {
    Failure::new(error.to_string())
}
