//! What the master knows of agents, and how it tells them things.
//!
//! Registration is in [`super::register`], pings and loss in [`super::unreachable`].

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use meros_proto::ids::{AgentId, TaskId};
use meros_proto::resources::Resources;
use meros_proto::time::Timestamp;

use crate::Out;
use crate::arena::{AgentIx, Arena, FrameworkIx};
use crate::input::LinkRef;
use crate::model::AgentSpec;
use crate::output::{AgentMessage, Effect};
use crate::registry::{Activity, State};
use crate::snapshot::AgentView;

/// One registered agent.
#[derive(Debug)]
pub(crate) struct Agent {
    pub(crate) id: AgentId,
    pub(crate) spec: Arc<AgentSpec>,
    /// `None`: it is disconnected, and may come back until it has missed too many pings.
    pub(crate) link: Option<LinkRef>,
    pub(crate) registered: Timestamp,
    pub(crate) reregistered: Option<Timestamp>,
    pub(crate) tasks: BTreeSet<(FrameworkIx, TaskId)>,
    pub(crate) offers: BTreeSet<u64>,
    pub(crate) used: Resources,
    pub(crate) offered: Resources,
    pub(crate) pings: Pings,
    /// Tasks that it did not report when it registered, until it has answered on its link.
    pub(crate) doubtful: BTreeSet<(FrameworkIx, TaskId)>,
    /// How it was shown last, if nothing that is shown changed since.
    view: Option<Arc<AgentView>>,
}

/// What is known of an agent's being alive.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Pings {
    /// Of the last ping.
    pub(crate) sequence: u64,
    /// The last ping isn't answered yet.
    pub(crate) unanswered: bool,
    /// So many before it weren't either.
    pub(crate) missed: u32,
}

/// All agents that registered with this master. Who else was admitted, and who is unreachable, is in
/// the registry.
#[derive(Debug)]
pub(crate) struct Agents {
    all: Arena<AgentIx, Agent>,
    pub(crate) by_id: BTreeMap<AgentId, AgentIx>,
    pub(crate) by_link: BTreeMap<LinkRef, AgentIx>,
    /// Those without a link.
    disconnected: BTreeSet<AgentIx>,
}

impl Agent {
    pub(crate) fn new(id: AgentId, spec: AgentSpec, link: LinkRef, now: Timestamp) -> Self {
        Self {
            id,
            spec: Arc::new(spec),
            link: Some(link),
            registered: now,
            reregistered: None,
            tasks: BTreeSet::new(),
            offers: BTreeSet::new(),
            used: Resources::new(),
            offered: Resources::new(),
            pings: Pings::default(),
            doubtful: BTreeSet::new(),
            view: None,
        }
    }

    /// Whether it was shown otherwise than it is now, and would be again.
    pub(crate) fn is_shown_wrongly(&self, registry: &State) -> bool {
        let activity = registry.activity(&self.id).unwrap_or_default();
        self.view.as_ref().is_some_and(|view| **view != view_of(self, activity))
    }
}

impl Agents {
    pub(crate) fn new() -> Self {
        Self {
            all: Arena::new(),
            by_id: BTreeMap::new(),
            by_link: BTreeMap::new(),
            disconnected: BTreeSet::new(),
        }
    }

    pub(crate) fn get(&self, index: AgentIx) -> Option<&Agent> {
        self.all.get(index)
    }

    /// For changes of anything but pings, of what the registry says of it too.
    pub(crate) fn get_mut(&mut self, index: AgentIx) -> Option<&mut Agent> {
        let agent = self.all.get_mut(index)?;
        agent.view = None;
        Some(agent)
    }

    pub(crate) fn pings_mut(&mut self, index: AgentIx) -> Option<&mut Pings> {
        Some(&mut self.all.get_mut(index)?.pings)
    }

    /// In the order of their registration.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (AgentIx, &Agent)> {
        self.all.iter()
    }

    /// How the agents look, by id. Those that didn't change since the last time aren't looked at
    /// again.
    pub(crate) fn views(&mut self, registry: &State) -> Vec<Arc<AgentView>> {
        let mut views = Vec::with_capacity(self.by_id.len());
        for index in self.by_id.values() {
            let Some(agent) = self.all.get_mut(*index) else { continue };
            let view = agent.view.take().unwrap_or_else(|| {
                let activity = registry.activity(&agent.id).unwrap_or_default();
                Arc::new(view_of(agent, activity))
            });
            agent.view = Some(Arc::clone(&view));
            views.push(view);
        }
        views
    }

    /// Sends a message to an agent if it is connected.
    pub(crate) fn tell(&self, index: AgentIx, message: AgentMessage, out: &mut Out) {
        if let Some(link) = self.all.get(index).and_then(|agent| agent.link) {
            out.effect(Effect::ToAgent { link, message });
        }
    }

    /// The agent of this id, while its link is up.
    pub(crate) fn connected(&self, id: &AgentId) -> Option<AgentIx> {
        let index = *self.by_id.get(id)?;
        self.all.get(index)?.link.map(|_| index)
    }

    /// The agent that registered on this link.
    pub(crate) fn on_link(&self, link: LinkRef) -> Option<(AgentIx, &Agent)> {
        let index = *self.by_link.get(&link)?;
        Some((index, self.all.get(index)?))
    }

    /// Takes in an agent, whose link is up.
    pub(crate) fn insert(&mut self, agent: Agent) -> AgentIx {
        let (id, link) = (agent.id.clone(), agent.link);
        let index = self.all.insert(agent);
        self.by_id.insert(id, index);
        self.set_link(index, link);
        index
    }

    /// Takes an agent out.
    pub(crate) fn remove(&mut self, index: AgentIx) -> Option<Box<Agent>> {
        self.set_link(index, None);
        self.disconnected.remove(&index);
        let agent = self.all.remove(index)?;
        self.by_id.remove(&agent.id);
        Some(agent)
    }

    /// Says over which link an agent is reached, if any. Answers over which it was before.
    pub(crate) fn set_link(&mut self, index: AgentIx, link: Option<LinkRef>) -> Option<LinkRef> {
        let agent = self.get_mut(index)?;
        let before = std::mem::replace(&mut agent.link, link);
        agent.doubtful.clear();
        if let Some(before) = before {
            self.by_link.remove(&before);
        }
        match link {
            Some(link) => {
                self.by_link.insert(link, index);
                self.disconnected.remove(&index);
            }
            None => {
                self.disconnected.insert(index);
            }
        }
        before
    }

    /// The disconnected agent that was reached at the address of `spec`.
    pub(crate) fn disconnected_at(&self, spec: &AgentSpec) -> Option<AgentIx> {
        self.disconnected.iter().copied().find(|index| {
            self.all.get(*index).is_some_and(|agent| {
                agent.spec.pid == spec.pid && agent.spec.hostname == spec.hostname
            })
        })
    }
}

fn view_of(agent: &Agent, activity: Activity) -> AgentView {
    let connected = agent.link.is_some();
    AgentView {
        id: agent.id.clone(),
        spec: Arc::clone(&agent.spec),
        connected,
        active: connected && activity.is_active(),
        activity,
        registered: agent.registered,
        reregistered: agent.reregistered,
        used: agent.used.clone(),
        offered: agent.offered.clone(),
    }
}
