//! A task on this agent: what was asked for, and how far it has come.
//!
//! ```text
//!            accepted            Started
//! (nothing) ----------> Launching -------> Running
//!                           |   \            |
//!                      kill |    \ failed    | kill, time is up, framework gone, agent stops
//!                           v     \          v
//!                        Stopping  \      Stopping
//!                           |       \        |
//!                           +------> Ended <-+ exited     Ended is left once all was acknowledged.
//! ```

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use meros_proto::ids::{ContainerId, FrameworkId, TaskId};
use meros_proto::resources::Resources;
use meros_proto::time::Mono;

use crate::updates::Updates;

/// Names one task: task ids are unique within a framework only.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TaskKey {
    /// Whose task it is.
    pub framework: FrameworkId,
    /// Which of its tasks.
    pub task: TaskId,
}

impl fmt::Display for TaskKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of framework {}", self.task, self.framework)
    }
}

/// What the agent has to know of a framework to run its tasks.
#[derive(Debug, Clone, PartialEq)]
pub struct FrameworkSpec {
    /// Its id.
    pub id: FrameworkId,
    /// It is told DROPPED and GONE; others are told LOST.
    pub partition_aware: bool,
    /// It is told KILLING before a kill's end.
    pub killing_state: bool,
    /// The `mesos.v1.FrameworkInfo`, encoded, as it came.
    pub encoded: Bytes,
}

/// What was asked for: the parts of a `mesos.v1.TaskInfo` that the core decides on.
#[derive(Debug, Clone, PartialEq)]
pub struct TaskSpec {
    /// Its name.
    pub key: TaskKey,
    /// What it occupies in the books.
    pub resources: Resources,
    /// From SIGTERM to SIGKILL (Mesos: `KillPolicy.grace_period`, 3 s by default).
    pub kill_grace: Duration,
    /// It fails when it runs for longer.
    pub max_completion: Option<Duration>,
    /// What it asks for that this agent can't give; such a task is never started.
    pub problem: Option<String>,
    /// The TaskInfo, encoded, as it came.
    pub encoded: Bytes,
}

/// A task that is live, or whose end was not acknowledged yet.
#[derive(Debug)]
pub(crate) struct Task {
    pub(crate) spec: Arc<TaskSpec>,
    pub(crate) container: ContainerId,
    pub(crate) phase: Phase,
    pub(crate) updates: Updates,
    /// Its framework was removed: nothing more is reported.
    pub(crate) silent: bool,
}

#[derive(Debug, Clone, Copy)]
pub(crate) enum Phase {
    /// Its container was asked for.
    Launching,
    Running {
        pid: u32,
        complete_by: Option<Mono>,
    },
    /// Its container was told to end and hasn't yet.
    Stopping {
        why: Why,
        /// Whether it ran before: otherwise the kill overtook the start.
        pid: Option<u32>,
        since: Mono,
        kill_at: Mono,
    },
    /// Its container is gone, or there never was one.
    Ended,
}

/// Why a container is being ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Why {
    /// A kill was asked for, or the framework or the agent goes.
    Killed,
    /// It ran for longer than it may.
    TooLong,
}

impl Task {
    pub(crate) fn new(spec: Arc<TaskSpec>, container: ContainerId) -> Self {
        let updates = Updates::default();
        Self { spec, container, phase: Phase::Launching, updates, silent: false }
    }

    /// Whether a container is there or on its way.
    pub(crate) fn is_live(&self) -> bool {
        !matches!(self.phase, Phase::Ended)
    }

    pub(crate) fn pid(&self) -> Option<u32> {
        match self.phase {
            Phase::Running { pid, .. } => Some(pid),
            Phase::Stopping { pid, .. } => pid,
            Phase::Launching | Phase::Ended => None,
        }
    }
}
