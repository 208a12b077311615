//! The master's command line, each flag also as a `MEROS_*` variable.
//!
//! Flags carry Mesos's names where it has them. Text is checked here as far as one flag goes; what
//! is derived or concerns several flags is in [`crate::config`].

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use meros_proto::spans;

/// How a master is started.
#[derive(Debug, Clone, PartialEq, Eq, clap::Args)]
pub struct Flags {
    /// Address to listen on.
    #[arg(long, env = "MEROS_IP", value_name = "ADDRESS", default_value = "0.0.0.0")]
    pub ip: IpAddr,

    /// Port for HTTP and for the agents; 0 takes any free one.
    #[arg(long, env = "MEROS_PORT", default_value_t = 5050)]
    pub port: u16,

    /// Name under which frameworks and browsers reach this master, when the host's own isn't known
    /// to them.
    #[arg(long, env = "MEROS_HOSTNAME", value_name = "NAME")]
    pub hostname: Option<String>,

    /// Where the registry is kept. One master at a time uses it.
    #[arg(
        long,
        env = "MEROS_WORK_DIR",
        value_name = "DIR",
        default_value = "/var/lib/meros/master"
    )]
    pub work_dir: PathBuf,

    /// The cluster's name, as pages and `/state` show it.
    #[arg(long, env = "MEROS_CLUSTER", value_name = "NAME")]
    pub cluster: Option<String>,

    /// For how long a framework isn't offered again what it declined or left over. Longer spares
    /// schedulers that decline much, shorter finds them free resources sooner.
    #[arg(long, env = "MEROS_ALLOCATION_INTERVAL", value_name = "TIME", default_value = "1secs",
          value_parser = duration)]
    pub allocation_interval: Duration,

    /// Time between the pings to each agent. With --max-agent-ping-timeouts it is how long a silent
    /// agent is waited for.
    #[arg(long, env = "MEROS_AGENT_PING_TIMEOUT", value_name = "TIME", default_value = "15secs",
          value_parser = duration)]
    pub agent_ping_timeout: Duration,

    /// Pings in a row that an agent may leave unanswered before its tasks count as unreachable.
    #[arg(long, env = "MEROS_MAX_AGENT_PING_TIMEOUTS", value_name = "N", default_value_t = 5,
          value_parser = clap::value_parser!(u32).range(1..))]
    pub max_agent_ping_timeouts: u32,

    /// How long a master that was started anew waits for the agents that it knows, before their
    /// tasks count as unreachable.
    #[arg(long, env = "MEROS_AGENT_REREGISTER_TIMEOUT", value_name = "TIME",
          default_value = "10mins", value_parser = duration)]
    pub agent_reregister_timeout: Duration,

    /// How often the registry is looked through for what is too old.
    #[arg(long, env = "MEROS_REGISTRY_GC_INTERVAL", value_name = "TIME", default_value = "15mins",
          value_parser = duration)]
    pub registry_gc_interval: Duration,

    /// For how long an unreachable or gone agent is remembered. One that comes back later is
    /// welcome as if it were new.
    #[arg(long, env = "MEROS_REGISTRY_MAX_AGENT_AGE", value_name = "TIME",
          default_value = "2weeks", value_parser = duration)]
    pub registry_max_agent_age: Duration,

    /// How many unreachable agents, and how many gone ones, are remembered at most.
    #[arg(
        long,
        env = "MEROS_REGISTRY_MAX_AGENT_COUNT",
        value_name = "N",
        default_value_t = 102_400
    )]
    pub registry_max_agent_count: u32,

    /// Takes an offer back that its framework sits on for longer. Without it offers live until used.
    #[arg(long, env = "MEROS_OFFER_TIMEOUT", value_name = "TIME", value_parser = duration)]
    pub offer_timeout: Option<Duration>,
}

impl Default for Flags {
    /// What no argument and no variable gives.
    fn default() -> Self {
        Self {
            ip: IpAddr::from([0, 0, 0, 0]),
            port: 5050,
            hostname: None,
            work_dir: PathBuf::from("/var/lib/meros/master"),
            cluster: None,
            allocation_interval: Duration::from_secs(1),
            agent_ping_timeout: Duration::from_secs(15),
            max_agent_ping_timeouts: 5,
            agent_reregister_timeout: Duration::from_mins(10),
            registry_gc_interval: Duration::from_mins(15),
            registry_max_agent_age: Duration::from_hours(14 * 24),
            registry_max_agent_count: 102_400,
            offer_timeout: None,
        }
    }
}

/// Reads a span of time that isn't empty.
fn duration(text: &str) -> Result<Duration, String> {
    match spans::parse(text) {
        Ok(Duration::ZERO) => Err("must be more than nothing".to_owned()),
        Ok(span) => Ok(span),
        Err(error) => Err(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(clap::Parser)]
    struct Command {
        #[command(flatten)]
        flags: Flags,
    }

    #[test]
    fn without_arguments_the_defaults_are_those_of_mesos() {
        let flags = Command::parse_from(["meros"]).flags;
        assert_eq!(flags, Flags::default());
        assert_eq!(flags.allocation_interval, Duration::from_secs(1));
        assert_eq!(
            flags.agent_ping_timeout * flags.max_agent_ping_timeouts,
            Duration::from_secs(75)
        );
        assert_eq!(flags.offer_timeout, None);
    }

    #[test]
    fn a_span_is_a_number_and_a_unit_and_more_than_nothing() {
        for (text, span) in [
            ("15secs", Some(Duration::from_secs(15))),
            ("1.5secs", Some(Duration::from_millis(1_500))),
            ("250ms", Some(Duration::from_millis(250))),
            ("10 mins", Some(Duration::from_secs(600))),
            ("1weeks", Some(Duration::from_secs(604_800))),
            ("2h", Some(Duration::from_secs(7_200))),
            ("15", None),
            ("secs", None),
            ("-1secs", None),
            ("0secs", None),
            ("1e300weeks", None),
            ("5fortnights", None),
        ] {
            assert_eq!(duration(text).ok(), span, "{text}");
        }
    }

    #[test]
    fn a_flag_that_cannot_be_read_is_refused() {
        for arguments in [
            ["meros", "--port", "70000"],
            ["meros", "--ip", "localhost"],
            ["meros", "--max-agent-ping-timeouts", "0"],
            ["meros", "--offer-timeout", "5"],
        ] {
            assert!(Command::try_parse_from(arguments).is_err(), "{arguments:?}");
        }
    }
}
