//! Marathon's command line, each flag also as a `MEROS_*` variable.
//!
//! Flags carry Marathon's names, written with dashes; spans are in milliseconds where Marathon's
//! are. Text is checked here as far as one flag goes; what is derived is in [`crate::config`].

use std::net::IpAddr;
use std::path::PathBuf;

use meros_marathon_core::config::{AcceptedRoles, GpuScheduling};

/// How a Marathon is started.
#[derive(Debug, Clone, clap::Args)]
pub struct Flags {
    /// The masters, as HOST:PORT with IPv6 in brackets, separated by commas. One of them leads; the
    /// others are asked when it is lost.
    #[arg(
        long,
        env = "MEROS_MASTER",
        value_name = "HOST:PORT,...",
        value_delimiter = ',',
        required = true
    )]
    pub master: Vec<String>,

    /// Address to listen on.
    #[arg(
        long,
        alias = "http-address",
        env = "MEROS_IP",
        value_name = "ADDRESS",
        default_value = "0.0.0.0"
    )]
    pub ip: IpAddr,

    /// Port of the REST API; 0 takes any free one.
    #[arg(long, alias = "http-port", env = "MEROS_PORT", default_value_t = 8080)]
    pub port: u16,

    /// Name under which clients and the master reach this Marathon, when the host's own isn't known
    /// to them.
    #[arg(long, env = "MEROS_HOSTNAME", value_name = "NAME")]
    pub hostname: Option<String>,

    /// Where apps, instances and deployments are kept. One Marathon at a time uses it.
    #[arg(
        long,
        env = "MEROS_WORK_DIR",
        value_name = "DIR",
        default_value = "/var/lib/meros/marathon"
    )]
    pub work_dir: PathBuf,

    /// The framework's name, as the master shows it.
    #[arg(long, env = "MEROS_FRAMEWORK_NAME", value_name = "NAME", default_value = "marathon")]
    pub framework_name: String,

    /// The framework's own role: apps get resources offered to it.
    #[arg(long, env = "MEROS_MESOS_ROLE", value_name = "ROLE", default_value = "*")]
    pub mesos_role: String,

    /// The user that tasks run as which name none. Default: the one that runs this process.
    #[arg(long, env = "MEROS_MESOS_USER", value_name = "USER")]
    pub mesos_user: Option<String>,

    /// Who this framework says it is, for masters that ask.
    #[arg(long, env = "MEROS_MESOS_AUTHENTICATION_PRINCIPAL", value_name = "PRINCIPAL")]
    pub mesos_authentication_principal: Option<String>,

    /// A file with the secret of --mesos-authentication-principal.
    #[arg(
        long,
        env = "MEROS_MESOS_AUTHENTICATION_SECRET_FILE",
        value_name = "FILE",
        requires = "mesos_authentication_principal"
    )]
    pub mesos_authentication_secret_file: Option<PathBuf>,

    /// Seconds for which the master keeps the tasks while this Marathon is away. A week by default,
    /// so that an upgrade or a broken host costs no task.
    #[arg(long, env = "MEROS_FAILOVER_TIMEOUT", value_name = "SECONDS", default_value_t = 604_800)]
    pub failover_timeout: u64,

    /// Whose resources apps take that don't name roles: any, unreserved or reserved.
    #[arg(long, env = "MEROS_ACCEPTED_RESOURCE_ROLES_DEFAULT_BEHAVIOR", value_name = "WHICH",
          default_value = "any", value_parser = accepted_roles)]
    pub accepted_resource_roles_default_behavior: AcceptedRoles,

    /// Put before HOST, PORT, PORTS, PORT0 and so on in the tasks' environment.
    #[arg(long, env = "MEROS_ENV_VARS_PREFIX", value_name = "PREFIX", default_value = "")]
    pub env_vars_prefix: String,

    /// The lowest service port that is given to apps which ask for port 0.
    #[arg(long, env = "MEROS_LOCAL_PORT_MIN", default_value_t = 10_000,
          value_parser = clap::value_parser!(u16).range(1..))]
    pub local_port_min: u16,

    /// The highest service port, see --local-port-min.
    #[arg(long, env = "MEROS_LOCAL_PORT_MAX", default_value_t = 20_000,
          value_parser = clap::value_parser!(u16).range(1..))]
    pub local_port_max: u16,

    /// With so many deployments running, further changes are refused.
    #[arg(long, env = "MEROS_MAX_RUNNING_DEPLOYMENTS", value_name = "N", default_value_t = 100)]
    pub max_running_deployments: usize,

    /// How many instances one offer may start.
    #[arg(long, env = "MEROS_MAX_INSTANCES_PER_OFFER", value_name = "N", default_value_t = 1_000)]
    pub max_instances_per_offer: usize,

    /// How many launches may be under way before the next refresh.
    #[arg(long, env = "MEROS_LAUNCH_TOKENS", value_name = "N", default_value_t = 10_000)]
    pub launch_tokens: u64,

    /// Milliseconds between refreshes of the launch tokens.
    #[arg(
        long,
        env = "MEROS_LAUNCH_TOKEN_REFRESH_INTERVAL",
        value_name = "MS",
        default_value_t = 30_000
    )]
    pub launch_token_refresh_interval: u64,

    /// Milliseconds for which an offer that nothing needs is refused. What is needed again is
    /// revived before, so that long is fine.
    #[arg(
        long,
        env = "MEROS_DECLINE_OFFER_DURATION",
        value_name = "MS",
        default_value_t = 120_000
    )]
    pub decline_offer_duration: u64,

    /// The least number of milliseconds between two revives of a role.
    #[arg(long, env = "MEROS_MIN_REVIVE_OFFERS_INTERVAL", value_name = "MS", default_value_t = 50)]
    pub min_revive_offers_interval: u64,

    /// Milliseconds after which a launch that nobody confirmed is given up.
    #[arg(
        long,
        env = "MEROS_TASK_LAUNCH_CONFIRM_TIMEOUT",
        value_name = "MS",
        default_value_t = 300_000
    )]
    pub task_launch_confirm_timeout: u64,

    /// Milliseconds after which a task that is still staging or starting is killed.
    #[arg(long, env = "MEROS_TASK_LAUNCH_TIMEOUT", value_name = "MS", default_value_t = 300_000)]
    pub task_launch_timeout: u64,

    /// Milliseconds from the subscription to the second comparison of all tasks with the master.
    #[arg(
        long,
        env = "MEROS_RECONCILIATION_INITIAL_DELAY",
        value_name = "MS",
        default_value_t = 15_000
    )]
    pub reconciliation_initial_delay: u64,

    /// Milliseconds between comparisons of all tasks with the master.
    #[arg(
        long,
        env = "MEROS_RECONCILIATION_INTERVAL",
        value_name = "MS",
        default_value_t = 600_000
    )]
    pub reconciliation_interval: u64,

    /// Milliseconds between checks of all apps for the right number of instances. A net: changes
    /// are followed at once.
    #[arg(long, env = "MEROS_SCALE_APPS_INTERVAL", value_name = "MS", default_value_t = 300_000)]
    pub scale_apps_interval: u64,

    /// How many kills may be under way.
    #[arg(long, env = "MEROS_KILL_CHUNK_SIZE", value_name = "N", default_value_t = 100)]
    pub kill_chunk_size: usize,

    /// Milliseconds after which a kill that nothing answered is repeated.
    #[arg(long, env = "MEROS_KILL_RETRY_TIMEOUT", value_name = "MS", default_value_t = 30_000)]
    pub kill_retry_timeout: u64,

    /// Use agents that are in maintenance, too.
    #[arg(long, env = "MEROS_DISABLE_MAINTENANCE_MODE")]
    pub disable_maintenance_mode: bool,

    /// So many seconds before its maintenance an agent gets no more instances.
    #[arg(long, env = "MEROS_DRAINING_SECONDS", value_name = "SECONDS", default_value_t = 0)]
    pub draining_seconds: u64,

    /// Who may run on agents with GPUs: apps that need them (restricted) or all (unrestricted).
    #[arg(long, env = "MEROS_GPU_SCHEDULING_BEHAVIOR", value_name = "WHICH",
          default_value = "restricted", value_parser = gpu_scheduling)]
    pub gpu_scheduling_behavior: GpuScheduling,

    /// Leave offers on while nothing waits to be launched.
    #[arg(long, env = "MEROS_DISABLE_SUPPRESS_OFFERS")]
    pub disable_suppress_offers: bool,

    /// How many versions of each app are kept for rollbacks.
    #[arg(
        long,
        alias = "zk-max-versions",
        env = "MEROS_MAX_VERSIONS",
        value_name = "N",
        default_value_t = 50
    )]
    pub max_versions: usize,

    /// How many health and readiness checks that this Marathon runs itself may be under way. With
    /// more, they come later than their interval says.
    #[arg(
        long,
        env = "MEROS_MAX_CONCURRENT_MARATHON_HEALTH_CHECKS",
        value_name = "N",
        default_value_t = 256
    )]
    pub max_concurrent_marathon_health_checks: usize,

    /// How many events may wait for one listener before it is cut off.
    #[arg(
        long,
        env = "MEROS_EVENT_STREAM_MAX_OUTSTANDING_MESSAGES",
        value_name = "N",
        default_value_t = 1_024
    )]
    pub event_stream_max_outstanding_messages: usize,
}

