//! Everything that can make the agent's core move.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use meros_proto::caller::Caller;
use meros_proto::ids::{AgentId, ContainerId, FrameworkId};

use crate::checks::{Answer, ProbeId};
use crate::exit::Exit;
use crate::task::{FrameworkSpec, TaskKey, TaskSpec};
use crate::view::View;

/// What the core is told.
#[derive(Debug)]
pub enum Input {
    /// What is left of the containers of an earlier life. The first input, once.
    Start {
        /// Changes with each boot of the host, which no container outlives.
        boot_id: String,
        /// What runs, and what ended and was not forgotten. What isn't among these is gone.
        found: Vec<(ContainerId, Found)>,
    },
    /// A stream to a master is open. Sessions count up; what comes under an old one is ignored.
    LinkUp {
        /// Names the stream.
        session: u64,
    },
    /// The stream is gone.
    LinkDown {
        /// Names the stream.
        session: u64,
    },
    /// The master said something.
    FromMaster {
        /// The stream that it came over.
        session: u64,
        /// What it said.
        message: FromMaster,
    },
    /// Something happened to a container.
    Container(ContainerId, ContainerEvent),
    /// A task was looked at, as [`Effect::Check`](crate::Effect::Check) asked for.
    Checked {
        /// Which look.
        probe: ProbeId,
        /// What was seen.
        answer: Answer,
    },
    /// Containers can be neither started nor watched any more.
    LauncherLost {
        /// What is known of it.
        reason: String,
    },
    /// How much room the log has, when that has changed.
    Disk(Room),
    /// End all tasks, say goodbye, and stop.
    Stop,
    /// Somebody asks for the state.
    View {
        /// Who.
        caller: Caller,
        /// Where the answer goes.
        reply: Reply,
    },
}

/// What the master says.
#[derive(Debug, Clone)]
pub enum FromMaster {
    /// The agent is part of the cluster.
    Registered {
        /// Under this id.
        agent: AgentId,
        /// The master's id.
        master: String,
        /// The agent connects again after so long without a word.
        silence: Duration,
        /// Frameworks that were removed meanwhile.
        removed: Vec<FrameworkId>,
    },
    /// The agent may not take part.
    Refused {
        /// Why.
        reason: String,
        /// Not to come back.
        is_final: bool,
    },
    /// Run a task.
    Run {
        /// For whom.
        framework: FrameworkSpec,
        /// What.
        task: TaskSpec,
    },
    /// End a task.
    Kill {
        /// Which.
        task: TaskKey,
        /// In place of the task's own grace.
        grace: Option<Duration>,
    },
    /// An update was heard.
    Acknowledge {
        /// Of which task.
        task: TaskKey,
        /// Which; 16 bytes when it is one of ours.
        uuid: Bytes,
    },
    /// Are you there?
    Ping {
        /// To be sent back.
        sequence: u64,
    },
    /// A framework changed.
    UpdateFramework(FrameworkSpec),
    /// A framework is gone: end its tasks, and report nothing.
    ShutdownFramework(FrameworkId),
}

/// What happens to a container.
#[derive(Debug, Clone, PartialEq)]
pub enum ContainerEvent {
    /// It runs.
    Started {
        /// Its first process.
        pid: u32,
    },
    /// It could not be started, and nothing of it is left.
    LaunchFailed {
        /// Why.
        message: String,
    },
    /// It ended, with all its processes.
    Exited {
        /// How its first process ended.
        exit: Exit,
        /// The limit that ended it, if one did.
        overrun: Option<Overrun>,
    },
}

/// What became of a container while no agent was there.
#[derive(Debug, Clone, PartialEq)]
pub enum Found {
    /// It runs: its end will come as [`ContainerEvent::Exited`].
    Running {
        /// Its first process.
        pid: u32,
    },
    /// As [`ContainerEvent::Exited`].
    Exited {
        /// How its first process ended.
        exit: Exit,
        /// The limit that ended it, if one did.
        overrun: Option<Overrun>,
    },
    /// As [`ContainerEvent::LaunchFailed`].
    LaunchFailed {
        /// Why.
        message: String,
    },
}

/// Whether the log can grow.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Room {
    /// It can.
    #[default]
    Plenty,
    /// The disk is full: what was set aside is left for the ends of what runs.
    Reserve,
}

/// A container took more than it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Overrun {
    /// Of memory: the kernel killed a process of it.
    Memory {
        /// The most that it held at once, where that was counted.
        peak_bytes: Option<u64>,
    },
}

/// Where the answer to a question goes: opaque to the core, which hands it back with the answer.
pub struct Reply(Box<dyn FnOnce(View) + Send>);

impl Reply {
    /// An answer that `take` takes. It must not block.
    pub fn new(take: impl FnOnce(View) + Send + 'static) -> Self {
        Self(Box::new(take))
    }

    /// Hands the answer over. For the shell.
    pub fn send(self, view: View) {
        (self.0)(view);
    }
}

impl fmt::Debug for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Reply")
    }
}
