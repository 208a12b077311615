//! What the agent is run with: flags, checked.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;
use std::{fmt, fs};

use meros_proto::attributes::Attributes;
use meros_proto::resources::{Resources, Role, Scalar};
use meros_proto::spans;
use meros_shell::host_name;
use tokio_util::sync::CancellationToken;

use crate::flags::Flags;
use crate::simulate::Simulation;

/// What the agent is run with.
#[derive(Debug, Clone)]
pub struct Config {
    /// Masters as `host:port`, at least one.
    pub masters: Vec<String>,
    /// Address to listen on.
    pub ip: IpAddr,
    /// Port to listen on; 0 takes a free one.
    pub port: u16,
    /// Name under which the host is offered.
    pub hostname: String,
    /// The agent's log and the tasks' sandboxes. Made if it isn't there.
    pub work_dir: PathBuf,
    /// What the host has in the form of `--resources`; what isn't named is measured.
    pub resources: Option<String>,
    /// What tells the host from others.
    pub attributes: Attributes,
    /// Role of resources that are given none.
    pub default_role: Role,
    /// How long tasks are kept alive without an agent.
    pub recovery_timeout: Duration,
    /// What a shutdown of the agent means for its tasks.
    pub on_shutdown: OnShutdown,
    /// Cancelled when the agent is to leave for good, whatever [`Config::on_shutdown`] says.
    pub leave: CancellationToken,
    /// How long tasks have to end when their framework or the agent goes.
    pub shutdown_grace: Duration,
    /// What a task may use on top of what it asked for.
    pub overhead: Overhead,
    /// What every task's environment starts with.
    pub task_environment: BTreeMap<String, String>,
    /// Whether tasks are put into cgroups where possible.
    pub cgroups: bool,
    /// Whether `cpus` is a ceiling.
    pub cfs_quota: bool,
    /// The executable of the launcher process, and what makes it one.
    pub launcher: LauncherCommand,
    /// Many hollow agents in place of one that runs tasks.
    pub simulation: Option<Simulation>,
}

/// What becomes of the tasks when the agent is told to shut down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnShutdown {
    /// They run on without an agent for the recovery timeout. The next one takes them up.
    Keep,
    /// They are ended first, and the agent leaves its cluster for good.
    Leave,
}

/// Added to a task's limits, never to the books.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Overhead {
    /// CPUs.
    pub cpus: Scalar,
    /// Megabytes.
    pub mem: Scalar,
}

/// How the launcher process is started.
#[derive(Debug, Clone)]
pub struct LauncherCommand {
    /// The executable.
    pub exe: PathBuf,
    /// Arguments with which it calls [`crate::launcher::main`].
    pub args: Vec<String>,
}

/// Why flags make no configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A flag's value can't be read.
    #[error("--{flag}: {why}")]
    Flag {
        /// Which.
        flag: &'static str,
        /// What is wrong with it.
        why: String,
    },
    /// The path of the running executable isn't known.
    #[error("find the executable for the launcher: {0}")]
    Executable(std::io::Error),
}

impl TryFrom<Flags> for Config {
    type Error = ConfigError;

    fn try_from(flags: Flags) -> Result<Self, ConfigError> {
        let masters = flags.master.iter().map(|text| master(text)).collect::<Result<_, _>>()?;
        let resources = flags.resources.map(|text| value_or_file(text, "resources")).transpose()?;
        let attributes =
            flags.attributes.map(|text| value_or_file(text, "attributes")).transpose()?;
        let attributes = Attributes::parse(attributes.as_deref().unwrap_or_default());
        let exe = std::env::current_exe().map_err(ConfigError::Executable)?;
        let config = Self {
            masters,
            ip: flags.ip,
            port: flags.port,
            hostname: flags.hostname.unwrap_or_else(host_name::own),
            work_dir: flags.work_dir,
            resources,
            attributes: attributes.map_err(|error| bad("attributes", error))?,
            default_role: Role::parse(&flags.default_role)
                .map_err(|error| bad("default-role", error))?,
            recovery_timeout: span("recovery-timeout", &flags.recovery_timeout)?,
            on_shutdown: OnShutdown::Keep,
            leave: CancellationToken::new(),
            shutdown_grace: span(
                "executor-shutdown-grace-period",
                &flags.executor_shutdown_grace_period,
            )?,
            overhead: overhead(&flags.command_task_overhead)?,
            task_environment: task_environment(flags.executor_environment_variables)?,
            cgroups: !flags.no_cgroups,
            cfs_quota: flags.cgroups_enable_cfs,
            launcher: LauncherCommand { exe, args: vec!["launcher".to_owned()] },
            simulation: Simulation::of(&flags.simulate)?,
        };
        config.total_of(&Resources::new())?;
        Ok(config)
    }
}

impl Config {
    /// What the host has: what was named, and of `measured` what wasn't.
    ///
    /// # Errors
    /// [`ConfigError::Flag`] when the named resources can't be read.
    pub fn total_of(&self, measured: &Resources) -> Result<Resources, ConfigError> {
        let named = self.resources.as_deref().unwrap_or_default();
        let mut total =
            Resources::parse(named, &self.default_role).map_err(|error| bad("resources", error))?;
        for resource in measured.iter() {
            if !total.names().any(|name| name == resource.name()) {
                total.add(resource.clone());
            }
        }
        Ok(total)
    }
}

