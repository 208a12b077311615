//! The verbs of users and operators. Each is one file, and talks HTTP to the roles.

mod agents;
mod api;
pub(crate) mod app;
pub(crate) mod deployment;
mod events;
mod frameworks;
mod listing;
mod logs;
mod status;
pub(crate) mod table;
mod tasks;

use std::process::ExitCode;

use clap::Subcommand;

pub(crate) use api::{Api, Failure};
use listing::Listing;

use crate::EXIT_FAILED;

/// Where the roles are.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Cluster {
    /// The master
    #[arg(long, env = "MEROS_MASTER", value_name = "HOST:PORT", default_value = "127.0.0.1:5050")]
    pub(crate) master: String,
    /// Marathon
    #[arg(
        long,
        env = "MEROS_MARATHON",
        value_name = "HOST:PORT",
        default_value = "127.0.0.1:8080"
    )]
    pub(crate) marathon: String,
}

/// How an answer is shown.
#[derive(Debug, Clone, Copy, clap::Args)]
pub(crate) struct Format {
    /// Print JSON, for scripts
    #[arg(long)]
    pub(crate) json: bool,
}

/// What can be asked of a running cluster.
#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Deploy, list, show, scale, restart or remove apps
    App(app::Flags),
    /// List tasks
    Tasks(tasks::Flags),
    /// List agents
    Agents(Listing),
    /// List frameworks
    Frameworks(Listing),
    /// Show how the cluster is
    Status(Listing),
    /// Print what a task wrote
    Logs(logs::Flags),
}

/// Carries out a verb.
pub(crate) fn run(verb: Verb) -> ExitCode {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return crate::fail(EXIT_FAILED, error),
    };
    let done = runtime.block_on(async {
        match verb {
            Verb::App(flags) => app::run(flags).await,
            Verb::Tasks(flags) => tasks::run(flags).await,
            Verb::Agents(flags) => agents::run(flags).await,
            Verb::Frameworks(flags) => frameworks::run(flags).await,
            Verb::Status(flags) => status::run(flags).await,
            Verb::Logs(flags) => logs::run(flags).await,
        }
    });
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => crate::fail(EXIT_FAILED, failure),
    }
}

/// Prints an answer as it came, indented.
pub(crate) fn print_json(value: &serde_json::Value) {
    println!("{value:#}");
}

/// A number as people write it: no fraction where there is none.
pub(crate) fn number(value: f64) -> String {
    let text = format!("{value:.3}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}
