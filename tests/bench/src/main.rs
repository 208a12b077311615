//! Benches, one file each, named as its subcommand.
//!
//! Each builds the release binary, starts roles as processes of their own on loopback, and prints
//! what it measured with the number of runs. Machines are noisy: quote ratios of one run.

mod cluster;
mod latency;
mod percentile;

use clap::{Parser, Subcommand};

#[derive(Debug, Parser)]
struct Cli {
    #[command(subcommand)]
    bench: Bench,
}

#[derive(Debug, Subcommand)]
enum Bench {
    /// ACCEPT sent to TASK_RUNNING at the framework, on an idle cluster
    Latency(latency::Flags),
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    match Cli::parse().bench {
        Bench::Latency(flags) => latency::run(flags).await,
    }
}
