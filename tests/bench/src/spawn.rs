//! Row 1: short tasks end to end, without isolation, against the bare starts of the same program.

use std::time::Duration;

use anyhow::Context;
use meros_proto::v1::TaskState;

use crate::client::{Scheduler, Shape, Workload};
use crate::cluster::Place;
use crate::limits::posix_spawn;
use crate::report::{Figure, Must, Report};

const PROGRAM: &str = "/bin/true";

/// How long the limit is measured, before each run and after it.
const LIMIT_FOR: Duration = Duration::from_millis(700);

/// How much is measured.
#[derive(Debug, clap::Args)]
pub(crate) struct Flags {
    /// Tasks in a run
    #[arg(long, default_value_t = 5_000, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    tasks: u32,
    /// Tasks that may be on their way at once: what the agent has room for
    #[arg(long, default_value_t = 500, value_parser = clap::value_parser!(u32).range(1..=50_000))]
    at_once: u32,
    /// Connections for the framework's calls
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..=64))]
    connections: u32,
    /// Runs, each with a fresh cluster
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=100))]
    runs: u32,
}

pub(crate) async fn run(flags: &Flags, place: &Place, report: &mut Report) -> anyhow::Result<()> {
    let (mut rates, mut limits) = (Vec::new(), Vec::new());
    for _ in 0..flags.runs {
        let before = posix_spawn::per_second(PROGRAM, LIMIT_FOR)?;
        rates.push(once(flags, place, report).await?);
        let after = posix_spawn::per_second(PROGRAM, LIMIT_FOR)?;
        limits.push(before.midpoint(after));
    }
    report.add(Figure {
        name: "tasks_per_s",
        unit: "1/s",
        runs: rates,
        limit: limits,
        must: Must::RatioAtLeast(0.45),
    });
    report.note(format!("limit: posix_spawn of {PROGRAM}, 2 threads"));
    Ok(())
}

/// Tasks a second, from the first ACCEPT to the last acknowledgement.
async fn once(flags: &Flags, place: &Place, report: &mut Report) -> anyhow::Result<f64> {
    let shape = Shape { cpus: 0.01, mem: 1.0, program: PROGRAM, arguments: &[], labels: 0 };
    let (at_once, connections) = (flags.at_once as usize, flags.connections as usize);
    let resources = format!("cpus:{};mem:{at_once}", f64::from(flags.at_once) * shape.cpus);
    let mut cluster = place.with_agent(&["--no-cgroups", "--resources", &resources]).await?;
    let mut scheduler = Scheduler::subscribe(cluster.address, "spawn", connections).await?;
    let workload = Workload {
        tasks: flags.tasks as usize,
        shape,
        per_accept: at_once,
        at_once,
        until: TaskState::TaskFinished,
    };
    let launcher = cluster.agents()?.launcher()?;
    let cpu = |cluster: &crate::cluster::Cluster| -> anyhow::Result<[Duration; 4]> {
        let agent = cluster.agents.as_ref().context("there is an agent")?.cpu_time()?;
        let master = cluster.master.cpu_time()?;
        let framework = crate::machine::cpu_time(std::process::id())?;
        Ok([master, agent, crate::machine::cpu_time(launcher)?, framework])
    };
    let before = cpu(&cluster)?;
    let outcome = scheduler.run(&workload).await?;
    let after = cpu(&cluster)?;
    let per_task =
        |index: usize| (after[index] - before[index]).as_secs_f64() * 1e6 / f64::from(flags.tasks);
    report.note(format!(
        "CPU a task: master {:.0} us, agent {:.0} us, launcher {:.0} us, framework {:.0} us",
        per_task(0),
        per_task(1),
        per_task(2),
        per_task(3),
    ));
    Ok(f64::from(flags.tasks) / (outcome.ended - outcome.began).as_secs_f64())
}
