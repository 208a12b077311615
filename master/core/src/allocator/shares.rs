//! Who is owed most: the tree of roles and frameworks, kept in the order of their dominant shares.
//!
//! Weighted hierarchical DRF (Ghodsi et al., "Dominant Resource Fairness", NSDI 2011): a node's
//! share is the greatest of its shares of the cluster's scalar resources, divided by its weight.
//! Children are compared under their parent: by share, then by how often they were given
//! something, then by name. What is offered counts as given.
//!
//! A role's own frameworks stand under a node of their own beside its subroles, as in Mesos, so
//! that `eng` and `eng/web` compete fairly. Each node keeps its children in two orders: those who
//! want offers, and those of them that this round is about ([`Scope`]).

use std::collections::BTreeMap;
use std::sync::Arc;

use meros_proto::resources::{Quantities, Role};

use crate::allocator::ClientIx;
use crate::allocator::node::{Node, NodeIx, Rank, dominant};
use crate::arena::Dense;

/// The name of the node under which a role's own frameworks stand. No role is called so.
const OWN: &str = ".";

/// Whom a walk through the tree comes by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scope {
    /// All who want offers.
    Wanting,
    /// Those among them that were picked.
    Picked,
}

/// The tree.
#[derive(Debug)]
pub(crate) struct Shares {
    nodes: Vec<Option<Node>>,
    unused: Vec<NodeIx>,
    root: NodeIx,
    /// The registry's, shared.
    weights: Arc<BTreeMap<Role, f64>>,
    cluster: Quantities,
    /// The cluster's size changed: all shares are to be computed anew.
    stale: bool,
    picked: Vec<NodeIx>,
}

impl Shares {
    pub(crate) fn new() -> Self {
        let root = Node::new(None, Arc::from(""), None, 1.0);
        Self {
            nodes: vec![Some(root)],
            unused: Vec::new(),
            root: NodeIx::of(0),
            weights: Arc::default(),
            cluster: Quantities::new(),
            stale: false,
            picked: Vec::new(),
        }
    }

    /// Adds a client of `role` called `name`, which wants nothing yet.
    pub(crate) fn add_client(&mut self, role: &Role, name: &str, client: ClientIx) -> NodeIx {
        let own = self.own_node(role);
        self.child(own, name, Some(client), 1.0)
    }

    /// Takes a client out, and the roles that are empty without it.
    pub(crate) fn remove_client(&mut self, client: NodeIx) {
        self.set_wanting(client, false);
        let given = self.node(client).given.clone();
        self.take_back(client, &given);
        let mut at = client;
        while let Some(parent) = self.node(at).parent
            && self.node(at).children.is_empty()
        {
            let name = Arc::clone(&self.node(at).name);
            self.node_mut(parent).children.remove(&name);
            self.nodes[at.at()] = None;
            self.unused.push(at);
            at = parent;
        }
    }

    /// Says whether a client wants offers. Answers whether that is new.
    pub(crate) fn set_wanting(&mut self, client: NodeIx, wanting: bool) -> bool {
        if self.node(client).is_wanting == wanting {
            return false;
        }
        let mut at = client;
        loop {
            let wants = if at == client { wanting } else { !self.node(at).wanting.is_empty() };
            let (rank, parent) = (self.rank(at), self.node(at).parent);
            let node = self.node_mut(at);
            let changed = node.is_wanting != wants;
            node.is_wanting = wants;
            let was_picked = !wants && std::mem::take(&mut node.is_picked);
            let Some(parent) = parent.filter(|_| changed) else { return true };
            let siblings = self.node_mut(parent);
            if wants {
                siblings.wanting.insert(rank);
            } else {
                siblings.wanting.remove(&rank);
                if was_picked {
                    siblings.picked.remove(&rank);
                }
            }
            at = parent;
        }
    }

    /// Counts something as given to a client.
    pub(crate) fn give(&mut self, client: NodeIx, amounts: &Quantities) {
        self.change(client, |node| {
            node.given += amounts;
            node.times_given += 1;
        });
    }

    /// Counts something as given back by a client.
    pub(crate) fn take_back(&mut self, client: NodeIx, amounts: &Quantities) {
        self.change(client, |node| node.given -= amounts);
    }

