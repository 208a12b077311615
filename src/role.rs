//! One role as a process: flags to config, then the role until a signal.

use std::fmt::Display;
use std::process::ExitCode;

use meros_plugin_api::Plugins;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use crate::{EXIT_FAILED, EXIT_NOT_STARTED, fail, file_limit, signal, telemetry};

/// Runs a role to its end. `B` is what it says once it is bound.
pub(crate) fn run<F, C, B, E>(
    flags: F,
    role: impl AsyncFnOnce(C, Plugins, CancellationToken, oneshot::Sender<B>) -> Result<(), E>,
) -> ExitCode
where
    C: TryFrom<F, Error: Display>,
    E: Display,
{
    telemetry::start(telemetry::ROLE);
    file_limit::raise();
    let config = match C::try_from(flags) {
        Ok(config) => config,
        Err(error) => return fail(EXIT_NOT_STARTED, error),
    };
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => return fail(EXIT_NOT_STARTED, error),
    };
    runtime.block_on(async {
        let shutdown = match signal::shutdown() {
            Ok(shutdown) => shutdown,
            Err(error) => return fail(EXIT_NOT_STARTED, error),
        };
        let (ready, mut bound) = oneshot::channel();
        match role(config, Plugins::default(), shutdown, ready).await {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) if bound.try_recv().is_ok() => fail(EXIT_FAILED, error),
            Err(error) => fail(EXIT_NOT_STARTED, error),
        }
    })
}

/// An agent: SIGTERM leaves its tasks to the next one, SIGUSR1 ends them and leaves the cluster.
pub(crate) async fn agent(
    mut config: meros_agent::Config,
    plugins: Plugins,
    shutdown: CancellationToken,
    ready: oneshot::Sender<meros_agent::Bound>,
) -> Result<(), String> {
    config.leave = signal::leave().map_err(|error| error.to_string())?;
    meros_agent::run(config, plugins, shutdown, ready).await.map_err(|error| error.to_string())
}
