//! What Marathon asks its shell for, and what it answers callers.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use meros_proto::ids::{AgentId, OfferId, TaskId};
use meros_proto::v1;

use crate::apps::AppSpec;
use crate::deployment::DeploymentId;
use crate::events::Event;
use crate::health::{Probe, ReadinessProbe};
use crate::input::ReplyTo;
use crate::instances::Instance;
use crate::path_id::PathId;
use crate::version::Version;
use crate::view::View;

/// What the shell is asked to do, once the records of the same batch are durable.
#[derive(Debug, Clone)]
pub enum Effect {
    /// A call to the master. Only asked for while connected.
    Call(Call),
    /// An answer to a waiting caller.
    Reply {
        /// Who waits.
        to: ReplyTo,
        /// The answer.
        answer: Answer,
    },
    /// An event for the event stream.
    Publish(Event),
    /// A question whether an instance works. Answered by
    /// [`Input::Probed`](crate::input::Input::Probed), exactly once.
    Probe(Probe),
    /// A question whether an instance is ready. Answered by
    /// [`Input::ReadinessProbed`](crate::input::Input::ReadinessProbed), exactly once.
    ReadinessProbe(ReadinessProbe),
}

/// A call to the master.
#[derive(Debug, Clone, PartialEq)]
pub enum Call {
    /// Launches tasks on an offer. What is left of it is refused for `refuse`.
    Accept {
        /// The offer.
        offer: OfferId,
        /// What is launched: at least one task.
        launches: Vec<Arc<v1::TaskInfo>>,
        /// How long the rest isn't wanted. `None`: Mesos's default.
        refuse: Option<Duration>,
    },
    /// Refuses offers.
    Decline {
        /// Which.
        offers: Vec<OfferId>,
        /// For how long. `None`: Mesos's default.
        refuse: Option<Duration>,
    },
    /// Ends a task.
    Kill {
        /// Which.
        task: TaskId,
        /// Where it runs, when that is known.
        agent: Option<AgentId>,
        /// From SIGTERM to SIGKILL, when the app says so.
        grace: Option<Duration>,
    },
    /// Says that a status was taken in.
    Acknowledge {
        /// The task.
        task: TaskId,
        /// Its agent.
        agent: AgentId,
        /// The status's id.
        uuid: Bytes,
    },
    /// Wants offers for these roles again, refused ones too.
    Revive {
        /// The roles; never empty.
        roles: Vec<String>,
    },
    /// Wants no offers for these roles.
    Suppress {
        /// The roles; never empty.
        roles: Vec<String>,
    },
    /// Subscribes to other roles than before: now, and whenever the connection is made again.
    ChangeRoles {
        /// All roles from now on.
        roles: Vec<String>,
        /// Those of them that want no offers.
        suppressed: Vec<String>,
    },
    /// Asks for the latest status of tasks; of all that the master knows when none is named.
    Reconcile {
        /// Tasks and where they are thought to be.
        tasks: Vec<(TaskId, Option<AgentId>)>,
    },
}

/// What a caller is told.
#[derive(Debug, Clone)]
pub enum Answer {
    /// To a change, or to the cancelling of a deployment.
    Changed(Result<ChangeDone, ChangeError>),
    /// To a kill.
    Killed(Result<KillDone, ChangeError>),
    /// To the resetting of a delay.
    DelayReset(Result<(), ChangeError>),
    /// To a look.
    View(Arc<View>),
}

/// A change that was taken, and is being deployed.
#[derive(Debug, Clone, PartialEq)]
pub struct ChangeDone {
    /// The root's version from now on.
    pub version: Version,
    /// The deployment that leads there.
    pub deployment: DeploymentId,
    /// The apps that were put, as they are now, in the order in which they were put.
    pub apps: Vec<PutDone>,
}

/// An app that was put.
#[derive(Debug, Clone, PartialEq)]
pub struct PutDone {
    /// The definition as it is now.
    pub spec: Arc<AppSpec>,
    /// Whether it is new.
    pub created: bool,
}

/// Kills that were taken.
#[derive(Debug, Clone, PartialEq)]
pub struct KillDone {
    /// The instances whose tasks are killed, as they were before.
    pub instances: Vec<Arc<Instance>>,
    /// The deployment that scales their apps down ([`KillMode::Scale`]).
    ///
    /// [`KillMode::Scale`]: crate::input::KillMode::Scale
    pub change: Option<ChangeDone>,
}

/// Why a change was refused. Nothing has changed then.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ChangeError {
    /// There is no such app.
    #[error("App '{0}' does not exist")]
    AppNotFound(PathId),
    /// There is such an app already.
    #[error("An app with id [{0}] already exists.")]
    AppExists(PathId),
    /// There is no such deployment.
    #[error("DeploymentPlan {0} does not exist")]
    DeploymentNotFound(DeploymentId),
    /// Nothing of the app waits to be launched.
    #[error("Application {0} not found in tasks queue.")]
    NotQueued(PathId),
    /// The app changed since it was read: read it again, and try again.
    #[error("app {0} was changed by somebody else meanwhile")]
    Raced(PathId),
    /// Deployments are changing the same apps.
    #[error(
        "App is locked by one or more deployments. Override with the option '?force=true'. View \
         details at '/v2/deployments/<DEPLOYMENT_ID>'."
    )]
    Locked(Vec<DeploymentId>),
    /// Too many deployments are running.
    #[error(
        "Max number ({0}) of running deployments is achieved. Wait for existing deployments to \
         complete or cancel one."
    )]
    TooManyDeployments(usize),
    /// The root would not be valid.
    #[error("Object is not valid")]
    Invalid(Vec<Violation>),
}

/// What is wrong with a root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// Where, as in `/dependencies`.
    pub path: String,
    /// What.
    pub message: String,
}
