//! Agent objects, called slaves there, and `/slaves`.

use std::borrow::Cow;
use std::collections::BTreeMap;

use meros_master_core::{AgentView, RecoveredAgent, Snapshot};
use meros_proto::resources::{ReservationFormat, Resources};
use meros_proto::v1;
use prost::Message;
use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};

use crate::api::legacy::encoded;
use crate::api::legacy::resources::ByName;
use crate::api::legacy::sequence::Sequence;
use crate::api::wire;

/// `AgentInfo.attributes`.
const ATTRIBUTES: u32 = 5;
/// `AgentInfo.domain`.
const DOMAIN: u32 = 10;

/// An agent, read when it is written.
pub(super) struct AgentObject<'a> {
    agent: &'a AgentView,
    /// With the resources as messages beside the sums.
    full: bool,
}

#[derive(Serialize)]
struct Fields<'a> {
    id: &'a str,
    hostname: &'a str,
    port: u16,
    attributes: Attributes<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    domain: Option<v1::DomainInfo>,
    pid: &'a str,
    registered_time: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    reregistered_time: Option<f64>,
    resources: ByName<'a>,
    used_resources: ByName<'a>,
    offered_resources: ByName<'a>,
    reserved_resources: BTreeMap<String, ByName<'a>>,
    unreserved_resources: ByName<'a>,
    active: bool,
    connected: bool,
    deactivated: bool,
    version: &'a str,
    capabilities: &'a [String],
    #[serde(flatten)]
    full: Option<Full>,
}

#[derive(Serialize)]
struct Full {
    reserved_resources_full: BTreeMap<String, Vec<v1::Resource>>,
    unreserved_resources_full: Vec<v1::Resource>,
    used_resources_full: Vec<v1::Resource>,
    offered_resources_full: Vec<v1::Resource>,
}

impl Serialize for AgentObject<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (agent, spec) = (self.agent, &self.agent.spec);
        let reserved = spec.resources.reservations();
        // Mostly nothing is reserved, and then nothing is to be taken apart.
        let unreserved = match reserved.is_empty() {
            true => Cow::Borrowed(&spec.resources),
            false => Cow::Owned(spec.resources.unreserved()),
        };
        let as_messages = |resources: &Resources| resources.to_protos(ReservationFormat::Legacy);
        let full = self.full.then(|| Full {
            reserved_resources_full: reserved
                .iter()
                .map(|(role, resources)| (role.to_string(), as_messages(resources)))
                .collect(),
            unreserved_resources_full: as_messages(&unreserved),
            used_resources_full: as_messages(&agent.used),
            offered_resources_full: as_messages(&agent.offered),
        });
        Fields {
            id: agent.id.as_str(),
            hostname: &spec.hostname,
            port: spec.port,
            attributes: Attributes(&spec.raw),
            domain: encoded::bytes(&spec.raw, DOMAIN).map(decoded),
            pid: &spec.pid,
            registered_time: agent.registered.as_secs_f64(),
            reregistered_time: agent.reregistered.map(|time| time.as_secs_f64()),
            resources: ByName(&spec.resources),
            used_resources: ByName(&agent.used),
            offered_resources: ByName(&agent.offered),
            reserved_resources: reserved
                .iter()
                .map(|(role, resources)| (role.to_string(), ByName(resources)))
                .collect(),
            unreserved_resources: ByName(&unreserved),
            active: agent.active,
            connected: agent.connected,
            deactivated: !agent.activity.is_active(),
            version: &spec.version,
            capabilities: &spec.capabilities,
            full,
        }
        .serialize(serializer)
    }
}

/// Attributes of an encoded AgentInfo as an object: numbers for scalars, text for all else.
struct Attributes<'a>(&'a [u8]);

impl Serialize for Attributes<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for attribute in encoded::all_bytes(self.0, ATTRIBUTES).map(decoded::<v1::Attribute>) {
            let name = attribute.name();
            if let Some(scalar) = &attribute.scalar {
                map.serialize_entry(name, &scalar.value())?;
            } else if let Some(ranges) = &attribute.ranges {
                let ranges: Vec<_> = ranges.range.iter().map(range).collect();
                map.serialize_entry(name, &format!("[{}]", ranges.join(", ")))?;
            } else if let Some(set) = &attribute.set {
                map.serialize_entry(name, &format!("{{{}}}", set.item.join(", ")))?;
            } else {
                let text = attribute.text.as_ref().map_or("", |text| text.value());
                map.serialize_entry(name, text)?;
            }
        }
        map.end()
    }
}

fn decoded<T: Message + Default>(encoded: &[u8]) -> T {
    T::decode(encoded).unwrap_or_default()
}

fn range(range: &v1::value::Range) -> String {
    format!("{}-{}", range.begin(), range.end())
}

/// An agent that was registered before the master started and isn't back.
#[derive(Serialize)]
pub(super) struct RecoveredObject {
    id: String,
    hostname: String,
    port: i32,
}

impl RecoveredObject {
    fn new(agent: &RecoveredAgent) -> Self {
        let info: v1::AgentInfo = wire::kept(&agent.raw);
        Self { id: agent.id.to_string(), hostname: info.hostname().to_owned(), port: info.port() }
    }
}

/// The registered agents, as `/state` lists them.
pub(super) fn all(snapshot: &Snapshot) -> impl Iterator<Item = AgentObject<'_>> + Clone {
    snapshot.agents.iter().map(|agent| AgentObject { agent, full: false })
}

/// The agents that are waited for.
pub(super) fn recovered(snapshot: &Snapshot) -> impl Iterator<Item = RecoveredObject> + Clone {
    snapshot.recovered_agents.iter().map(RecoveredObject::new)
}

/// `/slaves`.
pub(super) struct Slaves<'a> {
    snapshot: &'a Snapshot,
    only: Option<&'a str>,
}

impl<'a> Slaves<'a> {
    pub(super) fn new(snapshot: &'a Snapshot, only: Option<&'a str>) -> Self {
        Self { snapshot, only }
    }
}

impl Serialize for Slaves<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Body<A, R> {
            slaves: A,
            recovered_slaves: R,
        }
        let wanted = |id: &str| self.only.is_none_or(|only| only == id);
        let agents = self.snapshot.agents.iter().filter(|agent| wanted(agent.id.as_str()));
        let recovered = self.snapshot.recovered_agents.iter();
        let recovered = recovered.filter(|agent| wanted(agent.id.as_str()));
        Body {
            slaves: Sequence(agents.map(|agent| AgentObject { agent, full: true })),
            recovered_slaves: Sequence(recovered.map(RecoveredObject::new)),
        }
        .serialize(serializer)
    }
}
