//! Who this agent is on the wire: the host, its address, and what it offers.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, ToSocketAddrs, UdpSocket};
use std::path::PathBuf;
use std::sync::Arc;

use meros_proto::attributes::Attributes;
use meros_proto::ids::AgentId;
use meros_proto::resources::{ReservationFormat, Resources};
use meros_proto::time::Timestamp;
use meros_proto::v1;
use meros_proto::v1::agent_info::capability::Type as Capability;

/// What doesn't change while the agent runs.
#[derive(Debug, Clone)]
pub(crate) struct Host {
    /// Tells agents at one address apart; 1 where there is one.
    pub(crate) number: u32,
    pub(crate) hostname: String,
    /// Where others reach this agent.
    pub(crate) address: SocketAddr,
    pub(crate) resources: Resources,
    pub(crate) attributes: Attributes,
    /// Absolute.
    pub(crate) work_dir: PathBuf,
    /// Changes with each boot of the host.
    pub(crate) boot_id: String,
    /// Changes with each start of the agent.
    pub(crate) incarnation: String,
    pub(crate) started: Timestamp,
    /// The flags in effect, for those who ask.
    pub(crate) flags: Arc<[(&'static str, String)]>,
}

/// What the agent announces it can do, as Mesos 1.11's agents do.
const CAPABILITIES: [Capability; 8] = [
    Capability::MultiRole,
    Capability::HierarchicalRole,
    Capability::ReservationRefinement,
    Capability::ResourceProvider,
    Capability::ResizeVolume,
    Capability::AgentOperationFeedback,
    Capability::AgentDraining,
    Capability::TaskResourceLimits,
];

impl Host {
    /// What older tools know an agent by: `slave(1)@ip:port`.
    pub(crate) fn pid(&self) -> String {
        format!("slave({})@{}", self.number, self.address)
    }

    /// The names of what the agent can do.
    pub(crate) fn capabilities() -> Vec<String> {
        CAPABILITIES.iter().map(|capability| capability.as_str_name().to_owned()).collect()
    }

    /// The agent in Mesos's words.
    pub(crate) fn info(&self, id: Option<&AgentId>) -> v1::AgentInfo {
        v1::AgentInfo {
            hostname: Some(self.hostname.clone()),
            port: Some(i32::from(self.address.port())),
            resources: self.resources.to_protos(ReservationFormat::Refined),
            attributes: self.attributes.to_protos(),
            id: id.map(AgentId::to_proto),
            ..v1::AgentInfo::default()
        }
    }

    /// A network that is just this host's: what a container without one of its own has.
    pub(crate) fn network(&self) -> v1::NetworkInfo {
        let address = v1::network_info::IpAddress {
            ip_address: Some(self.address.ip().to_string()),
            ..Default::default()
        };
        v1::NetworkInfo { ip_addresses: vec![address], ..Default::default() }
    }
}

/// The boot's id; without /proc each start of the agent counts as a boot.
pub(crate) fn boot_id() -> String {
    fs::read_to_string("/proc/sys/kernel/random/boot_id")
        .map_or_else(|_| uuid::Uuid::new_v4().to_string(), |text| text.trim().to_owned())
}

/// The address under which others reach this host: `listening` where that names one, else the
/// source address of the way to a master. Looks names up: it may block.
pub(crate) fn reachable_address(listening: IpAddr, masters: &[String]) -> IpAddr {
    if !listening.is_unspecified() {
        return listening;
    }
    let mut found = masters.iter().filter_map(|master| {
        let master = master.to_socket_addrs().ok()?.next()?;
        let any: SocketAddr =
            if master.is_ipv4() { ([0, 0, 0, 0], 0).into() } else { ([0u16; 8], 0).into() };
        // Connecting a datagram socket sends nothing: it only asks the routing table.
        let socket = UdpSocket::bind(any).ok()?;
        socket.connect(master).ok()?;
        Some(socket.local_addr().ok()?.ip())
    });
    found.next().unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_that_routes_to_the_master_is_announced() {
        let local: IpAddr = [127, 0, 0, 1].into();
        let any: IpAddr = [0, 0, 0, 0].into();
        let master = ["127.0.0.1:5050".to_owned()];
        assert_eq!(reachable_address(any, &master), local);
        assert_eq!(reachable_address(any, &["no such name:1".to_owned()]), local);
        let other: IpAddr = [127, 0, 0, 9].into();
        assert_eq!(reachable_address(other, &master), other);
    }
}
