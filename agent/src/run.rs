//! The agent from start to end: what is opened, in which order, and closed in the opposite one.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use meros_agent_core::{Agent, Input};
use meros_plugin_api::Plugins;
use meros_shell::clock::Clock;
use meros_shell::inbox::Bounds;
use meros_shell::log_file::OpenError;
use meros_shell::runner::Runner;
use meros_shell::server::{self, Bound, ListenError};
use meros_shell::work_dir::{WorkDir, WorkDirError};
use rand::SeedableRng;
use rand::rngs::StdRng;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::api::{self, Api};
use crate::config::{Config, ConfigError, OnShutdown};
use crate::containerizer::{Containerizer, ContainerizerConfig, StartError};
use crate::effects::{self, Performer};
use crate::executor::command::Terms;
use crate::health::{self, Looker};
use crate::host::{self, Host};
use crate::link::Link;
use crate::log::AgentLog;
use crate::resources;
use crate::simulate;
use crate::work_dir;

/// Of the shutdown grace so much is kept for the report of a task's end.
pub(crate) const REPORT: std::time::Duration = std::time::Duration::from_secs(1);

/// Why the agent could not start, or had to end. With [`RunError::Ended`] its tasks have ended too;
/// otherwise they run on without it for the recovery timeout.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// It can't listen.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// The work directory can't be used.
    #[error(transparent)]
    WorkDir(#[from] WorkDirError),
    /// The log can't be read.
    #[error("read the agent's log: {0}{hint}", hint = what_to_do(.0))]
    Log(#[from] OpenError),
    /// The log can't be written any more for want of space.
    #[error(
        "the disk that holds the agent's log is full, and what was set aside for that is used up; \
         the tasks run on for the recovery timeout: make room, and start the agent again"
    )]
    DiskFull,
    /// The log can't be written.
    #[error("write the agent's log: {0}")]
    Write(io::Error),
    /// A flag that could only be checked on the spot.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// Nothing can start containers.
    #[error("start the containerizer: {0}")]
    Containerizer(#[from] StartError),
    /// The agent ended its tasks and itself.
    #[error("{0}")]
    Ended(String),
}

/// Runs an agent, or a herd of hollow ones, until `shutdown` is cancelled, or it was told to leave and
/// all its tasks have ended.
///
/// `ready` is told once the agent listens; it may not be registered yet then.
///
/// # Errors
/// See [`RunError`].
pub async fn run(
    config: Config,
    plugins: Plugins,
    shutdown: CancellationToken,
    ready: oneshot::Sender<Bound>,
) -> Result<(), RunError> {
    if let Some(simulation) = config.simulation.clone() {
        return simulate::run(config, simulation, plugins, shutdown, ready).await;
    }
    let work_dir = work_dir::take(&config.work_dir)?;
    let (listener, bound) = server::listen(SocketAddr::new(config.ip, config.port)).await?;
    let host = Arc::new(describe(&config, &work_dir, bound.address).await?);
    let (log, records) = AgentLog::open(&work_dir.file(work_dir::LOG))?;

    let (containerizer, found, events) =
        Containerizer::start(containers(&config, &work_dir, bound.address)).await?;
    for notice in containerizer.isolation_notices() {
        warn!("{notice}");
    }
    let core_config = meros_agent_core::Config {
        shutdown_grace: config.shutdown_grace.saturating_sub(REPORT),
        ..meros_agent_core::Config::default()
    };
    let core = Agent::recover(core_config, seed(), records);

    // The core's inbox exists once it runs, and it runs once its effects can be carried out: the
    // link's task gets its way in afterwards.
    let (stopped, mut has_stopped) = oneshot::channel();
    let (failed, failures) = mpsc::unbounded_channel();
    let (link, link_handle) =
        Link::new(config.masters.clone(), Arc::clone(&host), StdRng::from_seed(seed()));
    let terms = Terms {
        environment: config.task_environment.clone(),
        overhead: config.overhead,
        shutdown_grace: config.shutdown_grace,
    };
    let (looker, looks) =
        Looker::new(Arc::clone(&host), terms.clone(), containerizer.clone(), failed.clone());
    let mut performer = Performer {
        host: Arc::clone(&host),
        terms,
        containerizer: containerizer.clone(),
        link: link_handle,
        looks: looks.clone(),
        failed,
        stopped: Some(stopped),
    };
    let room = log.watch_room();
    let started = Runner::spawn("agent", core, Bounds::default(), log, move |effect| {
        performer.perform(effect);
    });
    let mut runner = match started {
        Ok(runner) => runner,
        Err(error) => {
            containerizer.detach().await;
            return Err(RunError::Write(error));
        }
    };
    let inbox = runner.inbox();
    tokio::spawn(effects::follow_room(room, inbox.clone()));
    // The inbox is open: it was made a moment ago.
    let found = health::end_left_over(&containerizer, found);
    let found = found.into_iter().map(effects::found_of).collect();
    let _ = inbox.send(Input::Start { boot_id: host.boot_id.clone(), found }).await;

    let (link_done, api_done) = (CancellationToken::new(), CancellationToken::new());
    let looks_done = CancellationToken::new();
    let observer = tokio::spawn(effects::observe(events, failures, looks, inbox.clone()));
    let looker = tokio::spawn(looker.run(looks_done.clone()));
    let link = tokio::spawn(link.run(inbox.clone(), link_done.clone()));
    let api = Api::new(Arc::clone(&host), inbox.clone(), plugins);
    let api = tokio::spawn(api::serve(api, listener, api_done.clone()));
    info!(address = %bound.address, announced = %host.address, resources = %host.resources, "agent started");
    // Whoever asked to be told may have gone.
    let _ = ready.send(bound);

    let told = Told { keep: config.on_shutdown == OnShutdown::Keep, shutdown, leave: config.leave };
    let end = serve(&mut runner, &mut has_stopped, told).await;
    link_done.cancel();
    finished("link", link.await);
    let written = match end {
        // Its thread has ended.
        End::Failed(_) => Ok(()),
        // What waits in the inbox is recorded and carried out before the launcher is let go of.
        End::Kept | End::Stopped(_) => runner.stop().await.map_err(failed_write),
    };
    looks_done.cancel();
    finished("looker", looker.await);
    match end {
        End::Stopped(_) => containerizer.stop().await,
        End::Kept | End::Failed(_) => containerizer.detach().await,
    }
    drop(containerizer);
    finished("observer", observer.await);
    api_done.cancel();
    finished("api", api.await);
    drop(work_dir);
    match end {
        End::Stopped(outcome) => outcome.and(written),
        End::Failed(error) => Err(error),
        End::Kept => {
            info!("agent stopped; its tasks run on for the recovery timeout");
            written
        }
    }
}

