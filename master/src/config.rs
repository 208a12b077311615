//! A master's settings, complete: what the flags leave open is looked up here.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::path::PathBuf;
use std::time::Duration;

use meros_shell::host_name;

use crate::flags::Flags;

/// What [`crate::run`] needs to know.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where to listen; port 0 takes any free one.
    pub listen: SocketAddr,
    /// The address under which others reach this master.
    pub advertised_ip: IpAddr,
    /// The name under which others reach this master.
    pub hostname: String,
    /// Where the registry is kept.
    pub work_dir: PathBuf,
    /// The cluster's name.
    pub cluster: Option<String>,
    /// The least time between two offers of what a framework left over.
    pub allocation_interval: Duration,
    /// Between pings of an agent.
    pub agent_ping_timeout: Duration,
    /// An agent that missed so many pings in a row is unreachable.
    pub max_agent_ping_timeouts: u32,
    /// How long admitted agents may take to come back after a master's start.
    pub agent_reregister_timeout: Duration,
    /// How often old entries of the registry are looked for.
    pub registry_gc_interval: Duration,
    /// Unreachable and gone agents older than this are forgotten.
    pub registry_max_agent_age: Duration,
    /// So many of either are remembered at most.
    pub registry_max_agent_count: u32,
    /// Offers older than this are rescinded.
    pub offer_timeout: Option<Duration>,
    /// The flags as texts, for `/flags` and `/state`.
    pub flags: BTreeMap<String, String>,
}

/// Why flags make no configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A name that nobody could use.
    #[error("--hostname '{0}' is not a host name")]
    Hostname(String),
}

impl TryFrom<Flags> for Config {
    type Error = ConfigError;

    fn try_from(flags: Flags) -> Result<Self, ConfigError> {
        let texts = texts(&flags);
        let hostname = match flags.hostname {
            Some(name) if !host_name::is_usable(&name) => return Err(ConfigError::Hostname(name)),
            Some(name) => name,
            None => host_name::of_listener(flags.ip),
        };
        Ok(Self {
            listen: SocketAddr::new(flags.ip, flags.port),
            advertised_ip: advertised(flags.ip),
            hostname,
            work_dir: flags.work_dir,
            cluster: flags.cluster,
            allocation_interval: flags.allocation_interval,
            agent_ping_timeout: flags.agent_ping_timeout,
            max_agent_ping_timeouts: flags.max_agent_ping_timeouts,
            agent_reregister_timeout: flags.agent_reregister_timeout,
            registry_gc_interval: flags.registry_gc_interval,
            registry_max_agent_age: flags.registry_max_agent_age,
            registry_max_agent_count: flags.registry_max_agent_count,
            offer_timeout: flags.offer_timeout,
            flags: texts,
        })
    }
}

/// The flags under their Mesos names, those that are set.
fn texts(flags: &Flags) -> BTreeMap<String, String> {
    let secs = |span: Duration| format!("{}secs", span.as_secs_f64());
    let all = [
        ("ip", Some(flags.ip.to_string())),
        ("port", Some(flags.port.to_string())),
        ("hostname", flags.hostname.clone()),
        ("work_dir", Some(flags.work_dir.display().to_string())),
        ("cluster", flags.cluster.clone()),
        ("allocation_interval", Some(secs(flags.allocation_interval))),
        ("agent_ping_timeout", Some(secs(flags.agent_ping_timeout))),
        ("max_agent_ping_timeouts", Some(flags.max_agent_ping_timeouts.to_string())),
        ("agent_reregister_timeout", Some(secs(flags.agent_reregister_timeout))),
        ("registry_gc_interval", Some(secs(flags.registry_gc_interval))),
        ("registry_max_agent_age", Some(secs(flags.registry_max_agent_age))),
        ("registry_max_agent_count", Some(flags.registry_max_agent_count.to_string())),
        ("offer_timeout", flags.offer_timeout.map(secs)),
    ];
    all.into_iter().filter_map(|(name, text)| Some((name.to_owned(), text?))).collect()
}

/// The address to tell others: the one listened on, or else the one that packets to the outside
/// would carry. Asking the system for that sends none.
fn advertised(listen: IpAddr) -> IpAddr {
    if !listen.is_unspecified() {
        return listen;
    }
    let documentation_net = (Ipv4Addr::new(192, 0, 2, 1), 9);
    UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))
        .and_then(|socket| socket.connect(documentation_net).and_then(|()| socket.local_addr()))
        .map_or(IpAddr::V4(Ipv4Addr::LOCALHOST), |address| address.ip())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_told_to_others_is_never_the_unspecified_address() {
        let config = Config::try_from(Flags::default()).expect("the defaults make a configuration");
        assert!(!config.advertised_ip.is_unspecified());
        assert!(!config.hostname.is_empty());
    }

    #[test]
    fn an_address_that_was_given_is_told_as_it_is() {
        let flags = Flags { ip: IpAddr::from([127, 0, 0, 1]), ..Flags::default() };
        let config = Config::try_from(flags).expect("loopback makes a configuration");
        assert_eq!(config.advertised_ip, IpAddr::from([127, 0, 0, 1]));
        assert_eq!(config.hostname, "127.0.0.1");
        assert_eq!(config.flags["port"], "5050");
        assert!(!config.flags.contains_key("offer_timeout"));
    }

    #[test]
    fn a_host_name_with_blanks_or_slashes_is_refused() {
        for name in ["", "a b", "http://a"] {
            let flags = Flags { hostname: Some(name.to_owned()), ..Flags::default() };
            assert!(Config::try_from(flags).is_err(), "{name:?}");
        }
    }
}
