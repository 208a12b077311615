//! What the master knows of agents, and how it tells them things.
//!
//! Registration is in [`crate::register`], pings and loss in [`crate::unreachable`].

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;
use meros_proto::ids::{AgentId, TaskId};
use meros_proto::resources::Resources;
use meros_proto::time::Timestamp;

use crate::Out;
use crate::arena::{AgentIx, Arena, FrameworkIx};
use crate::input::LinkRef;
use crate::model::AgentSpec;
use crate::output::{AgentMessage, Effect};

/// Unreachable agents that are remembered; the oldest are forgotten first.
const UNREACHABLE_MAX: usize = 102_400;

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

/// All agents.
#[derive(Debug)]
pub(crate) struct Agents {
    pub(crate) all: Arena<AgentIx, Agent>,
    pub(crate) by_id: BTreeMap<AgentId, AgentIx>,
    pub(crate) by_link: BTreeMap<LinkRef, AgentIx>,
    /// Those without a link.
    disconnected: BTreeSet<AgentIx>,
    /// Known from before the master's start and not back yet, with their encoded infos.
    pub(crate) recovered: BTreeMap<AgentId, Bytes>,
    pub(crate) unreachable: BTreeMap<AgentId, Timestamp>,
    unreachable_order: BTreeSet<(Timestamp, AgentId)>,
    minted: u64,
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
        }
    }
}

impl Agents {
    pub(crate) fn new() -> Self {
        Self {
            all: Arena::new(),
            by_id: BTreeMap::new(),
            by_link: BTreeMap::new(),
            disconnected: BTreeSet::new(),
            recovered: BTreeMap::new(),
            unreachable: BTreeMap::new(),
            unreachable_order: BTreeSet::new(),
            minted: 0,
        }
    }

    /// A fresh id: `<master>-S0`, counted up.
    pub(crate) fn mint(&mut self, master: &str) -> AgentId {
        let id = format!("{master}-S{}", self.minted);
        self.minted += 1;
        AgentId::parse(&id).expect("a master's id with a number is an id")
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
        let agent = self.all.get_mut(index)?;
        let before = std::mem::replace(&mut agent.link, link);
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

    pub(crate) fn remember_unreachable(&mut self, id: AgentId, since: Timestamp) {
        self.forget_unreachable(&id);
        self.unreachable.insert(id.clone(), since);
        self.unreachable_order.insert((since, id));
        if self.unreachable_order.len() > UNREACHABLE_MAX
            && let Some((_, oldest)) = self.unreachable_order.pop_first()
        {
            self.unreachable.remove(&oldest);
        }
    }

    /// The agent is back. Answers whether it had been unreachable.
    pub(crate) fn forget_unreachable(&mut self, id: &AgentId) -> bool {
        let since = self.unreachable.remove(id);
        since.is_some_and(|since| self.unreachable_order.remove(&(since, id.clone())))
    }
}
