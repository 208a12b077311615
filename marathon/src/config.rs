//! A Marathon's settings, complete: what the flags leave open is looked up here.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use meros_marathon_core::config::Config as CoreConfig;
use meros_sdk::driver::{Address, AddressError, Credential};
use meros_shell::host_name;

use crate::flags::Flags;

/// What [`crate::run()`] needs to know.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where to listen; port 0 takes any free one.
    pub listen: SocketAddr,
    /// The name under which others reach this Marathon.
    pub hostname: String,
    /// Where apps, instances and deployments are kept.
    pub work_dir: PathBuf,
    /// The masters, as `HOST:PORT`; at least one.
    pub masters: Vec<String>,
    /// The framework's name.
    pub framework_name: String,
    /// Who tasks run as that don't say so.
    pub mesos_user: String,
    /// How the framework proves who it is.
    pub credential: Option<Credential>,
    /// For how long the master keeps the tasks of an absent Marathon.
    pub failover_timeout: Duration,
    /// How many events may wait for one listener.
    pub events_outstanding_max: usize,
    /// How many health and readiness checks may be under way.
    pub health_checks_at_once_max: usize,
    /// What the core decides by.
    pub core: CoreConfig,
}

/// Why flags make no configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// No master, or one that can't be reached by what was given.
    #[error("--master: {0}")]
    Master(AddressError),
    /// A name that nobody could use.
    #[error("--hostname '{0}' is not a host name")]
    Hostname(String),
    /// The range of service ports is empty.
    #[error("--local-port-min {min} is greater than --local-port-max {max}")]
    ServicePorts {
        /// The lower end.
        min: u16,
        /// The upper end.
        max: u16,
    },
    /// The secret can't be read.
    #[error("--mesos-authentication-secret-file {}: {error}", path.display())]
    Secret {
        /// The file.
        path: PathBuf,
        /// Why not.
        error: std::io::Error,
    },
}

impl TryFrom<Flags> for Config {
    type Error = ConfigError;

    fn try_from(flags: Flags) -> Result<Self, ConfigError> {
        if flags.master.is_empty() {
            return Err(ConfigError::Master(AddressError::NoMaster));
        }
        for master in &flags.master {
            Address::parse(master).map_err(ConfigError::Master)?;
        }
        let (min, max) = (flags.local_port_min, flags.local_port_max);
        if min > max {
            return Err(ConfigError::ServicePorts { min, max });
        }
        let hostname = match &flags.hostname {
            Some(name) if !host_name::is_usable(name) => {
                return Err(ConfigError::Hostname(name.clone()));
            }
            Some(name) => name.clone(),
            None => host_name::of_listener(flags.ip),
        };
        Ok(Self {
            listen: SocketAddr::new(flags.ip, flags.port),
            hostname,
            core: core(&flags),
            credential: credential(&flags)?,
            work_dir: flags.work_dir,
            masters: flags.master,
            framework_name: flags.framework_name,
            mesos_user: flags.mesos_user.unwrap_or_else(own_user),
            failover_timeout: Duration::from_secs(flags.failover_timeout),
            health_checks_at_once_max: flags.max_concurrent_marathon_health_checks,
            events_outstanding_max: flags.event_stream_max_outstanding_messages,
        })
    }
}

fn core(flags: &Flags) -> CoreConfig {
    let millis = Duration::from_millis;
    CoreConfig {
        role: flags.mesos_role.clone(),
        accepted_roles: flags.accepted_resource_roles_default_behavior,
        env_prefix: flags.env_vars_prefix.clone(),
        service_ports: flags.local_port_min..=flags.local_port_max,
        max_running_deployments: flags.max_running_deployments,
        max_instances_per_offer: flags.max_instances_per_offer,
        launch_tokens: flags.launch_tokens,
        launch_token_refresh: millis(flags.launch_token_refresh_interval),
        decline_offer: millis(flags.decline_offer_duration),
        min_revive_interval: millis(flags.min_revive_offers_interval),
        launch_confirm_timeout: millis(flags.task_launch_confirm_timeout),
        launch_timeout: millis(flags.task_launch_timeout),
        reconcile_after: millis(flags.reconciliation_initial_delay),
        reconcile_every: millis(flags.reconciliation_interval),
        scale_check_every: millis(flags.scale_apps_interval),
        max_kills: flags.kill_chunk_size,
        kill_retry: millis(flags.kill_retry_timeout),
        maintenance_mode: !flags.disable_maintenance_mode,
        draining: Duration::from_secs(flags.draining_seconds),
        gpu_scheduling: flags.gpu_scheduling_behavior,
        suppress_offers: !flags.disable_suppress_offers,
        max_versions: flags.max_versions,
    }
}

fn credential(flags: &Flags) -> Result<Option<Credential>, ConfigError> {
    let Some(principal) = flags.mesos_authentication_principal.clone() else { return Ok(None) };
    let secret = match &flags.mesos_authentication_secret_file {
        None => String::new(),
        Some(path) => std::fs::read_to_string(path)
            .map_err(|error| ConfigError::Secret { path: path.clone(), error })?,
    };
    Ok(Some(Credential { principal, secret: secret.trim_end().to_owned() }))
}

/// The name of the user that runs this process, as the shell that started it says.
fn own_user() -> String {
    if rustix::process::geteuid().is_root() {
        return "root".to_owned();
    }
    std::env::var("USER").or_else(|_| std::env::var("LOGNAME")).unwrap_or_default()
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

    #[track_caller]
    fn config(arguments: &[&str]) -> Result<Config, ConfigError> {
        Config::try_from(Command::parse_from([&["marathon"], arguments].concat()).flags)
    }

    #[test]
    fn an_address_that_was_given_is_told_as_it_is() {
        let config = config(&["--master", "m:5050", "--ip", "127.0.0.1"]).expect("complete");
        assert_eq!(config.hostname, "127.0.0.1");
        assert_eq!(config.core.service_ports, 10_000..=20_000);
    }

    #[test]
    fn what_nobody_could_use_is_refused_with_the_flag_that_is_wrong() {
        for (arguments, names) in [
            (&["--master", "nowhere"][..], "--master"),
            (&["--master", "m:1", "--hostname", "a b"], "--hostname"),
            (&["--master", "m:1", "--local-port-min", "30000"], "--local-port-min"),
            (
                &[
                    "--master",
                    "m:1",
                    "--mesos-authentication-principal",
                    "p",
                    "--mesos-authentication-secret-file",
                    "/nowhere/secret",
                ],
                "--mesos-authentication-secret-file",
            ),
        ] {
            let error = config(arguments).expect_err("refused").to_string();
            assert!(error.starts_with(names), "{error}");
        }
    }
}
