//! A master from its start to its orderly stop.

use std::io;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use meros_master_core::Master;
use meros_plugin_api::Plugins;
use meros_proto::ids::MasterId;
use meros_proto::link::agent_link_server::AgentLinkServer;
use meros_shell::clock::Clock;
use meros_shell::inbox::Bounds;
use meros_shell::runner::Runner;
use meros_shell::server::{self, Bound, ListenError};
use meros_shell::work_dir::{WorkDir, WorkDirError};
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tonic::service::Routes;
use tracing::info;

use crate::agents::Links;
use crate::api::views::{Source, Views};
use crate::api::{self, Api, Authorization};
use crate::config::Config;
use crate::identity::Identity;
use crate::log::{LocalLog, LogError};
use crate::metrics::Counters;
use crate::outlets::Outlets;

/// The largest message of an agent: a registration with tens of thousands of tasks.
const LINK_MESSAGE_BYTES_MAX: usize = 256 << 20;

/// Why a master could not start, or had to stop. Each is one line for the operator.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// Its work directory can't be used.
    #[error(transparent)]
    WorkDir(#[from] WorkDirError),
    /// It can't listen.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// The registry can't be read.
    #[error("cannot open the registry: {0}")]
    Registry(#[from] LogError),
    /// The system gave no thread.
    #[error("cannot start a thread: {0}")]
    Thread(io::Error),
    /// The registry couldn't be written any more: a restart recovers what was.
    #[error("the registry failed: {0}")]
    Failed(io::Error),
}

/// Runs a master until `shutdown`, or until its registry fails.
///
/// Tells `ready` where it listens. Can be run any number of times in one process.
///
/// # Errors
/// See [`RunError`].
pub async fn run(
    config: Config,
    plugins: Plugins,
    shutdown: CancellationToken,
    ready: oneshot::Sender<Bound>,
) -> Result<(), RunError> {
    let work_dir = WorkDir::take(&config.work_dir)?;
    let (log, registry) = LocalLog::open(&work_dir.file("registry.log"))?;
    let (listener, bound) = server::listen(config.listen).await?;

    let now = Clock::start().now();
    let id = MasterId::parse(&uuid::Uuid::new_v4().to_string()).expect("a UUID is a valid id");
    let identity = Arc::new(Identity::new(id.clone(), &config, bound.address.port(), now.wall));
    let counters = Arc::new(Counters::new());
    let outlets = Arc::new(Outlets::new(Arc::clone(&counters)));
    let (seed, _) = uuid::Uuid::new_v4().as_u64_pair();
    let core = Master::new(now, core_config(id, &config), seed, registry);
    let performing = Arc::clone(&outlets);
    let mut runner = Runner::spawn("master", core, Bounds::default(), log, move |effect| {
        performing.perform(effect);
    })
    .map_err(RunError::Thread)?;

    let authorization = Authorization::new(plugins.authorizer);
    let (views, rendering) = Views::start(Source {
        inbox: runner.inbox(),
        outlets: Arc::clone(&outlets),
        identity: Arc::clone(&identity),
        authorization: authorization.clone(),
        counters: Arc::clone(&counters),
        state_bytes: AtomicUsize::new(0),
    })
    .map_err(RunError::Thread)?;
    let tasks = TaskTracker::new();
    let api = Arc::new(Api {
        identity: Arc::clone(&identity),
        inbox: runner.inbox(),
        outlets: Arc::clone(&outlets),
        authorization,
        counters,
        views,
        tasks: tasks.clone(),
    });
    let links = AgentLinkServer::new(Links::new(Arc::clone(&api)))
        .max_decoding_message_size(LINK_MESSAGE_BYTES_MAX);
    let stop_serving = CancellationToken::new();
    let serving = tokio::spawn(crate::server::serve(
        listener,
        api::filter(api),
        Routes::new(links).prepare(),
        stop_serving.clone(),
    ));
    info!(address = %bound.address, id = %identity.id, "the master is up");
    // Whoever started us may not care.
    let _ = ready.send(bound);

    let failure = tokio::select! {
        () = shutdown.cancelled() => None,
        ended = runner.ended() => Some(ended),
    };
    info!("the master stops");
    // The core first: streams that end now are not to look like frameworks that left.
    let ended = match failure {
        None => runner.stop().await,
        Some(ended) => ended,
    };
    outlets.close_all();
    stop_serving.cancel();
    serving.await.expect("the server does not panic");
    tasks.close();
    tasks.wait().await;
    // The last handle on the views went with the server.
    tokio::task::spawn_blocking(move || rendering.join())
        .await
        .expect("waiting does not panic")
        .expect("rendering does not panic");
    drop(work_dir);
    ended.map_err(RunError::Failed)
}

fn core_config(id: MasterId, config: &Config) -> meros_master_core::Config {
    meros_master_core::Config {
        allocation_interval: config.allocation_interval,
        offer_timeout: config.offer_timeout,
        ping_interval: config.agent_ping_timeout,
        ping_timeouts: config.max_agent_ping_timeouts,
        agent_reregister_timeout: config.agent_reregister_timeout,
        registry_gc_interval: config.registry_gc_interval,
        registry_max_agent_age: config.registry_max_agent_age,
        registry_max_agent_count: config.registry_max_agent_count,
        ..meros_master_core::Config::new(id)
    }
}