impl Default for Flags {
    /// What no argument and no variable gives. The masters are still to be named.
    fn default() -> Self {
        Self {
            master: Vec::new(),
            ip: IpAddr::from([0, 0, 0, 0]),
            port: 8080,
            hostname: None,
            work_dir: PathBuf::from("/var/lib/meros/marathon"),
            framework_name: "marathon".to_owned(),
            mesos_role: "*".to_owned(),
            mesos_user: None,
            mesos_authentication_principal: None,
            mesos_authentication_secret_file: None,
            failover_timeout: 604_800,
            accepted_resource_roles_default_behavior: AcceptedRoles::Any,
            env_vars_prefix: String::new(),
            local_port_min: 10_000,
            local_port_max: 20_000,
            max_running_deployments: 100,
            max_instances_per_offer: 1_000,
            launch_tokens: 10_000,
            launch_token_refresh_interval: 30_000,
            decline_offer_duration: 120_000,
            min_revive_offers_interval: 50,
            task_launch_confirm_timeout: 300_000,
            task_launch_timeout: 300_000,
            reconciliation_initial_delay: 15_000,
            reconciliation_interval: 600_000,
            scale_apps_interval: 300_000,
            kill_chunk_size: 100,
            kill_retry_timeout: 30_000,
            disable_maintenance_mode: false,
            draining_seconds: 0,
            gpu_scheduling_behavior: GpuScheduling::Restricted,
            disable_suppress_offers: false,
            max_versions: 50,
            max_concurrent_marathon_health_checks: 256,
            event_stream_max_outstanding_messages: 1_024,
        }
    }
}

