//! Row 12: what the master keeps of agents and tasks, and of their links; an idle agent; a launcher.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Context;
use meros_proto::link::agent_link_client::AgentLinkClient;
use meros_proto::link::{self, FromAgent, FromMaster, from_agent};
use meros_proto::v1::TaskState;
use meros_proto::versions::{MEROS_VERSION, PROTOCOL_MAX, PROTOCOL_MIN};
use tokio::sync::mpsc;
use tokio::time::sleep;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Endpoint;

use crate::client::{Scheduler, Shape, Workload};
use crate::cluster::Place;
use crate::machine;
use crate::report::{Figure, Must, Report};
use crate::state;

const KIB: f64 = 1_024.0;
const MIB: f64 = 1_024.0 * KIB;

/// What is given back is given back by then.
const SETTLE: Duration = Duration::from_secs(2);
/// Links that are being opened at once.
const DIALLING: usize = 64;

/// How large the cluster is.
#[derive(Debug, clap::Args)]
pub(crate) struct Flags {
    /// Hollow agents, and as many links without an agent
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..=15_000))]
    agents: u32,
    /// Tasks on them, with ten labels each
    #[arg(long, default_value_t = 100_000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    tasks: u32,
    /// Tasks that really run, for the launcher
    #[arg(long, default_value_t = 500, value_parser = clap::value_parser!(u32).range(1..=5_000))]
    processes: u32,
}

pub(crate) async fn run(flags: &Flags, place: &Place, report: &mut Report) -> anyhow::Result<()> {
    let per_link = links(flags, place).await?;
    let bytes = Figure::alone("bytes_per_link", "B", vec![per_link]);
    report.add(Figure { must: Must::AtMost(40.0 * KIB), ..bytes });

    let mut cluster = place.master().await?;
    let before = cluster.master.private_bytes()?;
    let fleet = state::fill(&mut cluster, flags.agents, flags.tasks).await?;
    sleep(SETTLE).await;
    let grown = cluster.master.private_bytes()?.saturating_sub(before) as f64;
    let hollow = cluster.agents()?.private_bytes()? as f64;
    let json = cluster.get("/state").await?.len() as f64;
    let of_links = per_link * f64::from(flags.agents);
    report.add(Figure {
        name: "state_bytes",
        unit: "B",
        runs: vec![(grown - of_links).max(0.0)],
        limit: vec![json],
        must: Must::RatioAtMost(3.0),
    });
    report.note(format!(
        "state: {} agents, {} tasks; limit: its JSON; the master grew by {:.0} MiB with the links",
        flags.agents,
        flags.tasks,
        grown / MIB
    ));
    let bytes = hollow / f64::from(flags.agents);
    report.add(Figure::alone("bytes_per_hollow_agent", "B", vec![bytes]));
    drop(cluster);
    drop(fleet);
    agent(flags, place, report).await
}

/// Bytes that the master keeps for a link over which nothing but Hello was said.
async fn links(flags: &Flags, place: &Place) -> anyhow::Result<f64> {
    let cluster = place.master().await?;
    // What the first links bring into being stays.
    let first = open(cluster.address, DIALLING).await?;
    sleep(SETTLE).await;
    let before = cluster.master.private_bytes()?;
    let count = flags.agents as usize;
    let links = open(cluster.address, count).await?;
    sleep(SETTLE).await;
    let grown = cluster.master.private_bytes()?.saturating_sub(before);
    drop((cluster, first, links));
    Ok(grown as f64 / count as f64)
}

/// One link's two halves; it is closed when this is dropped.
type Link = (mpsc::Sender<FromAgent>, tonic::Streaming<FromMaster>);

async fn open(master: SocketAddr, count: usize) -> anyhow::Result<Vec<Link>> {
    let mut links = Vec::with_capacity(count);
    while links.len() < count {
        let some = DIALLING.min(count - links.len());
        let opening: Vec<_> = (0..some).map(|_| tokio::spawn(open_one(master))).collect();
        for link in opening {
            links.push(link.await??);
        }
    }
    Ok(links)
}

async fn open_one(master: SocketAddr) -> anyhow::Result<Link> {
    let endpoint = Endpoint::from_shared(format!("http://{master}"))?.tcp_nodelay(true);
    let channel = endpoint.connect().await.context("connect to the master")?;
    let (to_master, queued) = mpsc::channel(1);
    let hello = link::Hello {
        protocol_min: PROTOCOL_MIN,
        protocol_max: PROTOCOL_MAX,
        version: MEROS_VERSION.to_owned(),
        features: Vec::new(),
    };
    to_master.try_send(FromAgent { message: Some(from_agent::Message::Hello(hello)) })?;
    let mut answers =
        AgentLinkClient::new(channel).connect(ReceiverStream::new(queued)).await?.into_inner();
    answers.message().await?.context("the master does not greet")?;
    Ok((to_master, answers))
}

/// An agent that has nothing to do, then its launcher with and without tasks.
async fn agent(flags: &Flags, place: &Place, report: &mut Report) -> anyhow::Result<()> {
    let mut cluster = place.with_agent(&["--resources", "cpus:1000;mem:1000000"]).await?;
    sleep(SETTLE).await;
    let agent = cluster.agents()?;
    let (idle, launcher) = (agent.private_bytes()? as f64, agent.launcher()?);
    let empty = machine::private_bytes(launcher)? as f64;
    let mut scheduler = Scheduler::subscribe(cluster.address, "memory", 1).await?;
    let tasks = flags.processes as usize;
    let shape = Shape {
        cpus: 0.1,
        mem: 32.0,
        program: "/bin/sleep",
        arguments: &["sleep", "1000"],
        labels: 0,
    };
    let until = TaskState::TaskRunning;
    scheduler.run(&Workload { tasks, shape, per_accept: 50, at_once: 50, until }).await?;
    let full = machine::private_bytes(launcher)? as f64;
    let figure = |name, value: f64, most: f64| {
        let alone = Figure::alone(name, "B", vec![value]);
        Figure { must: Must::AtMost(most), ..alone }
    };
    report.add(figure("agent_idle_bytes", idle, 24.0 * MIB));
    report.add(figure("launcher_bytes", empty, 3.0 * MIB));
    let per_task = (full - empty).max(0.0) / f64::from(flags.processes);
    report.add(figure("launcher_bytes_per_task", per_task, 4.0 * KIB));
    Ok(())
}
