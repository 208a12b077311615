//! What must hold of the allocator's books. Walks everything: for tests, after every step.

use std::collections::BTreeMap;

use meros_proto::resources::Quantities;

use crate::allocator::{Allocator, ClientIx};

impl Allocator {
    /// Which invariant is broken, if any.
    pub(crate) fn broken_invariant(&self) -> Option<String> {
        let mut holds: BTreeMap<ClientIx, Quantities> = BTreeMap::new();
        let mut cluster = Quantities::new();
        for (index, agent) in self.agents.iter() {
            if let Some(broken) = agent.broken() {
                return Some(format!("{index:?}: {broken}"));
            }
            let is_open = agent.is_active && !agent.free().is_empty();
            if is_open != self.open.contains(&index) {
                return Some(format!("{index:?} is open: {is_open}; the list says otherwise"));
            }
            cluster += &agent.total().quantities();
            for (client, given) in agent.given() {
                *holds.entry(*client).or_default() += &given.quantities();
            }
        }
        let clients = self
            .clients
            .iter()
            .map(|(index, client)| (client.node, holds.get(&index).cloned().unwrap_or_default()));
        self.shares.broken(clients, &cluster)
    }
}
