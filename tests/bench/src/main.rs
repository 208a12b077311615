//! Benches, one file each, named as its subcommand.
//!
//! Each builds the release binary, starts roles as processes of their own on loopback, and prints
//! what it measured as a ratio to a limit that it measured in the same run: machines are noisy, so
//! only ratios of one run mean the same elsewhere. [`client`] is what stands in for frameworks,
//! [`limits`] what the kernel and the disk allow, [`report`] what is printed.

mod latency;
mod launch;
mod memory;
mod spawn;
mod state;

mod binary;
mod cluster;
mod machine;
mod role;

mod client;
mod limits;

mod report;
mod statistics;

use std::path::PathBuf;

use clap::{Parser, Subcommand};

use crate::cluster::Place;
use crate::report::Report;

#[derive(Debug, Parser)]
struct Cli {
    #[command(subcommand)]
    bench: Bench,
    /// Print a line of JSON for each figure as well
    #[arg(long, global = true)]
    json: bool,
    /// Wait up to five minutes for the machine to be idle by so many per cent
    #[arg(long, global = true, value_name = "PERCENT")]
    quiet: Option<f64>,
    /// Where the roles keep their logs and sandboxes [default: the system's folder for temporary files]
    #[arg(long, global = true, value_name = "DIR")]
    work_dir: Option<PathBuf>,
    /// Measure this binary, and build none
    #[arg(long, global = true, value_name = "FILE")]
    binary: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum Bench {
    /// Short tasks end to end on a real agent, without isolation
    Spawn(spawn::Flags),
    /// Tasks of many frameworks to acknowledged TASK_RUNNING on hollow agents
    Launch(launch::Flags),
    /// ACCEPT sent to TASK_RUNNING at the framework, on an idle cluster
    Latency(latency::Flags),
    /// GET /state of a large cluster, and what it does to schedulers' calls
    State(state::Flags),
    /// What the master, an agent and the launcher keep in memory
    Memory(memory::Flags),
}

impl Bench {
    fn name(&self) -> &'static str {
        match self {
            Self::Spawn(_) => "spawn",
            Self::Launch(_) => "launch",
            Self::Latency(_) => "latency",
            Self::State(_) => "state",
            Self::Memory(_) => "memory",
        }
    }
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let cli = Cli::parse();
    machine::raise_file_limit();
    let binary = cli.binary.map_or_else(binary::build, Ok)?;
    if let Some(percent) = cli.quiet {
        machine::wait_until_idle(percent / 100.0).await?;
    }
    let mut report = Report::begin(cli.bench.name()).await?;
    let place = Place::new(binary, cli.work_dir.as_deref())?;
    match cli.bench {
        Bench::Spawn(flags) => spawn::run(&flags, &place, &mut report).await?,
        Bench::Launch(flags) => launch::run(&flags, &place, &mut report).await?,
        Bench::Latency(flags) => latency::run(&flags, &place, &mut report).await?,
        Bench::State(flags) => state::run(&flags, &place, &mut report).await?,
        Bench::Memory(flags) => memory::run(&flags, &place, &mut report).await?,
    }
    report.print(cli.json);
    Ok(())
}