impl Config {
    /// The flags in effect, under Mesos's names, for those who ask.
    pub(crate) fn in_effect(&self) -> Vec<(&'static str, String)> {
        vec![
            ("attributes", self.attributes.to_string()),
            ("cgroups_enable_cfs", self.cfs_quota.to_string()),
            ("command_task_overhead", self.overhead.to_string()),
            ("default_role", self.default_role.to_string()),
            ("executor_shutdown_grace_period", spans::text(self.shutdown_grace)),
            ("executor_environment_variables", environment_text(&self.task_environment)),
            ("hostname", self.hostname.clone()),
            ("ip", self.ip.to_string()),
            ("master", self.masters.join(",")),
            ("no_cgroups", (!self.cgroups).to_string()),
            ("port", self.port.to_string()),
            ("recovery_timeout", spans::text(self.recovery_timeout)),
            ("resources", self.resources.clone().unwrap_or_default()),
            ("work_dir", self.work_dir.display().to_string()),
        ]
    }
}

impl fmt::Display for Overhead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cpus:{};mem:{}", self.cpus, self.mem)
    }
}

fn master(text: &str) -> Result<String, ConfigError> {
    let text = text.trim();
    // tonic takes anything for a URI's authority; an address without a port would become port 80.
    let valid = text
        .rsplit_once(':')
        .is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok())
        && text.parse::<http::uri::Authority>().is_ok();
    if valid {
        Ok(text.to_owned())
    } else {
        Err(bad("master", format!("{text:?} is not HOST:PORT")))
    }
}

fn overhead(text: &str) -> Result<Overhead, ConfigError> {
    let parsed =
        Resources::parse(text, &Role::star()).map_err(|e| bad("command-task-overhead", e))?;
    Ok(Overhead { cpus: parsed.cpus(), mem: parsed.mem() })
}

fn task_environment(text: Option<String>) -> Result<BTreeMap<String, String>, ConfigError> {
    const FLAG: &str = "executor-environment-variables";
    let Some(text) = text else { return Ok(BTreeMap::new()) };
    let text = value_or_file(text, FLAG)?;
    serde_json::from_str(&text).map_err(|error| bad(FLAG, error))
}

/// As the flag takes it.
fn environment_text(environment: &BTreeMap<String, String>) -> String {
    serde_json::to_string(environment).expect("a map of strings is JSON")
}

pub(crate) fn span(flag: &'static str, text: &str) -> Result<Duration, ConfigError> {
    spans::parse(text).map_err(|error| bad(flag, error))
}

/// Mesos takes any flag's value from a file that is named as a URI.
fn value_or_file(text: String, flag: &'static str) -> Result<String, ConfigError> {
    match text.strip_prefix("file://") {
        None => Ok(text),
        Some(path) => fs::read_to_string(path)
            .map(|held| held.trim().to_owned())
            .map_err(|error| bad(flag, format!("read {path}: {error}"))),
    }
}

pub(crate) fn bad(flag: &'static str, why: impl ToString) -> ConfigError {
    ConfigError::Flag { flag, why: why.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        flags: Flags,
    }

    fn config(line: &str) -> Result<Config, ConfigError> {
        let words = ["agent"].into_iter().chain(line.split_whitespace());
        Config::try_from(Line::try_parse_from(words).expect("known flags").flags)
    }

    #[test]
    fn several_masters_are_taken_and_what_is_no_address_is_refused() {
        let masters = config("--master a:5050,[::1]:5050").expect("two addresses").masters;
        assert_eq!(masters, ["a:5050", "[::1]:5050"]);
        for text in ["a", ":5050", "a:b", "a:70000", "zk://a:2181/mesos"] {
            let error = config(&format!("--master {text}")).expect_err(text);
            assert!(error.to_string().starts_with("--master: "), "{error}");
        }
    }

    #[test]
    fn what_is_named_is_not_measured() {
        let config = config("--master a:1 --resources cpus:4;mem(web):100").expect("valid");
        let star = Role::star();
        let measured = Resources::parse("cpus:8;mem:9;disk:7", &star).expect("valid");
        let total = config.total_of(&measured).expect("valid");
        assert_eq!(total, Resources::parse("cpus:4;mem(web):100;disk:7", &star).expect("valid"));
    }

    #[test]
    fn a_flag_that_makes_no_sense_is_named() {
        for (line, flag) in [
            ("--resources cpus", "--resources: "),
            ("--resources file:///nonexistent/x", "--resources: read /nonexistent/x"),
            ("--recovery-timeout soon", "--recovery-timeout: "),
            ("--executor-environment-variables {\"A\":1}", "--executor-environment-variables: "),
            ("--command-task-overhead x", "--command-task-overhead: "),
        ] {
            let error = config(&format!("--master a:1 {line}")).expect_err(line).to_string();
            assert!(error.starts_with(flag), "{error}");
        }
    }
}
