//! What a containerizer reports.

use meros_proto::ids::ContainerId;

/// What became of a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ContainerEvent {
    /// The command was executed: its process exists.
    Started {
        /// Which container.
        container: ContainerId,
        /// The main process, which leads its own session and process group.
        pid: i32,
    },
    /// The command was not executed. Nothing of the container is left but its sandbox.
    LaunchFailed {
        /// Which container.
        container: ContainerId,
        /// For the user, such as `exec /nope: No such file or directory`. A kill that overtook
        /// the start is reported so too.
        message: String,
    },
    /// The main process ended, and so did every process of its tree.
    Exited {
        /// Which container.
        container: ContainerId,
        /// How the main process ended.
        status: WaitStatus,
        /// Whether a process of the container was killed for memory: reason
        /// `CONTAINER_LIMITATION_MEMORY`.
        oom: bool,
        /// The most memory that the container used at once, where a cgroup counted it.
        mem_peak_bytes: Option<u64>,
    },
    /// The launcher process died, and no other could be started in its place. What it ran was ended
    /// as far as it could be found; no further event follows, and nothing can be launched any more.
    LauncherLost,
}

/// What outlived an agent's earlier life, or ended while no agent was there.
///
/// Whatever is not among these is gone without a trace: it was never started, or its end was
/// forgotten as asked, or the host was rebooted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// It runs. Its end will be a [`ContainerEvent::Exited`].
    Running {
        /// Which container.
        container: ContainerId,
        /// The main process.
        pid: i32,
    },
    /// It ended; the fields are those of [`ContainerEvent::Exited`].
    Exited {
        /// Which container.
        container: ContainerId,
        /// How the main process ended.
        status: WaitStatus,
        /// Whether a process of the container was killed for memory.
        oom: bool,
        /// The most memory that the container used at once, where a cgroup counted it.
        mem_peak_bytes: Option<u64>,
    },
    /// It was not executed.
    LaunchFailed {
        /// Which container.
        container: ContainerId,
        /// For the user, as in [`ContainerEvent::LaunchFailed`].
        message: String,
    },
}

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WaitStatus {
    /// It exited with this status, 0 to 255.
    Exited(i32),
    /// This signal killed it.
    Signaled(i32),
    /// It ended, and nobody can tell how: the launcher that would have collected it died before,
    /// and the kernel doesn't keep the status (before Linux 6.15).
    Unknown,
}

impl WaitStatus {
    /// Whether it exited with status 0.
    pub fn success(self) -> bool {
        self == Self::Exited(0)
    }
}