    /// Takes over the weights of roles; each is above zero. None that was set vanishes.
    pub(crate) fn set_weights(&mut self, weights: Arc<BTreeMap<Role, f64>>) {
        for (role, weight) in &*weights {
            if let Some(node) = self.find(role).filter(|node| self.node(*node).weight != *weight) {
                self.update(node, |node| node.weight = *weight);
            }
        }
        self.weights = weights;
    }

    /// The cluster grew.
    pub(crate) fn grow(&mut self, amounts: &Quantities) {
        self.cluster += amounts;
        self.stale = true;
    }

    /// The cluster shrank.
    pub(crate) fn shrink(&mut self, amounts: &Quantities) {
        self.cluster -= amounts;
        self.stale = true;
    }

    /// Brings all shares up to date with the cluster's size. To be called before a round.
    pub(crate) fn refresh(&mut self) {
        if !std::mem::take(&mut self.stale) {
            return;
        }
        for at in 0..self.nodes.len() {
            if self.nodes[at].is_some() {
                let number = u32::try_from(at).expect("nodes are counted in 32 bits");
                self.update(NodeIx::of(number), |_| {});
            }
        }
    }

    /// Makes a client that wants offers one of those that [`Scope::Picked`] walks by.
    pub(crate) fn pick(&mut self, client: NodeIx) {
        let mut at = client;
        while self.node(at).is_wanting
            && !self.node(at).is_picked
            && let Some(parent) = self.node(at).parent
        {
            let rank = self.rank(at);
            self.node_mut(at).is_picked = true;
            self.node_mut(parent).picked.insert(rank);
            self.picked.push(at);
            at = parent;
        }
    }

    /// How many picks there are, for [`Shares::unpick_to`].
    pub(crate) fn picks(&self) -> usize {
        self.picked.len()
    }

    /// Undoes the picks after the first `picks`.
    pub(crate) fn unpick_to(&mut self, picks: usize) {
        for at in self.picked.split_off(picks) {
            // A pick ends by itself when its client stops wanting.
            if !self.node(at).is_picked {
                continue;
            }
            let rank = self.rank(at);
            let parent = self.node(at).parent.expect("the root is never picked");
            self.node_mut(at).is_picked = false;
            self.node_mut(parent).picked.remove(&rank);
        }
    }

    /// Walks by the clients, the one that is owed most first, until `visit` finds something.
    pub(crate) fn first<R>(
        &self,
        scope: Scope,
        mut visit: impl FnMut(ClientIx) -> Option<R>,
    ) -> Option<R> {
        self.walk(self.root, scope, &mut visit)
    }

    fn walk<R>(
        &self,
        at: NodeIx,
        scope: Scope,
        visit: &mut impl FnMut(ClientIx) -> Option<R>,
    ) -> Option<R> {
        let node = self.node(at);
        let order = match scope {
            Scope::Wanting => &node.wanting,
            Scope::Picked => &node.picked,
        };
        order.iter().find_map(|rank| match self.node(rank.node).client {
            Some(client) => visit(client),
            None => self.walk(rank.node, scope, visit),
        })
    }

    /// A role's dominant share, not divided by its weight, subroles included.
    pub(crate) fn dominant_share(&self, role: &Role) -> f64 {
        self.find(role).map_or(0.0, |node| dominant(&self.node(node).given, &self.cluster))
    }

    /// What is wrong with the books, if anything, given what the clients hold and how large the
    /// cluster is. For tests.
    pub(crate) fn broken(
        &self,
        clients: impl Iterator<Item = (NodeIx, Quantities)>,
        cluster: &Quantities,
    ) -> Option<String> {
        if self.cluster != *cluster {
            return Some(format!("the cluster has {cluster}, shares are of {}", self.cluster));
        }
        let mut all = Quantities::new();
        for (client, holds) in clients {
            all += &holds;
            let given = &self.node(client).given;
            if *given != holds {
                let name = &self.node(client).name;
                return Some(format!("client {name} holds {holds}, the tree says {given}"));
            }
        }
        let root = &self.node(self.root).given;
        (*root != all).then(|| format!("all clients hold {all}, the tree says {root}"))
    }

    /// Changes a client and, likewise, all that it stands under.
    fn change(&mut self, client: NodeIx, change: impl Fn(&mut Node)) {
        let mut at = Some(client);
        while let Some(node) = at {
            self.update(node, &change);
            at = self.node(node).parent;
        }
    }

