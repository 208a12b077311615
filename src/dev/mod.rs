//! `meros dev`: a whole cluster in one process, on loopback, with apps deployed on it.
//!
//! Starts the roles ([`cluster`]), deploys the files that it was given through Marathon's own API,
//! shows how that goes ([`report`]), and ends everything that it started when it is told to stop.

mod cluster;
mod ports;
mod report;

use std::path::PathBuf;
use std::process::ExitCode;

use meros_sdk::http::Method;
use tokio_util::sync::CancellationToken;

use crate::ops::app::Definitions;
use crate::ops::deployment::{Follower, Progress};
use crate::ops::{Api, Failure};
use crate::{EXIT_FAILED, EXIT_NOT_STARTED, fail, file_limit, signal, telemetry};
use cluster::{Cluster, Plan};

/// What the cluster is made of.
#[derive(Debug, clap::Args)]
pub(crate) struct Flags {
    /// JSON files or folders of them: apps to deploy
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Number of agents
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u8).range(1..=64))]
    agents: u8,
    /// Folder to keep everything in: a second start on it finds the apps again [default: a
    /// temporary one, removed at the end]
    #[arg(long, value_name = "DIR")]
    work_dir: Option<PathBuf>,
    /// Port of the master [default: 5050, or the next that is free]
    #[arg(long, value_name = "PORT")]
    master_port: Option<u16>,
    /// Port of Marathon [default: 8080, or the next that is free]
    #[arg(long, value_name = "PORT")]
    marathon_port: Option<u16>,
}

/// Runs the cluster until a signal.
pub(crate) fn run(flags: Flags) -> ExitCode {
    telemetry::start(telemetry::DEV);
    file_limit::raise();
    let apps = match Definitions::read(&flags.files) {
        Ok(apps) => apps,
        Err(failure) => return fail(EXIT_NOT_STARTED, failure),
    };
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => return fail(EXIT_NOT_STARTED, error),
    };
    runtime.block_on(async {
        let (plan, shutdown) = match (Plan::of(flags), signal::shutdown()) {
            (Ok(plan), Ok(shutdown)) => (plan, shutdown),
            (Err(failure), _) => return fail(EXIT_NOT_STARTED, failure),
            (_, Err(error)) => return fail(EXIT_NOT_STARTED, error),
        };
        let mut cluster = match Cluster::start(&plan).await {
            Ok(cluster) => cluster,
            Err(failure) => return fail(EXIT_NOT_STARTED, failure),
        };
        let served = serve(&mut cluster, apps, &shutdown).await;
        println!("\nstopping: tasks are being ended");
        let stopped = cluster.stop().await;
        match served.and(stopped) {
            Ok(()) => {
                println!("stopped");
                ExitCode::SUCCESS
            }
            Err(failure) => fail(EXIT_FAILED, failure),
        }
    })
}

/// Deploys the apps, shows the cluster, and waits for the end.
async fn serve(
    cluster: &mut Cluster,
    apps: Definitions,
    shutdown: &CancellationToken,
) -> Result<(), Failure> {
    report::addresses(cluster);
    let marathon = Api::marathon(&cluster.marathon.to_string());
    if apps.is_empty() {
        report::how_to_submit(cluster);
    } else {
        tokio::select! {
            deployed = deploy(&marathon, apps) => deployed?,
            () = shutdown.cancelled() => return Ok(()),
            failure = cluster.failed() => return Err(failure),
        }
    }
    tokio::select! {
        () = shutdown.cancelled() => Ok(()),
        failure = cluster.failed() => Err(failure),
    }
}

async fn deploy(marathon: &Api, apps: Definitions) -> Result<(), Failure> {
    let ids = apps.ids();
    println!("deploying {}", ids.join(", "));
    let follower = Follower::start(marathon, Progress::Shown).await?;
    let answer = marathon.call(Method::PUT, "/v2/apps?force=true", Some(&apps.into_body())).await?;
    match answer["deploymentId"].as_str() {
        Some(id) => follower.follow(marathon, id).await?,
        None => return Err(Failure::new("Marathon named no deployment")),
    }
    report::instances(marathon, &ids).await
}
