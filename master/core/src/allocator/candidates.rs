//! What changed since the last round, and therefore has to be looked at: nothing else is.
//!
//! An agent that gained something is shown to all, a client that wants more is shown all agents,
//! and one whose refusal of an agent expired is shown that agent. An agent whose resources are
//! coming back piece by piece, as several tasks end, is held until it has been quiet for a moment,
//! so that it is offered whole instead of in crumbs.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use meros_proto::time::Mono;

use crate::allocator::ClientIx;
use crate::arena::AgentIx;

/// What the next round is about.
#[derive(Debug, Default)]
pub(crate) struct Candidates {
    agents: BTreeSet<AgentIx>,
    clients: BTreeSet<ClientIx>,
    pairs: BTreeMap<AgentIx, BTreeSet<ClientIx>>,
    held: BTreeMap<AgentIx, Hold>,
    released: BTreeSet<(Mono, AgentIx)>,
}

#[derive(Debug, Clone, Copy)]
struct Hold {
    first_piece: Mono,
    until: Mono,
}

/// What one round is about.
#[derive(Debug, Default)]
pub(crate) struct Changed {
    /// To be shown to all.
    pub(crate) agents: BTreeSet<AgentIx>,
    /// To be shown all agents.
    pub(crate) clients: BTreeSet<ClientIx>,
    /// To be shown to these.
    pub(crate) pairs: BTreeMap<AgentIx, BTreeSet<ClientIx>>,
}

impl Candidates {
    /// The agent has more to offer.
    pub(crate) fn add_agent(&mut self, agent: AgentIx) {
        self.agents.insert(agent);
    }

    /// The client wants more than before.
    pub(crate) fn add_client(&mut self, client: ClientIx) {
        self.clients.insert(client);
    }

    /// The client might want this agent again.
    pub(crate) fn add_pair(&mut self, agent: AgentIx, client: ClientIx) {
        self.pairs.entry(agent).or_default().insert(client);
    }

    /// A piece of the agent came back: it is held until `quiet` passes without another, `longest`
    /// at most.
    pub(crate) fn hold(&mut self, now: Mono, agent: AgentIx, quiet: Duration, longest: Duration) {
        let first_piece = self.held.get(&agent).map_or(now, |hold| hold.first_piece);
        let until = (now + quiet).min(first_piece + longest);
        if let Some(before) = self.held.insert(agent, Hold { first_piece, until }) {
            self.released.remove(&(before.until, agent));
        }
        self.released.insert((until, agent));
    }

    /// Whether the agent is held.
    pub(crate) fn is_held(&self, agent: AgentIx) -> bool {
        self.held.contains_key(&agent)
    }

    /// Ends the holds that are due.
    pub(crate) fn release(&mut self, now: Mono) {
        while let Some(&(until, agent)) = self.released.first().filter(|(until, _)| *until <= now) {
            self.released.remove(&(until, agent));
            self.held.remove(&agent);
            self.agents.insert(agent);
        }
    }

    /// When the next hold ends.
    pub(crate) fn next_release(&self) -> Option<Mono> {
        self.released.first().map(|(until, _)| *until)
    }

    /// Forgets an agent that is gone.
    pub(crate) fn forget_agent(&mut self, agent: AgentIx) {
        self.agents.remove(&agent);
        self.pairs.remove(&agent);
        if let Some(hold) = self.held.remove(&agent) {
            self.released.remove(&(hold.until, agent));
        }
    }

    /// Whether nothing has to be looked at.
    pub(crate) fn is_empty(&self) -> bool {
        self.agents.is_empty() && self.clients.is_empty() && self.pairs.is_empty()
    }

    /// Takes out what the round that begins is about.
    pub(crate) fn take(&mut self) -> Changed {
        Changed {
            agents: std::mem::take(&mut self.agents),
            clients: std::mem::take(&mut self.clients),
            pairs: std::mem::take(&mut self.pairs),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arena::Dense;

    #[test]
    fn an_agent_is_held_until_it_is_quiet_but_never_for_long() {
        let millis = |n| Mono::default() + Duration::from_millis(n);
        let (quiet, longest) = (Duration::from_millis(5), Duration::from_millis(20));
        for (pieces, released) in [
            (vec![0], 5),
            (vec![0, 3], 8),
            (vec![0, 4, 8, 12], 17),
            (vec![0, 4, 8, 12, 16, 19], 20),
        ] {
            let (agent, mut candidates) = (AgentIx::of(0), Candidates::default());
            for piece in &pieces {
                candidates.release(millis(*piece));
                candidates.hold(millis(*piece), agent, quiet, longest);
            }
            assert_eq!(candidates.next_release(), Some(millis(released)), "{pieces:?}");
            candidates.release(millis(released) - Duration::from_nanos(1));
            assert!(candidates.is_held(agent) && candidates.is_empty());
            candidates.release(millis(released));
            assert!(!candidates.is_held(agent));
            assert_eq!(candidates.take().agents, BTreeSet::from([agent]));
            assert_eq!(candidates.next_release(), None);
        }
    }
}