    /// Changes a node and puts it where it belongs among its siblings.
    fn update(&mut self, at: NodeIx, change: impl Fn(&mut Node)) {
        let before = self.rank(at);
        change(self.node_mut(at));
        let node = self.node(at);
        let share = dominant(&node.given, &self.cluster) / node.weight;
        let (parent, is_wanting, is_picked) = (node.parent, node.is_wanting, node.is_picked);
        self.node_mut(at).share = share;
        let after = self.rank(at);
        let Some(parent) = parent.filter(|_| is_wanting && before != after) else { return };
        let siblings = self.node_mut(parent);
        siblings.wanting.remove(&before);
        if is_picked {
            siblings.picked.remove(&before);
            siblings.picked.insert(after.clone());
        }
        siblings.wanting.insert(after);
    }

    fn rank(&self, at: NodeIx) -> Rank {
        let node = self.node(at);
        let name = Arc::clone(&node.name);
        Rank { share: node.share, times_given: node.times_given, name, node: at }
    }

    fn find(&self, role: &Role) -> Option<NodeIx> {
        let names = role.as_str().split('/');
        names.into_iter().try_fold(self.root, |at, name| self.node(at).children.get(name).copied())
    }

    /// The node of a role's own clients; made, with all above it, if it isn't there.
    fn own_node(&mut self, role: &Role) -> NodeIx {
        let mut at = self.root;
        let text = role.as_str();
        let ends = text.match_indices('/').map(|(end, _)| end).chain([text.len()]);
        let mut start = 0;
        for end in ends {
            let weight = self.weights.get(&text[..end]).copied().unwrap_or(1.0);
            at = self.child(at, &text[start..end], None, weight);
            start = end + 1;
        }
        self.child(at, OWN, None, 1.0)
    }

    fn child(
        &mut self,
        parent: NodeIx,
        name: &str,
        client: Option<ClientIx>,
        weight: f64,
    ) -> NodeIx {
        if let Some(there) = self.node(parent).children.get(name) {
            return *there;
        }
        let name: Arc<str> = Arc::from(name);
        let node = Node::new(Some(parent), Arc::clone(&name), client, weight);
        let at = self.unused.pop().unwrap_or_else(|| {
            self.nodes.push(None);
            let number = u32::try_from(self.nodes.len() - 1).expect("roles are fewer than that");
            NodeIx::of(number)
        });
        self.nodes[at.at()] = Some(node);
        self.node_mut(parent).children.insert(name, at);
        at
    }

    fn node(&self, at: NodeIx) -> &Node {
        self.nodes[at.at()].as_ref().expect("nodes are named by their parents and clients only")
    }

