//! The agent's command line. Names are Mesos's where it has one, with dashes.

use std::net::IpAddr;
use std::path::PathBuf;

/// Runs tasks on this host.
#[derive(Debug, Clone, clap::Args)]
pub struct Flags {
    /// Masters to register with, in any order; IPv6 addresses in brackets.
    #[arg(
        long,
        env = "MEROS_MASTER",
        value_name = "HOST:PORT[,HOST:PORT...]",
        value_delimiter = ',',
        required = true
    )]
    pub master: Vec<String>,

    /// Address to listen on. When it is unspecified (0.0.0.0), the one that routes to the master is
    /// announced.
    #[arg(long, env = "MEROS_IP", default_value = "0.0.0.0")]
    pub ip: IpAddr,

    /// Port to listen on; 0 takes a free one.
    #[arg(long, env = "MEROS_PORT", default_value_t = 5051)]
    pub port: u16,

    /// Name under which the host is offered [default: the host's own].
    #[arg(long, env = "MEROS_HOSTNAME")]
    pub hostname: Option<String>,

    /// Where the agent keeps its log and the tasks' sandboxes.
    #[arg(long, env = "MEROS_WORK_DIR", default_value = "/var/lib/meros/agent")]
    pub work_dir: PathBuf,

    /// What this host has, as `cpus:4;mem:2048;ports:[31000-32000]`, as JSON, or in a file
    /// (`file:///path`). What is not named is measured.
    #[arg(long, env = "MEROS_RESOURCES")]
    pub resources: Option<String>,

    /// What tells this host from others, as `rack:r1;zone:a`.
    #[arg(long, env = "MEROS_ATTRIBUTES")]
    pub attributes: Option<String>,

    /// Role that resources belong to when `--resources` names none for them.
    #[arg(long, env = "MEROS_DEFAULT_ROLE", default_value = "*")]
    pub default_role: String,

    /// How long tasks are kept alive without an agent, as `15mins`.
    #[arg(long, env = "MEROS_RECOVERY_TIMEOUT", default_value = "15mins")]
    pub recovery_timeout: String,

    /// How long tasks have to end when their framework or the agent goes, as `5secs`; a second of it
    /// is kept for the report.
    #[arg(long, env = "MEROS_EXECUTOR_SHUTDOWN_GRACE_PERIOD", default_value = "5secs")]
    pub executor_shutdown_grace_period: String,

    /// What a task may use on top of what it asked for, since tasks that were sized for Mesos had
    /// that much from their executor.
    #[arg(long, env = "MEROS_COMMAND_TASK_OVERHEAD", default_value = "cpus:0.1;mem:32")]
    pub command_task_overhead: String,

    /// Variables that every task starts with, as a JSON object of strings, or in a file
    /// (`file:///path`). A task's own come on top. Without it a task has a plain PATH.
    #[arg(long, env = "MEROS_EXECUTOR_ENVIRONMENT_VARIABLES", value_name = "JSON")]
    pub executor_environment_variables: Option<String>,

    /// Don't put tasks into cgroups, also where the host would let us: nothing limits them then.
    #[arg(long, env = "MEROS_NO_CGROUPS")]
    pub no_cgroups: bool,

    /// Make `cpus` a ceiling, and not only a share of a busy host.
    #[arg(long, env = "MEROS_CGROUPS_ENABLE_CFS")]
    pub cgroups_enable_cfs: bool,

    /// Hollow agents.
    #[command(flatten)]
    pub simulate: crate::simulate::Flags,
}
