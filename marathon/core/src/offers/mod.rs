//! Offers, and how launches find theirs.
//!
//! An offer is never kept: in the round in which it comes it is used or declined. `matching`
//! decides, `resources` and `ports` say what fits, [`explain`] remembers what didn't and why.

use std::collections::BTreeMap;
use std::time::Duration;

use meros_proto::attributes::{AttributeError, Attributes};
use meros_proto::ids::{AgentId, IdError, OfferId};
use meros_proto::resources::{ResourceError, Resources};
use meros_proto::time::Timestamp;
use meros_proto::v1;

use crate::instances::Agent;
use crate::placement;

pub mod explain;
pub(crate) mod matching;
pub(crate) mod ports;
pub(crate) mod resources;

/// Resources of one agent, to be had for one role.
#[derive(Debug, Clone)]
pub struct Offer {
    /// Its name.
    pub id: OfferId,
    /// The agent that it is of.
    pub agent: Agent,
    /// The agent's attributes.
    pub attributes: Attributes,
    /// What is offered.
    pub resources: Resources,
    /// The role that it is offered to.
    pub role: String,
    /// When the agent is to be taken down.
    pub maintenance: Option<Maintenance>,
}

/// When an agent is not to be relied upon.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Maintenance {
    /// When it begins.
    pub start: Timestamp,
    /// How long it lasts. `None`: for ever.
    pub duration: Option<Duration>,
}

impl Maintenance {
    /// Whether it is going on, or begins within `draining`.
    pub fn is_on(&self, now: Timestamp, draining: Duration) -> bool {
        let over = self.duration.is_some_and(|duration| self.start + duration <= now);
        self.start <= now + draining && !over
    }
}

/// Why an offer could not be read.
#[derive(Debug, thiserror::Error)]
pub enum BadOffer {
    /// An id is missing or breaks the rules.
    #[error("an id of the offer")]
    Id(#[from] IdError),
    /// The attributes make no sense.
    #[error("the attributes of the offer")]
    Attributes(#[from] AttributeError),
    /// The resources make no sense.
    #[error("the resources of the offer")]
    Resources(#[from] ResourceError),
}

impl Offer {
    /// Reads an offer as it is on the wire.
    ///
    /// # Errors
    /// When its ids, attributes or resources break the rules.
    pub fn parse(offer: &v1::Offer) -> Result<Self, BadOffer> {
        // Constraints know sets, attributes don't.
        let is_set = |attribute: &&v1::Attribute| attribute.set.is_some();
        let (sets, others): (Vec<_>, Vec<_>) = offer.attributes.iter().partition(is_set);
        let others: Vec<v1::Attribute> = others.into_iter().cloned().collect();
        let attributes = Attributes::from_protos(&others)?;
        let domain = offer.domain.as_ref().and_then(|domain| domain.fault_domain.as_ref());
        let mut of_constraints = BTreeMap::new();
        for attribute in others.iter().chain(sets) {
            if let (Some(name), Some(text)) = (&attribute.name, placement::text_of(attribute)) {
                of_constraints.entry(name.clone()).or_insert(text);
            }
        }
        let allocation = offer.allocation_info.as_ref().and_then(|info| info.role.clone());
        Ok(Self {
            id: OfferId::from_proto(offer.id.as_ref())?,
            agent: Agent {
                id: AgentId::from_proto(offer.agent_id.as_ref())?,
                hostname: offer.hostname.clone().unwrap_or_default(),
                region: domain.and_then(|domain| domain.region.as_ref()?.name.clone()),
                zone: domain.and_then(|domain| domain.zone.as_ref()?.name.clone()),
                attributes: of_constraints,
            },
            attributes,
            resources: Resources::from_protos(&offer.resources)?,
            role: allocation.unwrap_or_else(|| "*".into()),
            maintenance: offer.unavailability.as_ref().map(maintenance),
        })
    }
}

fn maintenance(window: &v1::Unavailability) -> Maintenance {
    let nanos = |nanos: Option<i64>| u64::try_from(nanos.unwrap_or(0)).unwrap_or(0);
    Maintenance {
        start: Timestamp::from_nanos(nanos(window.start.as_ref().and_then(|at| at.nanoseconds))),
        duration: window
            .duration
            .as_ref()
            .map(|duration| Duration::from_nanos(nanos(duration.nanoseconds))),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use meros_proto::resources::Role;

    use super::*;

    /// An offer of `resources` of the agent `agent`, to the role `*`.
    pub(crate) fn offer(agent: &str, resources: &str) -> Offer {
        Offer {
            id: OfferId::parse(&format!("offer-of-{agent}")).unwrap(),
            agent: Agent {
                id: AgentId::parse(agent).unwrap(),
                hostname: format!("{agent}.local"),
                region: None,
                zone: None,
                attributes: BTreeMap::new(),
            },
            attributes: Attributes::new(),
            resources: Resources::parse(resources, &Role::star()).unwrap(),
            role: "*".into(),
            maintenance: None,
        }
    }

    #[test]
    fn an_offer_is_read_with_its_agent_as_constraints_see_it() {
        let attributes = Attributes::parse("rack:r1;size:4.50;rack:r2;free:[3-9,1-1]").unwrap();
        let wire = v1::Offer {
            id: Some(v1::OfferId { value: Some("o".into()) }),
            agent_id: Some(v1::AgentId { value: Some("a".into()) }),
            hostname: Some("h".into()),
            attributes: attributes.to_protos(),
            allocation_info: Some(v1::resource::AllocationInfo { role: Some("dev".into()) }),
            unavailability: Some(v1::Unavailability {
                start: Some(v1::TimeInfo { nanoseconds: Some(5) }),
                duration: Some(v1::DurationInfo { nanoseconds: Some(5) }),
            }),
            ..Default::default()
        };
        let offer = Offer::parse(&wire).unwrap();
        assert_eq!((offer.role.as_str(), offer.agent.hostname.as_str()), ("dev", "h"));
        let known: Vec<_> =
            offer.agent.attributes.iter().map(|(name, text)| format!("{name}={text}")).collect();
        assert_eq!(known, ["free=[1-1,3-9]", "rack=r1", "size=4.5"]);
        let window = offer.maintenance.unwrap();
        let on = |draining| {
            [2, 3, 4, 5, 9, 10].map(|at| window.is_on(Timestamp::from_nanos(at), draining))
        };
        assert_eq!(on(Duration::ZERO), [false, false, false, true, true, false]);
        assert_eq!(on(Duration::from_nanos(2)), [false, true, true, true, true, false]);
        assert!(Offer::parse(&v1::Offer::default()).is_err());
    }
}