    fn node_mut(&mut self, at: NodeIx) -> &mut Node {
        self.nodes[at.at()].as_mut().expect("nodes are named by their parents and clients only")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use meros_proto::resources::Resources;

    fn amounts(text: &str) -> Quantities {
        Resources::parse(text, &Role::star()).expect("resources of a test").quantities()
    }

    fn role(name: &str) -> Role {
        Role::parse(name).expect("a role of a test")
    }

    /// A tree over clients "role:name", all wanting, in a cluster of 100 cpus and 100 mem.
    fn tree(clients: &[&str]) -> (Shares, Vec<NodeIx>) {
        let mut shares = Shares::new();
        shares.grow(&amounts("cpus:100;mem:100"));
        let nodes = clients
            .iter()
            .zip(0..)
            .map(|(client, number)| {
                let (role_name, name) = client.split_once(':').expect("role:name");
                shares.add_client(&role(role_name), name, ClientIx::of(number))
            })
            .collect::<Vec<_>>();
        for node in &nodes {
            shares.set_wanting(*node, true);
        }
        shares.refresh();
        (shares, nodes)
    }

    fn order(shares: &Shares, scope: Scope) -> Vec<usize> {
        let mut order = Vec::new();
        let found = shares.first(scope, |client| {
            order.push(client.at());
            None::<()>
        });
        assert_eq!(found, None);
        order
    }

    #[test]
    fn the_least_dominant_share_comes_first_whatever_the_resource() {
        let (mut shares, nodes) = tree(&["*:a", "*:b", "*:c"]);
        assert_eq!(order(&shares, Scope::Wanting), [0, 1, 2]);
        shares.give(nodes[0], &amounts("cpus:1;mem:30"));
        shares.give(nodes[1], &amounts("cpus:20;mem:1"));
        shares.give(nodes[2], &amounts("cpus:25"));
        assert_eq!(order(&shares, Scope::Wanting), [1, 2, 0]);
        shares.take_back(nodes[0], &amounts("mem:29"));
        assert_eq!(order(&shares, Scope::Wanting), [0, 1, 2]);
    }

    #[test]
    fn equal_shares_are_ordered_by_times_given_then_by_name() {
        let (mut shares, nodes) = tree(&["*:b", "*:a", "*:c"]);
        assert_eq!(order(&shares, Scope::Wanting), [1, 0, 2]);
        shares.give(nodes[1], &amounts("cpus:1"));
        shares.take_back(nodes[1], &amounts("cpus:1"));
        assert_eq!(order(&shares, Scope::Wanting), [0, 2, 1]);
    }

    #[test]
    fn roles_are_compared_before_frameworks_and_weights_count() {
        let (mut shares, nodes) = tree(&["eng:a", "eng:b", "ops:c"]);
        shares.give(nodes[0], &amounts("cpus:10"));
        shares.give(nodes[2], &amounts("cpus:5"));
        assert_eq!(order(&shares, Scope::Wanting), [2, 1, 0]);
        shares.set_weights(Arc::new([(role("eng"), 4.0)].into()));
        assert_eq!(order(&shares, Scope::Wanting), [1, 0, 2]);
    }

    #[test]
    fn a_role_competes_with_its_subroles_as_one_of_them() {
        let (mut shares, nodes) = tree(&["eng:a", "eng/web:b", "eng/db:c", "ops:d"]);
        shares.give(nodes[0], &amounts("cpus:2"));
        shares.give(nodes[1], &amounts("cpus:1"));
        shares.give(nodes[3], &amounts("cpus:4"));
        // eng has 3 and ops 4; within eng: db 0, web 1, eng's own 2.
        assert_eq!(order(&shares, Scope::Wanting), [2, 1, 0, 3]);
        assert!((shares.dominant_share(&role("eng")) - 0.03).abs() < 1e-9);
    }

    #[test]
    fn who_stops_wanting_is_passed_by_and_keeps_its_share() {
        let (mut shares, nodes) = tree(&["eng:a", "ops:b"]);
        shares.give(nodes[0], &amounts("cpus:1"));
        shares.set_wanting(nodes[1], false);
        assert_eq!(order(&shares, Scope::Wanting), [0]);
        shares.set_wanting(nodes[0], false);
        assert_eq!(order(&shares, Scope::Wanting), [0; 0]);
        for node in &nodes {
            shares.set_wanting(*node, true);
        }
        assert_eq!(order(&shares, Scope::Wanting), [1, 0]);
    }

    #[test]
    fn a_walk_by_those_picked_keeps_the_order_through_changes() {
        let (mut shares, nodes) = tree(&["*:a", "*:b", "eng:c", "eng:d"]);
        shares.pick(nodes[1]);
        shares.pick(nodes[3]);
        let before = shares.picks();
        shares.pick(nodes[0]);
        assert_eq!(order(&shares, Scope::Picked), [0, 1, 3]);
        shares.give(nodes[0], &amounts("cpus:1"));
        assert_eq!(order(&shares, Scope::Picked), [3, 1, 0]);
        shares.unpick_to(before);
        assert_eq!(order(&shares, Scope::Picked), [3, 1]);
        shares.set_wanting(nodes[3], false);
        assert_eq!(order(&shares, Scope::Picked), [1]);
        shares.unpick_to(0);
        assert_eq!(order(&shares, Scope::Picked), [0; 0]);
        assert_eq!(order(&shares, Scope::Wanting), [2, 1, 0]);
    }

    #[test]
    fn a_removed_client_leaves_nothing_behind() {
        let (mut shares, nodes) = tree(&["eng/web:a", "eng:b"]);
        shares.give(nodes[0], &amounts("cpus:9"));
        shares.remove_client(nodes[0]);
        assert_eq!(order(&shares, Scope::Wanting), [1]);
        assert!(shares.dominant_share(&role("eng")).abs() < 1e-9);
        let again = shares.add_client(&role("eng/web"), "c", ClientIx::of(7));
        shares.set_wanting(again, true);
        shares.remove_client(nodes[1]);
        assert_eq!(order(&shares, Scope::Wanting), [7]);
    }
}
