//! What a containerizer is started with, and why it may not start.

use std::{io, path::PathBuf, time::Duration};

/// How long tasks have after SIGTERM when the agent stops, as after a kill (Mesos: 3 s).
const STOP_GRACE: Duration = Duration::from_secs(3);
/// How long the launcher waits for an agent before it ends its tasks (Mesos `--recovery_timeout`).
const RECOVERY_TIMEOUT: Duration = Duration::from_secs(15 * 60);
/// How long the start of one task may take, its image and URIs apart.
const START_DEADLINE: Duration = Duration::from_secs(60);

/// What a [`Containerizer`](super::Containerizer) is started with.
#[derive(Debug, Clone)]
pub struct ContainerizerConfig {
    /// The agent's work directory: the launcher's socket, pid file and log are kept here. Must exist.
    pub work_dir: PathBuf,
    /// The executable that the launcher process runs.
    pub launcher_exe: PathBuf,
    /// The arguments that make `launcher_exe` call [`launcher::main`](crate::launcher::main).
    pub launcher_args: Vec<String>,
    /// How long the launcher keeps tasks without an agent.
    pub recovery_timeout: Duration,
    /// Whether tasks get cgroups, where the host lets us make them.
    pub cgroups: bool,
    /// Whether `cpus` is a ceiling too, by CFS quota, and not only a share (Mesos
    /// `--cgroups_enable_cfs`).
    pub cfs_quota: bool,
    /// Names this agent among those of the host, in cgroup paths. Need not be unique: a digest of
    /// the work directory is added.
    pub name: String,
    /// How long tasks have between SIGTERM and SIGKILL in [`stop`](super::Containerizer::stop).
    pub stop_grace: Duration,
    /// How long a start may take before it is given up.
    pub start_deadline: Duration,
}

impl ContainerizerConfig {
    /// The defaults: `meros launcher`, cgroups where possible, shares without a quota.
    pub fn new(work_dir: PathBuf, launcher_exe: PathBuf, name: String) -> Self {
        Self {
            work_dir,
            launcher_exe,
            launcher_args: vec!["launcher".to_owned()],
            recovery_timeout: RECOVERY_TIMEOUT,
            cgroups: true,
            cfs_quota: false,
            name,
            stop_grace: STOP_GRACE,
            start_deadline: START_DEADLINE,
        }
    }
}

/// Why a containerizer did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The work directory can't be used.
    #[error("use the work directory {}", path.display())]
    WorkDir {
        /// The directory.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The launcher of a previous agent is still there and has an agent already.
    #[error("another agent is using the work directory {}", .0.display())]
    InUse(PathBuf),
    /// The launcher that runs is of a release that can't be spoken with, or another agent's.
    #[error(
        "the launcher in {} (pid {pid}) {what}: start the agent that it belongs to, or end it and \
         its tasks with `kill {pid}`",
        work_dir.display()
    )]
    Foreign {
        /// The directory.
        work_dir: PathBuf,
        /// The launcher's process.
        pid: u32,
        /// What it is instead.
        what: String,
    },
    /// The launcher of a previous agent can neither be asked nor made to end.
    #[error("the launcher left by a previous agent (pid {0}) does not end")]
    Leftover(i32),
    /// The launcher executable could not be started.
    #[error("start the launcher {}", exe.display())]
    Spawn {
        /// The executable.
        exe: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The launcher was started and did not greet as it should.
    #[error("the launcher did not answer: {0}")]
    Greeting(String),
}
