//! What the core asks for. The shell carries it out in order, after the records before it are durable.

use std::sync::Arc;
use std::time::Duration;

use meros_proto::ids::{AgentId, ContainerId};
use meros_proto::v1::TaskState;

use crate::checks::Probe;
use crate::input::Reply;
use crate::status::Update;
use crate::task::{FrameworkSpec, TaskKey, TaskSpec};
use crate::view::View;

/// What the shell is asked to do.
#[derive(Debug)]
pub enum Effect {
    /// Send over the stream `session`; dropped when that stream is gone.
    ToMaster {
        /// The stream that it is for.
        session: u64,
        /// What to send.
        message: ToMaster,
    },
    /// Give up the stream `session` and connect again.
    Disconnect {
        /// The stream.
        session: u64,
        /// Why, for the log.
        reason: String,
    },
    /// Start a container.
    Launch(Launch),
    /// End a container: ask it to (SIGTERM), and end it (SIGKILL) after `grace`.
    Kill {
        /// Which.
        container: ContainerId,
        /// How long it is asked. A second kill may shorten what is left, never lengthen it.
        grace: Duration,
    },
    /// Look at a running task, and say what was seen by [`Input::Checked`](crate::Input::Checked).
    Check(Probe),
    /// The end of a container is on record, or was never asked for: nothing of it need be kept.
    Forget(ContainerId),
    /// Answer a question.
    Reply(Reply, View),
    /// Write to the log.
    Log(Level, String),
    /// All is ended: let the process go, with an error when it had to.
    Stopped(Result<(), String>),
}

/// How much a person should care.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// The state changed.
    Info,
    /// Something went wrong, and the agent went on.
    Warn,
}

/// What the agent says to the master.
#[derive(Debug, Clone, PartialEq)]
pub enum ToMaster {
    /// Who it is and what it holds.
    Register(Registration),
    /// News of a task.
    Update(StatusUpdate),
    /// It is alive.
    Pong {
        /// As in the ping.
        sequence: u64,
    },
    /// It leaves for good.
    Unregister {
        /// Why.
        reason: String,
    },
}

/// All that the agent holds. The shell adds what it knows of the host.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Registration {
    /// The id from an earlier registration.
    pub agent: Option<AgentId>,
    /// Tasks that are live or whose end isn't acknowledged.
    pub tasks: Vec<TaskReport>,
    /// The frameworks of those.
    pub frameworks: Vec<Arc<FrameworkSpec>>,
}

/// A task as it stands.
#[derive(Debug, Clone, PartialEq)]
pub struct TaskReport {
    /// What was asked for.
    pub spec: Arc<TaskSpec>,
    /// Where it runs.
    pub container: ContainerId,
    /// What was said of it last; `None` while it is staging.
    pub latest: Option<Arc<Update>>,
}

/// The head of a task's updates.
#[derive(Debug, Clone, PartialEq)]
pub struct StatusUpdate {
    /// This agent.
    pub agent: AgentId,
    /// The task.
    pub task: TaskKey,
    /// Where it runs.
    pub container: ContainerId,
    /// What is said.
    pub update: Arc<Update>,
    /// The latest state, which may be ahead of `update`.
    pub latest: TaskState,
}

/// A container that is to be started.
#[derive(Debug, Clone, PartialEq)]
pub struct Launch {
    /// Its id, never used before.
    pub container: ContainerId,
    /// The agent, whose id is part of the sandbox's path.
    pub agent: AgentId,
    /// What to run.
    pub task: Arc<TaskSpec>,
    /// For whom.
    pub framework: Arc<FrameworkSpec>,
}
