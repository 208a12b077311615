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
use meros_proto::time::{Mono, Now, Timestamp};
use meros_proto::v1::TaskState;

use crate::checks::Terms;
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
    /// What is looked at while it runs, if anything is.
    pub checks: Option<Box<Terms>>,
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
    /// Whether the log knows it. A task that came while the disk was full is not written down: it
    /// was turned away at once, and losing it loses an answer that the master can give as well.
    pub(crate) recorded: bool,
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
        stop: Stop,
        /// Of its first process, once it runs.
        pid: Option<u32>,
        /// When it was asked for, and when it will be enforced; after a replay only once the agent
        /// has started, since no such clock outlives a process.
        since: Mono,
        kill_at: Mono,
    },
    /// Its container is gone, or there never was one.
    Ended,
}

/// That a container is to end, in words that outlive the agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stop {
    /// Why.
    pub why: Why,
    /// When it was first asked for.
    pub since: Timestamp,
    /// How long it is asked before it is made to.
    pub grace: Duration,
}

/// Why a container is being ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// A kill was asked for, or the framework or the agent goes.
    Killed,
    /// It ran for longer than it may.
    TooLong,
    /// Its health check failed too often.
    Unhealthy,
}

impl Task {
    pub(crate) fn new(spec: Arc<TaskSpec>, container: ContainerId) -> Self {
        let updates = Updates::default();
        Self { spec, container, phase: Phase::Launching, updates, silent: false, recorded: true }
    }

    /// Whether a container is there or on its way.
    pub(crate) fn is_live(&self) -> bool {
        !matches!(self.phase, Phase::Ended)
    }

    /// Whether its container is known to have run, in this life of the agent or an earlier one.
    pub(crate) fn has_run(&self) -> bool {
        self.pid().is_some() || self.updates.has_said(TaskState::TaskRunning)
    }

    pub(crate) fn pid(&self) -> Option<u32> {
        match self.phase {
            Phase::Running { pid, .. } => Some(pid),
            Phase::Stopping { pid, .. } => pid,
            Phase::Launching | Phase::Ended => None,
        }
    }
}

impl Stop {
    /// What is left of the grace. A wall clock that was set back makes it longer, up to the whole.
    pub(crate) fn left(&self, now: Now) -> Duration {
        self.grace.saturating_sub(passed(self.since, now))
    }
}

/// How long ago `since` was by the wall clock, the only one that goes on between two lives.
pub(crate) fn passed(since: Timestamp, now: Now) -> Duration {
    Duration::from_nanos(now.wall.as_nanos().saturating_sub(since.as_nanos()))
}
