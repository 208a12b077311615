//! Who this master says it is, to frameworks, tools and browsers.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use meros_proto::ids::MasterId;
use meros_proto::time::Timestamp;
use meros_proto::v1;
use meros_proto::versions::MESOS_VERSION;

use crate::config::Config;

/// One run of a master.
#[derive(Debug, Clone)]
pub(crate) struct Identity {
    /// Fresh for each run.
    pub(crate) id: MasterId,
    /// Where others reach it.
    pub(crate) address: SocketAddr,
    pub(crate) hostname: String,
    pub(crate) cluster: Option<String>,
    pub(crate) flags: BTreeMap<String, String>,
    pub(crate) started: Timestamp,
}

impl Identity {
    /// The identity of a run that listens on `port`.
    pub(crate) fn new(id: MasterId, config: &Config, port: u16, started: Timestamp) -> Self {
        Self {
            id,
            address: SocketAddr::new(config.advertised_ip, port),
            hostname: config.hostname.clone(),
            cluster: config.cluster.clone(),
            flags: config.flags.clone(),
            started,
        }
    }

    /// `master@ip:port`, which older tools take apart.
    pub(crate) fn pid(&self) -> String {
        format!("master@{}", self.address)
    }

    /// `host:port`, with an IPv6 address in brackets.
    pub(crate) fn host_and_port(&self) -> String {
        match self.hostname.parse::<IpAddr>() {
            Ok(ip) => SocketAddr::new(ip, self.address.port()).to_string(),
            Err(_) => format!("{}:{}", self.hostname, self.address.port()),
        }
    }

    /// What SUBSCRIBED and GET_MASTER carry.
    pub(crate) fn master_info(&self) -> v1::MasterInfo {
        v1::MasterInfo {
            id: Some(self.id.to_string()),
            ip: Some(self.ip_in_network_order()),
            port: Some(u32::from(self.address.port())),
            pid: Some(self.pid()),
            hostname: Some(self.hostname.clone()),
            version: Some(MESOS_VERSION.to_owned()),
            address: Some(v1::Address {
                hostname: Some(self.hostname.clone()),
                ip: Some(self.address.ip().to_string()),
                port: Some(i32::from(self.address.port())),
            }),
            ..Default::default()
        }
    }

    /// Mesos puts the bytes of an IPv4 address into a number as they lie in memory.
    fn ip_in_network_order(&self) -> u32 {
        match self.address.ip() {
            IpAddr::V4(ip) => u32::from_ne_bytes(ip.octets()),
            IpAddr::V6(_) => 0,
        }
    }
}
