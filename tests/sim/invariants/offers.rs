//! How often an agent is offered to a framework.

use std::collections::BTreeMap;
use std::time::Duration;

use meros_master_core::{Input, LinkRef, SchedulerCall, SchedulerEvent};
use meros_proto::ids::{AgentId, FrameworkId, OfferId};
use meros_proto::resources::Resources;
use meros_proto::task_state::holds_resources;
use meros_proto::time::Mono;

/// The least time between two offers of what a framework left over.
const INTERVAL: Duration = Duration::from_secs(1);
/// So often what was refused within that time may come again: offered twice, that is.
const AGAIN_MAX: usize = 1;

/// An agent and whom it is offered to.
type Pair = (AgentId, FrameworkId);

/// What a framework has refused of an agent, since there was something new.
#[derive(Debug, Default)]
struct Refused {
    refusals: Vec<(Mono, Resources)>,
    offered_again: Vec<Mono>,
}

/// Watches one run of the master.
///
/// Only what is no more than one refusal counts as the same: crumbs that were refused one by one
/// make more than each of them (Mesos, MESOS-9616).
#[derive(Debug, Default)]
pub(crate) struct OfferWatch {
    refused: BTreeMap<Pair, Refused>,
    offers: BTreeMap<OfferId, (Pair, Resources)>,
    of_link: BTreeMap<LinkRef, AgentId>,
}

impl OfferWatch {
    /// The master is told something: is there more to offer than before?
    pub(crate) fn master_hears(&mut self, now: Mono, input: &Input) {
        match input {
            Input::Subscribe(subscribe) => {
                if let Some(id) = &subscribe.framework_id {
                    self.refused.retain(|(_, framework), _| framework != id);
                }
            }
            Input::Call(call) => self.called(now, &call.framework, &call.call),
            Input::AgentRegister(register) => {
                if let Some(agent) = &register.agent_id {
                    self.of_link.insert(register.link, agent.clone());
                    self.more_on(agent);
                }
            }
            Input::AgentUpdate { link, latest_state, .. } if !holds_resources(*latest_state) => {
                match self.of_link.get(link).cloned() {
                    Some(agent) => self.more_on(&agent),
                    // An agent's first link, before its id was known here.
                    None => self.refused.clear(),
                }
            }
            // Whole frameworks and agents go: anything may be free now.
            Input::StreamClosed { .. } | Input::OperatorTeardown { .. } => self.refused.clear(),
            _ => {}
        }
    }

    fn more_on(&mut self, agent: &AgentId) {
        self.refused.retain(|(on, _), _| on != agent);
    }

    fn called(&mut self, now: Mono, by: &FrameworkId, call: &SchedulerCall) {
        match call {
            SchedulerCall::Decline { offers, .. } => {
                for offer in offers {
                    let Some((pair, resources)) = self.offers.remove(offer) else { continue };
                    // To the others it is new.
                    self.refused.retain(|(on, to), _| *on != pair.0 || to == by);
                    self.refused.entry(pair).or_default().refusals.push((now, resources));
                }
            }
            SchedulerCall::Accept { offers, .. } => {
                for offer in offers {
                    if let Some((pair, _)) = self.offers.remove(offer) {
                        self.refused.retain(|(on, to), _| *on != pair.0 || to == by);
                    }
                }
            }
            SchedulerCall::Revive { .. } => self.refused.retain(|(_, to), _| to != by),
            SchedulerCall::Teardown | SchedulerCall::Suppress { .. } => self.refused.clear(),
            _ => {}
        }
    }

    /// The master tells a framework something. An excess of offers is returned.
    pub(crate) fn master_tells(&mut self, now: Mono, event: &SchedulerEvent) -> Option<String> {
        match event {
            SchedulerEvent::Offers(offers) => offers.iter().find_map(|offer| {
                let pair = (offer.agent.clone(), offer.framework.clone());
                self.offers.insert(offer.id.clone(), (pair.clone(), offer.resources.clone()));
                let refused = self.refused.get_mut(&pair)?;
                refused.refusals.retain(|(at, _)| now.since(*at) < INTERVAL);
                refused.offered_again.retain(|at| now.since(*at) < INTERVAL);
                let covers = |(_, one): &(Mono, Resources)| one.contains(&offer.resources);
                if refused.refusals.iter().any(covers) {
                    refused.offered_again.push(now);
                }
                (refused.offered_again.len() > AGAIN_MAX).then(|| {
                    format!("{} to {} in spite of {refused:?}", offer.agent, offer.framework)
                })
            }),
            SchedulerEvent::Rescind(offer) => {
                if let Some(((agent, _), _)) = self.offers.remove(offer) {
                    self.more_on(&agent);
                }
                None
            }
            // A task that the master itself ends frees what it held.
            SchedulerEvent::Update(_) | SchedulerEvent::Failure { .. } => {
                self.refused.clear();
                None
            }
            _ => None,
        }
    }
}
