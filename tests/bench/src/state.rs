//! Row 8: the whole of `/state` of a large cluster against the bare encoding of the same bytes, and
//! what many who ask for it do to the calls of a framework.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, sleep};

use crate::client::{Line, Words};
use crate::cluster::{Cluster, Place};
use crate::launch::{self, Fleet};
use crate::limits::encode::{self, Json};
use crate::report::{Figure, Must, Report};
use crate::statistics::percentile;

/// How large the cluster is, and how much is measured.
#[derive(Debug, clap::Args)]
pub(crate) struct Flags {
    /// Hollow agents
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..=15_000))]
    agents: u32,
    /// Tasks, with ten labels each
    #[arg(long, default_value_t = 100_000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    tasks: u32,
    /// Times that the state is asked for by one client alone
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    runs: u32,
    /// Clients that ask for it every five seconds
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(0..=1_000))]
    pollers: u32,
    /// Seconds for which calls are measured, without and then with those
    #[arg(long, default_value_t = 15, value_parser = clap::value_parser!(u32).range(1..=600))]
    seconds: u32,
}

const POLL_EACH: Duration = Duration::from_secs(5);
/// Between two calls of the framework.
const CALL_EACH: Duration = Duration::from_millis(10);
const FRAMEWORKS: u32 = 100;
const LABELS: usize = 10;

pub(crate) async fn run(flags: &Flags, place: &Place, report: &mut Report) -> anyhow::Result<()> {
    let (cluster, fleet) = large(place, flags.agents, flags.tasks).await?;
    let body = cluster.get("/state").await?;
    let tree: Json = serde_json::from_slice(&body).context("read the state")?;
    let (mut millis, mut limits) = (Vec::new(), Vec::new());
    for _ in 0..flags.runs {
        let (bare, bytes) = encode::seconds(&tree, body.len())?;
        ensure!(bytes.abs_diff(body.len()) < body.len() / 100, "the tree is not the state");
        limits.push(bare * 1e3);
        // Whatever is shared by those who ask at once is not shared by these.
        sleep(Duration::from_millis(200)).await;
        let began = Instant::now();
        poll(cluster.address).await?;
        millis.push(began.elapsed().as_secs_f64() * 1e3);
    }
    report.add(Figure {
        name: "render_ms",
        unit: "ms",
        runs: millis,
        limit: limits,
        must: Must::RatioAtMost(2.0),
    });
    report.note(format!(
        "{} agents, {} tasks, {:.1} MB of JSON; limit: its encoding by serde_json",
        flags.agents,
        flags.tasks,
        body.len() as f64 / 1e6
    ));
    drop((body, tree));

    let words = fleet.first()?.words().clone();
    let alone = calls(cluster.address, &words, flags.seconds).await?;
    let mut pollers = JoinSet::new();
    for number in 0..flags.pollers {
        let (address, offset) = (cluster.address, POLL_EACH * number / flags.pollers.max(1));
        pollers.spawn(async move {
            sleep(offset).await;
            keep_polling(address).await
        });
    }
    let polled = calls(cluster.address, &words, flags.seconds).await?;
    if let Some(ended) = pollers.try_join_next() {
        ended??;
    }
    pollers.shutdown().await;
    let (alone, polled) = (percentile(&alone, 99), percentile(&polled, 99));
    report.add(Figure::alone("call_p99_alone", "ms", vec![alone]));
    report.add(Figure::alone("call_p99_polled", "ms", vec![polled]));
    let added = Figure::alone("call_p99_added", "ms", vec![polled - alone]);
    report.add(Figure { must: Must::AtMost(10.0), ..added });
    drop(cluster);
    drop(fleet);
    Ok(())
}

/// A cluster of hollow agents that run tasks with ten labels.
pub(crate) async fn large(
    place: &Place,
    agents: u32,
    tasks: u32,
) -> anyhow::Result<(Cluster, Fleet)> {
    let mut cluster = place.master().await?;
    let fleet = fill(&mut cluster, agents, tasks).await?;
    Ok((cluster, fleet))
}

/// Makes a master's cluster a large one.
pub(crate) async fn fill(cluster: &mut Cluster, agents: u32, tasks: u32) -> anyhow::Result<Fleet> {
    cluster.add_hollow(agents, &launch::room(agents, tasks)).await?;
    let fleet = Fleet::subscribe(cluster, FRAMEWORKS).await?;
    let (_, fleet) = fleet.launch(tasks, 10, &launch::shape(LABELS)).await?;
    Ok(fleet)
}

/// Milliseconds that each of a framework's calls takes, one after another.
async fn calls(master: SocketAddr, words: &Words, seconds: u32) -> anyhow::Result<Vec<f64>> {
    let (to_self, mut answers) = mpsc::unbounded_channel();
    let line = Line::open(master, to_self).await?;
    let mut ticks = interval(CALL_EACH);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let end = Instant::now() + Duration::from_secs(u64::from(seconds));
    let mut millis = Vec::new();
    while Instant::now() < end {
        ticks.tick().await;
        let began = Instant::now();
        line.send(words.suppress(), true);
        answers.recv().await.context("the line is gone")??;
        millis.push(began.elapsed().as_secs_f64() * 1e3);
    }
    Ok(millis)
}

async fn keep_polling(master: SocketAddr) -> anyhow::Result<()> {
    let mut ticks = interval(POLL_EACH);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    loop {
        ticks.tick().await;
        poll(master).await?;
    }
}

/// Asks for the state and reads it to its end, without looking at it.
async fn poll(master: SocketAddr) -> anyhow::Result<usize> {
    let mut stream = TcpStream::connect(master).await.context("connect to the master")?;
    let request = format!("GET /state HTTP/1.1\r\nHost: {master}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.context("ask for the state")?;
    let (mut buffer, mut total) = (vec![0; 256 << 10], 0);
    loop {
        let read = stream.read(&mut buffer).await.context("read the state")?;
        ensure!(total > 0 || buffer.starts_with(b"HTTP/1.1 200"), "the state is refused");
        if read == 0 {
            return Ok(total);
        }
        total += read;
    }
}
