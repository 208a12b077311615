//! A Marathon's life: open, recover, subscribe, serve, stop in order.

use std::future::Future;
use std::io;
use std::path::Path;
use std::sync::Arc;

use meros_marathon_core::output::Effect;
use meros_marathon_core::{Marathon, RecoverError};
use meros_plugin_api::Plugins;
use meros_proto::time::Now;
use meros_sdk::driver::{AddressError, Driver};
use meros_sdk::state::StateError;
use meros_shell::clock::Clock;
use meros_shell::inbox::Bounds;
use meros_shell::runner::Runner;
use meros_shell::server::{self, Bound, ListenError};
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;
use tracing::info;

use crate::api;
use crate::api::authorize::Gate;
use crate::api::desk::Api;
use crate::api::envelope::Envelope;
use crate::config::Config;
use crate::core_client::{CoreClient, Waiting};
use crate::hub::Hub;
use crate::metrics::Metrics;
use crate::probes::prober::{self, Limits, Prober, Question};
use crate::scheduler::{self, Caller, SchedulerError};
use crate::store::Rows;

/// Launches that could not be sent and wait to be told to the core.
const NOT_SENT_MAX: usize = 4_096;

/// Why a Marathon could not start, or ended by itself.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// It can't listen.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// The state can't be had.
    #[error(transparent)]
    State(#[from] StateError),
    /// The state makes no sense to this release.
    #[error("recover the state: {}", chain(.0))]
    Recover(RecoverError),
    /// A master's name isn't an address.
    #[error(transparent)]
    Master(#[from] AddressError),
    /// The operating system gave no thread.
    #[error("start a thread: {0}")]
    Thread(io::Error),
    /// Something could not be made durable. What was promised before is.
    #[error("write the state: {0}")]
    Persist(io::Error),
    /// The master doesn't want this framework any more.
    #[error(transparent)]
    Scheduler(#[from] SchedulerError),
}

/// An error and its causes in one line.
fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

/// Runs a Marathon until `shutdown`, or until it can't go on. Says where it listens on `ready`.
///
/// Stopping disconnects: the tasks run on, and the master waits for the failover time-out.
///
/// # Errors
/// See [`RunError`].
pub async fn run(
    config: Config,
    plugins: Plugins,
    shutdown: CancellationToken,
    ready: oneshot::Sender<Bound>,
) -> Result<(), RunError> {
    let (listener, Bound { address }) = server::listen(config.listen).await?;
    let leader = host_and_port(&config.hostname, address.port());
    let clock = Clock::start();
    let (rows, core) = recover(&config, clock.now()).await?;
    let config = Arc::new(config);
    let metrics = Arc::new(Metrics::default());
    let waiting = Arc::new(Waiting::default());
    // Its own: when the role fails by itself, its parts must end though nobody asked it to.
    let stopping = CancellationToken::new();

    let (hub, hub_task) = Hub::start(
        config.events_outstanding_max,
        Arc::clone(&metrics),
        move || clock.now().wall,
        stopping.clone(),
    );
    let hub_task = tokio::spawn(hub_task);

    let options = scheduler::options(&config, &core, &leader);
    let framework = options.framework.clone();
    let (calls, events) = Driver::start(options)?;
    let (not_sent, not_sent_inbox) = mpsc::channel(NOT_SENT_MAX);
    let caller = Caller { calls: calls.clone(), framework, not_sent };
    let (prober, asked) = Prober::new();
    let perform =
        performer(caller, Arc::clone(&waiting), hub.clone(), prober, Arc::clone(&metrics));
    let mut runner = Runner::spawn("marathon", core, Bounds::default(), rows, perform)
        .map_err(RunError::Thread)?;
    let limits = Limits::at_once(config.health_checks_at_once_max);
    let asking = prober::run(asked, runner.inbox(), limits, stopping.clone());
    let prober_task = tokio::spawn(asking);

    let api = Arc::new(Api {
        core: CoreClient::new(runner.inbox(), Arc::clone(&waiting)),
        hub,
        gate: Gate::new(plugins.authorizer),
        metrics: Arc::clone(&metrics),
        envelope: Envelope::new(&leader),
        calls: calls.clone(),
        config,
        address,
        leader,
        clock,
        started: clock.now().wall,
    });
    let server =
        tokio::spawn(server::serve(listener, warp::service(api::filter(api)), stopping.clone()));
    info!(%address, "listening");
    // Whoever started us may not want to know.
    let _ = ready.send(Bound { address });

    let listening =
        scheduler::listen(events, not_sent_inbox, calls.clone(), runner.inbox(), &metrics);
    let mut listening = std::pin::pin!(listening);
    let (mut listened, mut core_ended) = (false, false);
    let why = tokio::select! {
        () = shutdown.cancelled() => Ok(()),
        ended = runner.ended() => {
            core_ended = true;
            ended.map_err(RunError::Persist)
        }
        ended = &mut listening => {
            listened = true;
            ended.map_err(RunError::Scheduler)
        }
    };

    // Requests that are under way still need the core; the core's last calls still need the driver.
    stopping.cancel();
    if core_ended {
        waiting.dismiss_all();
    }
    let served = async {
        let _ = server.await;
        let _ = hub_task.await;
        let _ = prober_task.await;
    };
    if listened {
        served.await;
    } else {
        drain(served, &mut listening, &mut listened).await;
    }
    let stopped = if core_ended { Ok(()) } else { runner.stop().await };
    waiting.dismiss_all();
    calls.stop();
    if !listened {
        let _ = listening.await;
    }
    why.and(stopped.map_err(RunError::Persist))
}

/// Lets `work` end while events are still taken in, so that neither waits for the other.
async fn drain<T>(
    work: impl Future<Output = ()>,
    listening: &mut (impl Future<Output = T> + Unpin),
    listened: &mut bool,
) {
    let mut work = std::pin::pin!(work);
    tokio::select! {
        () = &mut work => return,
        _ = listening => *listened = true,
    }
    work.await;
}

/// What carries the core's effects out. Only queues.
fn performer(
    mut caller: Caller,
    waiting: Arc<Waiting>,
    hub: Hub,
    prober: Prober,
    metrics: Arc<Metrics>,
) -> impl FnMut(Effect) + Send {
    move |effect| match effect {
        Effect::Call(call) => {
            metrics.called(&call);
            caller.perform(call);
        }
        Effect::Reply { to, answer } => waiting.answer(to, answer),
        Effect::Publish(event) => hub.publish(event),
        Effect::Probe(probe) => prober.ask(Question::Health(probe)),
        Effect::ReadinessProbe(probe) => prober.ask(Question::Readiness(probe)),
    }
}

/// `host:port`, with IPv6 in brackets.
fn host_and_port(host: &str, port: u16) -> String {
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

/// Reads what an earlier run left, on a thread that may wait for the disk.
async fn recover(config: &Config, now: Now) -> Result<(Rows, Marathon), RunError> {
    let work_dir = config.work_dir.clone();
    let core = config.core.clone();
    let reading = tokio::task::spawn_blocking(move || recover_from(&work_dir, core, now));
    reading.await.map_err(|error| RunError::Thread(io::Error::other(error)))?
}

fn recover_from(
    work_dir: &Path,
    config: meros_marathon_core::Config,
    now: Now,
) -> Result<(Rows, Marathon), RunError> {
    let rows = Rows::open(work_dir)?;
    let stored = rows.all()?.into_iter().map(|row| (row.key, row.value.to_vec()));
    let (_, seed) = uuid::Uuid::new_v4().as_u64_pair();
    let core = Marathon::recover(config, seed, now, stored).map_err(RunError::Recover)?;
    Ok((rows, core))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ipv6_host_stands_in_brackets() {
        assert_eq!(host_and_port("::1", 80), "[::1]:80");
        assert_eq!(host_and_port("a", 80), "a:80");
    }
}
