//! What every handler has at hand, and the one way in which each asks the core.

use std::net::SocketAddr;
use std::sync::Arc;

use http::StatusCode;
use meros_marathon_core::deployment::DeploymentId;
use meros_marathon_core::input::{Input, KillMode, KillTargets, ReplyTo, RootChange};
use meros_marathon_core::output::{Answer, ChangeDone, ChangeError, KillDone};
use meros_marathon_core::path_id::PathId;
use meros_marathon_core::view::View;
use meros_proto::caller::Caller;
use meros_proto::time::Timestamp;
use meros_sdk::driver::Calls;
use meros_shell::clock::Clock;
use meros_shell::inbox::Refused;

use super::authorize::Gate;
use super::envelope::Envelope;
use super::errors::ApiError;
use super::http::Reply;
use super::model::reader::Faults;
use crate::config::Config;
use crate::core_client::CoreClient;
use crate::hub::Hub;
use crate::metrics::Metrics;

/// Shared by all handlers.
pub(crate) struct Api {
    /// The way to the core.
    pub(crate) core: CoreClient,
    /// The way to those who listen.
    pub(crate) hub: Hub,
    /// Who may do what.
    pub(crate) gate: Gate,
    /// What is counted.
    pub(crate) metrics: Arc<Metrics>,
    /// The calls to the master, for what is known of the leader.
    pub(crate) calls: Calls,
    /// How this Marathon was started.
    pub(crate) config: Arc<Config>,
    /// Where it listens.
    pub(crate) address: SocketAddr,
    /// Where it is reached: `host:port`.
    pub(crate) leader: String,
    /// What every answer gets.
    pub(crate) envelope: Envelope,
    /// The clock that stamps events.
    pub(crate) clock: Clock,
    /// When the role started.
    pub(crate) started: Timestamp,
}

impl Api {
    /// The present moment, for stamps.
    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now().wall
    }

    /// A snapshot of everything.
    ///
    /// # Errors
    /// 503 when the core is overloaded or stopping.
    pub(crate) async fn view(&self) -> Result<Arc<View>, ApiError> {
        match self.ask(|reply| Input::View { reply }).await? {
            Answer::View(view) => Ok(view),
            _ => Err(mixed_up()),
        }
    }

    /// Has the root changed. The outer error is the way there, the inner the core's refusal.
    ///
    /// # Errors
    /// 503 when the core is overloaded or stopping.
    pub(crate) async fn change(
        &self,
        caller: &Caller,
        force: bool,
        change: RootChange,
    ) -> Result<Result<ChangeDone, ChangeError>, ApiError> {
        let caller = caller.clone();
        let asked = self.ask(|reply| Input::Change { caller, reply, force, change }).await?;
        let Answer::Changed(result) = asked else { return Err(mixed_up()) };
        match &result {
            Ok(_) => self.metrics.deployments.add(1),
            Err(ChangeError::Locked(_) | ChangeError::TooManyDeployments(_)) => {
                self.metrics.deployments_dismissed.add(1);
            }
            Err(_) => {}
        }
        Ok(result)
    }

    /// Has tasks killed.
    ///
    /// # Errors
    /// As [`refused`], and 503 when the core is overloaded or stopping.
    pub(crate) async fn kill(
        &self,
        caller: &Caller,
        targets: KillTargets,
        mode: KillMode,
    ) -> Result<KillDone, ApiError> {
        let caller = caller.clone();
        match self.ask(|reply| Input::Kill { caller, reply, targets, mode }).await? {
            Answer::Killed(result) => result.map_err(refused),
            _ => Err(mixed_up()),
        }
    }

    /// Has a deployment reverted, or with `force` only stopped.
    ///
    /// # Errors
    /// As [`refused`], and 503 when the core is overloaded or stopping.
    pub(crate) async fn cancel_deployment(
        &self,
        caller: &Caller,
        id: DeploymentId,
        force: bool,
    ) -> Result<ChangeDone, ApiError> {
        let caller = caller.clone();
        match self.ask(|reply| Input::CancelDeployment { caller, reply, id, force }).await? {
            Answer::Changed(result) => result.map_err(refused),
            _ => Err(mixed_up()),
        }
    }

    /// Has an app's launches go on at once.
    ///
    /// # Errors
    /// As [`refused`], and 503 when the core is overloaded or stopping.
    pub(crate) async fn reset_delay(&self, caller: &Caller, app: PathId) -> Result<(), ApiError> {
        let caller = caller.clone();
        match self.ask(|reply| Input::ResetDelay { caller, reply, app }).await? {
            Answer::DelayReset(result) => result.map_err(refused),
            _ => Err(mixed_up()),
        }
    }

    async fn ask(&self, input: impl FnOnce(ReplyTo) -> Input) -> Result<Answer, ApiError> {
        self.core.ask(input).await.map_err(|refused| match refused {
            Refused::Full => ApiError::overloaded(),
            Refused::Stopped => ApiError::Message(
                StatusCode::SERVICE_UNAVAILABLE,
                "Marathon is shutting down.".to_owned(),
            ),
        })
    }
}

/// Reads an absolute id that a path names. One that breaks the rules names nothing.
///
/// # Errors
/// 404.
pub(crate) fn app_id(absolute: &str) -> Result<PathId, ApiError> {
    PathId::parse(absolute).map_err(|_| ApiError::no_app(absolute))
}

/// Renders what may be large on a thread that may take its time.
///
/// # Errors
/// As `render`.
pub(crate) async fn render(
    render: impl FnOnce() -> Result<Reply, ApiError> + Send + 'static,
) -> Result<Reply, ApiError> {
    match tokio::task::spawn_blocking(render).await {
        Ok(reply) => reply,
        Err(error) => Err(ApiError::Message(StatusCode::INTERNAL_SERVER_ERROR, error.to_string())),
    }
}

/// How the core's refusal of a change is answered.
pub(crate) fn refused(error: ChangeError) -> ApiError {
    let message = error.to_string();
    match error {
        ChangeError::AppNotFound(_)
        | ChangeError::DeploymentNotFound(_)
        | ChangeError::NotQueued(_) => ApiError::not_found(message),
        ChangeError::AppExists(_) | ChangeError::Raced(_) => {
            ApiError::Message(StatusCode::CONFLICT, message)
        }
        ChangeError::Locked(deployments) => {
            ApiError::Locked { deployments: deployments.iter().map(ToString::to_string).collect() }
        }
        ChangeError::TooManyDeployments(_) => ApiError::Message(StatusCode::FORBIDDEN, message),
        ChangeError::Invalid(violations) => {
            let mut faults = Faults::default();
            for violation in violations {
                faults.add(&violation.path, violation.message);
            }
            ApiError::NotValid(faults)
        }
    }
}

/// The core answered another question than was asked: our own bug, told instead of a panic.
fn mixed_up() -> ApiError {
    ApiError::Message(StatusCode::INTERNAL_SERVER_ERROR, "unexpected answer".to_owned())
}
