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
/// So many offers may come in that time, when nothing new is there to offer.
const OFFERS_MAX: usize = 2;

/// Watches one run of the master.
#[derive(Debug, Default)]
pub(crate) struct OfferWatch {
    /// Offers since there was something new, by agent and framework.
    recent: BTreeMap<(AgentId, FrameworkId), Vec<(Mono, Resources)>>,
    of_offer: BTreeMap<OfferId, (AgentId, FrameworkId)>,
    of_link: BTreeMap<LinkRef, AgentId>,
}

impl OfferWatch {
    /// The master is told something: is there more to offer than before?
    pub(crate) fn master_hears(&mut self, _: Mono, input: &Input) {
        match input {
            Input::Subscribe(subscribe) => {
                if let Some(id) = &subscribe.framework_id {
                    self.recent.retain(|(_, framework), _| framework != id);
                }
            }
            Input::Call(call) => self.called(&call.framework, &call.call),
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
                    None => self.recent.clear(),
                }
            }
            // Whole frameworks and agents go: anything may be free now.
            Input::StreamClosed { .. } | Input::OperatorTeardown { .. } => self.recent.clear(),
            _ => {}
        }
    }

    fn more_on(&mut self, agent: &AgentId) {
        self.recent.retain(|(on, _), _| on != agent);
    }

    fn called(&mut self, by: &FrameworkId, call: &SchedulerCall) {
        match call {
            SchedulerCall::Accept { offers, .. } | SchedulerCall::Decline { offers, .. } => {
                for offer in offers {
                    // To the others it is new.
                    if let Some((agent, _)) = self.of_offer.remove(offer) {
                        self.recent.retain(|(on, to), _| *on != agent || to == by);
                    }
                }
            }
            SchedulerCall::Revive { .. } => self.recent.retain(|(_, to), _| to != by),
            SchedulerCall::Teardown | SchedulerCall::Suppress { .. } => self.recent.clear(),
            _ => {}
        }
    }

    /// The master tells a framework something. An excess of offers is returned.
    pub(crate) fn master_tells(&mut self, now: Mono, event: &SchedulerEvent) -> Option<String> {
        match event {
            SchedulerEvent::Offers(offers) => offers.iter().find_map(|offer| {
                let key = (offer.agent.clone(), offer.framework.clone());
                self.of_offer.insert(offer.id.clone(), key.clone());
                let earlier = self.recent.entry(key).or_default();
                earlier.retain(|(time, _)| now.since(*time) < INTERVAL);
                // Crumbs that were refused one by one make more than each of them.
                let same = |(_, before): &&(Mono, Resources)| before.contains(&offer.resources);
                let times = 1 + earlier.iter().filter(same).count();
                earlier.push((now, offer.resources.clone()));
                (times > OFFERS_MAX).then(|| {
                    format!("{} was offered to {}: {earlier:?}", offer.agent, offer.framework)
                })
            }),
            SchedulerEvent::Rescind(offer) => {
                if let Some((agent, _)) = self.of_offer.remove(offer) {
                    self.more_on(&agent);
                }
                None
            }
            // A task that the master itself ends frees what it held.
            SchedulerEvent::Update(_) | SchedulerEvent::Failure { .. } => {
                self.recent.clear();
                None
            }
            _ => None,
        }
    }
}
