//! The status of a task's container: where it is on the network, and how it is called.
//!
//! Almost all look alike, an id and an address; those are written from the encoded message as it
//! lies. Whatever else one holds, it is decoded as a whole.

use meros_proto::v1;
use prost::Message;
use serde::Serialize;
use serde::ser::Serializer;

use crate::api::legacy::encoded::{Fields, Value, text};

/// An encoded `v1::ContainerStatus`.
#[derive(Clone, Copy)]
pub(super) struct ContainerStatus<'a>(pub(super) &'a [u8]);

impl Serialize for ContainerStatus<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match Usual::read(self.0) {
            Some(usual) => usual.serialize(serializer),
            None => v1::ContainerStatus::decode(self.0).unwrap_or_default().serialize(serializer),
        }
    }
}

/// A status of the usual kind; its fields as the message declares them.
#[derive(Serialize, Default)]
struct Usual<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    container_id: Option<Id<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    network_infos: Option<[Network<'a>; 1]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    executor_pid: Option<u32>,
}

#[derive(Serialize)]
struct Id<'a> {
    value: &'a str,
}

#[derive(Serialize)]
struct Network<'a> {
    ip_addresses: [Address<'a>; 1],
}

#[derive(Serialize)]
struct Address<'a> {
    protocol: &'static str,
    ip_address: &'a str,
}

impl<'a> Usual<'a> {
    /// `None`: it is of another kind.
    fn read(encoded: &'a [u8]) -> Option<Self> {
        let mut usual = Self::default();
        for field in Fields::of(encoded) {
            match field {
                (1, Value::Bytes(network)) if usual.network_infos.is_none() => {
                    usual.network_infos = Some([Network::read(network)?]);
                }
                (3, Value::Number(pid)) => usual.executor_pid = Some(u32::try_from(pid).ok()?),
                (4, Value::Bytes(id)) if usual.container_id.is_none() => {
                    usual.container_id = Some(Id { value: only_text(id, 1)? });
                }
                _ => return None,
            }
        }
        Some(usual)
    }
}

impl<'a> Network<'a> {
    fn read(encoded: &'a [u8]) -> Option<Self> {
        let mut fields = Fields::of(encoded);
        let address = match (fields.next()?, fields.next()) {
            ((5, Value::Bytes(address)), None) => address,
            _ => return None,
        };
        // IPv4 is what an address is that doesn't say.
        let (mut protocol, mut ip_address) = ("IPv4", None);
        for field in Fields::of(address) {
            match field {
                (1, Value::Number(1)) => {}
                (1, Value::Number(2)) => protocol = "IPv6",
                (2, Value::Bytes(ip)) => ip_address = Some(text(ip)),
                _ => return None,
            }
        }
        Some(Self { ip_addresses: [Address { protocol, ip_address: ip_address? }] })
    }
}

/// The text of a message that has but this one.
fn only_text(message: &[u8], number: u32) -> Option<&str> {
    let mut fields = Fields::of(message);
    match (fields.next()?, fields.next()) {
        ((one, Value::Bytes(bytes)), None) if one == number => Some(text(bytes)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use meros_proto::v1::network_info::{IpAddress, PortMapping, Protocol};

    fn network(addresses: Vec<IpAddress>) -> v1::NetworkInfo {
        v1::NetworkInfo { ip_addresses: addresses, ..Default::default() }
    }

    fn address(protocol: Option<Protocol>, ip: Option<&str>) -> IpAddress {
        let protocol = protocol.map(i32::from);
        IpAddress { protocol, ip_address: ip.map(str::to_owned) }
    }

    fn id(value: &str, parent: Option<&str>) -> v1::ContainerId {
        let parent = parent.map(|parent| Box::new(id(parent, None)));
        v1::ContainerId { value: Some(value.to_owned()), parent }
    }

    #[test]
    fn a_status_looks_as_if_it_had_been_decoded_whatever_it_holds() {
        let v4 = || address(None, Some("10.0.0.1"));
        let v6 = || address(Some(Protocol::IPv6), Some("::1"));
        let mapped = v1::NetworkInfo {
            name: Some("bridge".to_owned()),
            port_mappings: vec![PortMapping {
                host_port: Some(31_000),
                container_port: Some(80),
                protocol: None,
            }],
            ..network(vec![v4()])
        };
        let cgroup = v1::CgroupInfo { net_cls: Some(v1::cgroup_info::NetCls { classid: Some(7) }) };
        let status = |container_id, network_infos, executor_pid| v1::ContainerStatus {
            container_id,
            network_infos,
            executor_pid,
            ..Default::default()
        };
        for (status, usual) in [
            (status(None, vec![], None), true),
            (status(Some(id("a\"b", None)), vec![network(vec![v4()])], Some(4711)), true),
            (status(None, vec![network(vec![v6()])], None), true),
            (
                status(None, vec![network(vec![address(Some(Protocol::IPv4), Some("::1"))])], None),
                true,
            ),
            (status(Some(id("a", Some("p"))), vec![], None), false),
            (status(None, vec![network(vec![])], None), false),
            (status(None, vec![network(vec![address(None, None)])], None), false),
            (status(None, vec![network(vec![v4(), v6()])], None), false),
            (status(None, vec![network(vec![v4()]), network(vec![v6()])], None), false),
            (status(None, vec![mapped], Some(1)), false),
            (v1::ContainerStatus { cgroup_info: Some(cgroup), ..Default::default() }, false),
        ] {
            let encoded = status.encode_to_vec();
            assert_eq!(Usual::read(&encoded).is_some(), usual, "{status:?}");
            let written = serde_json::to_string(&ContainerStatus(&encoded)).expect("it is JSON");
            assert_eq!(written, serde_json::to_string(&status).expect("it is JSON"));
        }
    }
}
