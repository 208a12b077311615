//! One node of the tree of shares: a role, a role's own frameworks, or a framework under a role.
//!
//! What it means to give to a node is in [`crate::allocator::shares`].

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use meros_proto::resources::Quantities;

use crate::allocator::ClientIx;
use crate::arena::dense;

dense! {
    /// A node of the tree; reused once the node is gone.
    NodeIx;
}

#[derive(Debug)]
pub(super) struct Node {
    pub(super) parent: Option<NodeIx>,
    pub(super) name: Arc<str>,
    pub(super) client: Option<ClientIx>,
    pub(super) weight: f64,
    pub(super) given: Quantities,
    pub(super) times_given: u64,
    pub(super) share: f64,
    pub(super) children: BTreeMap<Arc<str>, NodeIx>,
    pub(super) wanting: BTreeSet<Rank>,
    pub(super) picked: BTreeSet<Rank>,
    /// This client wants offers; of a role: one below it does.
    pub(super) is_wanting: bool,
    pub(super) is_picked: bool,
}

/// Where a node stands among its siblings.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Rank {
    pub(super) share: f64,
    pub(super) times_given: u64,
    pub(super) name: Arc<str>,
    pub(super) node: NodeIx,
}

impl Eq for Rank {}

impl Ord for Rank {
    fn cmp(&self, other: &Self) -> Ordering {
        self.share
            .total_cmp(&other.share)
            .then_with(|| self.times_given.cmp(&other.times_given))
            .then_with(|| self.name.cmp(&other.name))
    }
}

impl PartialOrd for Rank {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Node {
    pub(super) fn new(
        parent: Option<NodeIx>,
        name: Arc<str>,
        client: Option<ClientIx>,
        weight: f64,
    ) -> Self {
        Self {
            parent,
            name,
            client,
            weight,
            given: Quantities::new(),
            times_given: 0,
            share: 0.0,
            children: BTreeMap::new(),
            wanting: BTreeSet::new(),
            picked: BTreeSet::new(),
            is_wanting: false,
            is_picked: false,
        }
    }
}

/// The greatest share of any resource. What the cluster has nothing of counts for nothing.
pub(super) fn dominant(given: &Quantities, cluster: &Quantities) -> f64 {
    given.iter().fold(0.0, |greatest, (name, amount)| {
        let total = cluster.get(name).as_f64();
        if total > 0.0 { f64::max(greatest, amount.as_f64() / total) } else { greatest }
    })
}
