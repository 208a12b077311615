//! Everything that can make Marathon move.

use std::sync::Arc;

use meros_proto::caller::Caller;
use meros_proto::ids::{FrameworkId, OfferId, TaskId};

use crate::apps::AppSpec;
use crate::deployment::DeploymentId;
use crate::health::{ProbeId, ProbeOutcome, ReadinessOutcome};
use crate::instances::status::TaskUpdate;
use crate::offers::Offer;
use crate::path_id::PathId;
use crate::version::Version;

/// Names a waiting caller. Chosen by the shell, given back with the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ReplyTo(pub u64);

/// What Marathon is told.
#[derive(Debug, Clone)]
pub enum Input {
    /// A user wants something else to run.
    Change {
        /// Who asks.
        caller: Caller,
        /// Who waits for [`Answer::Changed`](crate::output::Answer::Changed).
        reply: ReplyTo,
        /// Whether deployments in the way are cancelled.
        force: bool,
        /// What is wanted.
        change: RootChange,
    },
    /// A user wants tasks to end.
    Kill {
        /// Who asks.
        caller: Caller,
        /// Who waits for [`Answer::Killed`](crate::output::Answer::Killed).
        reply: ReplyTo,
        /// Which.
        targets: KillTargets,
        /// What becomes of their instances.
        mode: KillMode,
    },
    /// A user wants a deployment to end.
    CancelDeployment {
        /// Who asks.
        caller: Caller,
        /// Who waits for [`Answer::Changed`](crate::output::Answer::Changed): the reverting
        /// deployment, or with `force` the cancelled one.
        reply: ReplyTo,
        /// Which.
        id: DeploymentId,
        /// Whether it is only stopped. Otherwise what it changed is changed back.
        force: bool,
    },
    /// A user wants an app's instances to be launched without further delay.
    ResetDelay {
        /// Who asks.
        caller: Caller,
        /// Who waits for [`Answer::DelayReset`](crate::output::Answer::DelayReset).
        reply: ReplyTo,
        /// The app.
        app: PathId,
    },
    /// Somebody wants to look.
    View {
        /// Who waits for [`Answer::View`](crate::output::Answer::View).
        reply: ReplyTo,
    },
    /// The master took the subscription.
    Registered {
        /// The id that it goes by.
        framework: FrameworkId,
        /// The master's host name.
        master: String,
        /// The master's region, where it has one: agents of others are remote.
        region: Option<String>,
    },
    /// The connection to the master is gone.
    Disconnected,
    /// Resources to be had. Read from the wire by [`Offer::parse`].
    Offers(Vec<Offer>),
    /// An offer that is no longer to be had.
    Rescinded(OfferId),
    /// How a probe went ([`Effect::Probe`](crate::output::Effect::Probe)).
    Probed {
        /// Which.
        id: ProbeId,
        /// How.
        outcome: ProbeOutcome,
    },
    /// How a readiness probe went
    /// ([`Effect::ReadinessProbe`](crate::output::Effect::ReadinessProbe)).
    ReadinessProbed {
        /// Which.
        id: ProbeId,
        /// How.
        outcome: ReadinessOutcome,
    },
    /// News of a task. Read from the wire by [`TaskUpdate::parse`].
    Status(TaskUpdate),
}

/// A change of what runs. Whole: it leads to an exact root, whatever the root was.
#[derive(Debug, Clone)]
pub enum RootChange {
    /// Apps are created or replaced, all of them or none.
    PutApps(Vec<PutApp>),
    /// An app goes.
    DeleteApp(PathId),
    /// An app gets another number of instances.
    ScaleApp {
        /// The app.
        app: PathId,
        /// How many instances it is to have.
        instances: u32,
    },
    /// All instances of an app are replaced by like ones.
    RestartApp(PathId),
}

/// An app to be created or replaced.
#[derive(Debug, Clone)]
pub struct PutApp {
    /// The whole definition. Its version stamps are ignored.
    pub spec: Arc<AppSpec>,
    /// What is true of the app before, or the change is refused.
    pub expect: Expect,
}

/// What a caller takes to be true of an app that it changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expect {
    /// Nothing: it is created or replaced.
    Any,
    /// It doesn't exist. Otherwise [`ChangeError::AppExists`](crate::output::ChangeError).
    Absent,
    /// It exists. Otherwise [`ChangeError::AppNotFound`](crate::output::ChangeError).
    Present,
    /// It has this version: the definition was made by changing that one. Otherwise
    /// [`ChangeError::Raced`](crate::output::ChangeError): read again, and try again.
    Version(Version),
}

/// Tasks to be killed.
#[derive(Debug, Clone)]
pub enum KillTargets {
    /// These. Unknown ones are skipped.
    Tasks(Vec<TaskId>),
    /// Those of an app; only on one host, where one is named. An unknown app is refused.
    App {
        /// The app.
        app: PathId,
        /// The agent's host name. `None`: on all hosts.
        host: Option<String>,
    },
}

/// What becomes of instances whose tasks are killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KillMode {
    /// They are launched again.
    Relaunch,
    /// They go, and others take their place.
    Wipe,
    /// They go, and their apps are scaled down by as many, in one deployment.
    Scale {
        /// Whether deployments in the way are cancelled.
        force: bool,
    },
}
