//! Row 3: ACCEPT sent to TASK_RUNNING at the framework, one task at a time on an idle cluster,
//! against what the way would take with nothing on it.

use std::time::Duration;

use meros_proto::v1::TaskState;

use crate::client::{Scheduler, Shape, Workload};
use crate::cluster::Place;
use crate::limits::bare_path::BarePath;
use crate::report::{Figure, Must, Report};
use crate::statistics::{median, percentile};

/// How much is measured.
#[derive(Debug, clap::Args)]
pub(crate) struct Flags {
    /// Tasks in a run
    #[arg(long, default_value_t = 500, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    tasks: u32,
    /// Tasks before those, not counted
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(0..=10_000))]
    warm_up: u32,
    /// Runs, each with a fresh cluster
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=100))]
    runs: u32,
}

/// As long as an agent's resources are held back for more to come: a cluster is idle between two
/// tasks, so that its processors sleep, and those of the bare way have to as well.
const PAUSE: Duration = Duration::from_millis(5);

pub(crate) async fn run(flags: &Flags, place: &Place, report: &mut Report) -> anyhow::Result<()> {
    let (mut p50, mut p99, mut limit) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..flags.runs {
        let folder = place.folder()?;
        let mut bare = BarePath::new(folder.path())?;
        if !bare.isolates() {
            report.note("no cgroups can be made here: the limit is a start without them");
        }
        let mut ways = Vec::new();
        for number in 0..u64::from(flags.tasks) {
            tokio::time::sleep(PAUSE).await;
            ways.push(bare.once(number)? * 1e3);
        }
        let millis: Vec<f64> =
            once(flags, place).await?.iter().map(|time| time.as_secs_f64() * 1e3).collect();
        limit.push(median(&ways));
        p50.push(median(&millis));
        p99.push(percentile(&millis, 99));
        report.note(format!("p99 of the limit itself: {:.2} ms", percentile(&ways, 99)));
    }
    let figure = |name, runs, ratio| Figure {
        name,
        unit: "ms",
        runs,
        limit: limit.clone(),
        must: Must::RatioAtMost(ratio),
    };
    report.add(figure("accept_to_running_p50", p50, 2.0));
    report.add(figure("accept_to_running_p99", p99, 8.0));
    report.note("limit: p50 of a bare start in cgroups, 8 one-way messages, 2 synced writes");
    Ok(())
}

async fn once(flags: &Flags, place: &Place) -> anyhow::Result<Vec<Duration>> {
    let cluster = place.with_agent(&["--resources", "cpus:64;mem:65536"]).await?;
    let mut scheduler = Scheduler::subscribe(cluster.address, "latency", 1).await?;
    let shape = Shape { cpus: 0.1, mem: 32.0, program: "/bin/true", arguments: &[], labels: 0 };
    let workload = Workload {
        tasks: (flags.warm_up + flags.tasks) as usize,
        shape,
        per_accept: 1,
        at_once: 1,
        until: TaskState::TaskFinished,
    };
    let outcome = scheduler.run(&workload).await?;
    Ok(outcome.to_running.into_iter().skip(flags.warm_up as usize).collect())
}