fn accepted_roles(text: &str) -> Result<AcceptedRoles, String> {
    match text {
        "any" => Ok(AcceptedRoles::Any),
        "unreserved" => Ok(AcceptedRoles::Unreserved),
        "reserved" => Ok(AcceptedRoles::Reserved),
        _ => Err("must be any, unreserved or reserved".to_owned()),
    }
}

fn gpu_scheduling(text: &str) -> Result<GpuScheduling, String> {
    match text {
        "restricted" => Ok(GpuScheduling::Restricted),
        "unrestricted" => Ok(GpuScheduling::Unrestricted),
        _ => Err("must be restricted or unrestricted".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Debug, clap::Parser)]
    struct Command {
        #[command(flatten)]
        flags: Flags,
    }

    fn parse(arguments: &[&str]) -> Result<Flags, clap::Error> {
        Command::try_parse_from([&["marathon"], arguments].concat()).map(|command| command.flags)
    }

    #[test]
    fn only_the_master_must_be_named() {
        let flags = parse(&["--master", "a:5050,[::1]:5050"]).expect("complete");
        assert_eq!(flags.master, ["a:5050", "[::1]:5050"]);
        assert_eq!((flags.port, flags.failover_timeout), (8080, 604_800));
        assert!(parse(&[]).is_err());
    }

    #[test]
    fn the_command_lines_defaults_are_those_of_the_struct() {
        let flags = parse(&["--master", "a:5050"]).expect("complete");
        let default = Flags { master: vec!["a:5050".to_owned()], ..Flags::default() };
        assert_eq!(format!("{flags:?}"), format!("{default:?}"));
    }

    #[test]
    fn the_older_names_of_address_and_port_work_too() {
        let flags = parse(&["--master", "a:1", "--http-address", "127.0.0.1", "--http-port", "1"]);
        assert_eq!(flags.expect("complete").ip, IpAddr::from([127, 0, 0, 1]));
    }

    #[test]
    fn a_flag_that_cannot_be_read_is_refused() {
        for arguments in [
            ["--port", "70000"],
            ["--local-port-min", "0"],
            ["--accepted-resource-roles-default-behavior", "some"],
            ["--gpu-scheduling-behavior", "none"],
            ["--mesos-authentication-secret-file", "x"],
        ] {
            assert!(
                parse(&[&["--master", "a:1"], &arguments[..]].concat()).is_err(),
                "{arguments:?}"
            );
        }
    }
}