/// What the agent may be told while it runs.
struct Told {
    /// Whether a shutdown leaves the tasks as they are.
    keep: bool,
    shutdown: CancellationToken,
    leave: CancellationToken,
}

/// How an agent's run is over.
enum End {
    /// All tasks have ended.
    Stopped(Result<(), RunError>),
    /// The tasks are to be left as they are.
    Kept,
    /// The core has ended, and nothing more is decided or recorded.
    Failed(RunError),
}

/// Waits for the end. An agent that leaves can still be shut down at once: what it asked its tasks is
/// on record, and the next one goes on asking.
async fn serve(
    runner: &mut Runner<Input>,
    has_stopped: &mut oneshot::Receiver<Result<(), String>>,
    told: Told,
) -> End {
    let inbox = runner.inbox();
    let mut leaving = false;
    loop {
        tokio::select! {
            ended = runner.ended() => return End::Failed(write_error(ended)),
            outcome = &mut *has_stopped => return match outcome {
                Ok(outcome) => End::Stopped(outcome.map_err(RunError::Ended)),
                // The gate went without a word: `ended` has the reason, and lost the race.
                Err(_) => End::Failed(write_error(runner.ended().await)),
            },
            () = told.shutdown.cancelled(), if told.keep => return End::Kept,
            () = told.shutdown.cancelled(), if !told.keep && !leaving => leaving = true,
            () = told.leave.cancelled(), if !leaving => leaving = true,
        }
        // Refused only when the core has stopped already, which is what is waited for.
        let _ = inbox.send(Input::Stop).await;
    }
}

pub(crate) async fn describe(
    config: &Config,
    work_dir: &WorkDir,
    bound: SocketAddr,
) -> Result<Host, RunError> {
    let total = config.total_of(&resources::detect(work_dir.path()))?;
    let (ip, masters) = (bound.ip(), config.masters.clone());
    let reachable = tokio::task::spawn_blocking(move || host::reachable_address(ip, &masters));
    let ip = reachable.await.unwrap_or(bound.ip());
    Ok(Host {
        number: 1,
        hostname: config.hostname.clone(),
        address: SocketAddr::new(ip, bound.port()),
        resources: total,
        attributes: config.attributes.clone(),
        work_dir: work_dir.path().to_owned(),
        boot_id: host::boot_id(),
        incarnation: uuid::Uuid::new_v4().to_string(),
        started: Clock::start().now().wall,
        flags: config.in_effect().into(),
    })
}

fn containers(config: &Config, work_dir: &WorkDir, bound: SocketAddr) -> ContainerizerConfig {
    ContainerizerConfig {
        launcher_args: config.launcher.args.clone(),
        recovery_timeout: config.recovery_timeout,
        cgroups: config.cgroups,
        cfs_quota: config.cfs_quota,
        ..ContainerizerConfig::new(
            work_dir.path().to_owned(),
            config.launcher.exe.clone(),
            format!("agent-{}", bound.port()),
        )
    }
}

/// Chance from the operating system, for the generators that the core and the link own.
pub(crate) fn seed() -> [u8; 32] {
    let halves = [uuid::Uuid::new_v4(), uuid::Uuid::new_v4()];
    let mut seed = [0; 32];
    seed[..16].copy_from_slice(halves[0].as_bytes());
    seed[16..].copy_from_slice(halves[1].as_bytes());
    seed
}

pub(crate) fn write_error(ended: io::Result<()>) -> RunError {
    failed_write(ended.err().unwrap_or_else(|| io::Error::other("the core ended unasked")))
}

fn failed_write(error: io::Error) -> RunError {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => RunError::DiskFull,
        _ => RunError::Write(error),
    }
}

/// What helps against a log that can't be read, where the log doesn't say so itself.
fn what_to_do(error: &OpenError) -> &'static str {
    match error {
        OpenError::Foreign { .. } => {
            "; name another --work-dir, or move the file away to start as a new agent"
        }
        OpenError::Record { .. } => {
            "; start the release that wrote it, or move the file away to start as a new agent \
             without the tasks of before"
        }
        OpenError::Corrupt { .. } | OpenError::Io { .. } => "",
    }
}

/// A task that panicked has been reported by the panic itself; what it did not close goes with it.
pub(crate) fn finished(name: &str, joined: Result<(), tokio::task::JoinError>) {
    if let Err(error) = joined {
        warn!(task = name, error = &error as &dyn std::error::Error, "a task of the agent failed");
    }
}
