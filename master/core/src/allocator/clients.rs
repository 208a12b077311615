//! Frameworks and the roles under which they are made offers.

use std::collections::{BTreeMap, BTreeSet};

use meros_proto::resources::{Quantities, Role};
use meros_proto::time::Mono;

use crate::allocator::node::NodeIx;
use crate::allocator::{Allocator, ClientIx};
use crate::arena::FrameworkIx;
use crate::model::Capabilities;

/// A framework as the allocator knows it.
#[derive(Debug, Default)]
pub(crate) struct Framework {
    pub(crate) name: String,
    pub(crate) capabilities: Capabilities,
    /// Overrides the master's for these roles.
    pub(crate) min_allocatable: BTreeMap<Role, Vec<Quantities>>,
    pub(crate) clients: BTreeMap<Role, ClientIx>,
    pub(crate) is_active: bool,
}

/// A framework under one role.
#[derive(Debug)]
pub(crate) struct Client {
    pub(crate) framework: FrameworkIx,
    pub(crate) role: Role,
    pub(crate) node: NodeIx,
    /// It subscribed to the role. Without, it only still holds something under it.
    is_subscribed: bool,
    is_suppressed: bool,
    /// When its refusals were last made void by a revival.
    revived: Option<Mono>,
}

impl Allocator {
    /// Makes these the roles of a framework.
    pub(super) fn set_roles(
        &mut self,
        framework: FrameworkIx,
        roles: &[Role],
        suppressed: &BTreeSet<Role>,
    ) {
        for role in roles {
            self.client_of(framework, role);
        }
        for (role, client) in self.clients_of(framework) {
            if let Some(client) = self.clients.get_mut(client) {
                client.is_subscribed = roles.contains(&role);
                client.is_suppressed = suppressed.contains(&role);
            }
            self.update_wanting(client);
        }
    }

    /// The framework's stream went up or down. Its refusals don't outlive a stream.
    pub(super) fn set_active(&mut self, framework: FrameworkIx, active: bool) {
        let Some(known) = self.frameworks.get_mut(framework) else { return };
        known.is_active = active;
        for (_, client) in self.clients_of(framework) {
            if !active {
                self.void_refusals(client);
            }
            self.update_wanting(client);
        }
    }

    pub(super) fn remove_framework(&mut self, framework: FrameworkIx) {
        for (_, client) in self.clients_of(framework) {
            self.void_refusals(client);
            if let Some(gone) = self.clients.remove(client) {
                self.shares.remove_client(gone.node);
            }
        }
        self.frameworks.remove(framework);
    }

    /// Unsuppresses at once. Voids the refusals at once too, unless that happened within the
    /// interval: then at its end, so that a framework which revives in a loop can't be offered the
    /// same at the speed of the wire.
    pub(super) fn revive(&mut self, now: Mono, framework: FrameworkIx, role: &Role) {
        let Some(index) = self.known_client(framework, role) else { return };
        let Some(client) = self.clients.get_mut(index) else { return };
        client.is_suppressed = false;
        let due = client.revived.map(|last| last + self.settings.interval);
        self.update_wanting(index);
        match due.filter(|due| *due > now) {
            Some(due) => {
                self.revivals.insert((due, index));
            }
            None => self.void_and_show(now, index),
        }
    }

    /// Carries out the revivals whose time has come.
    pub(super) fn revive_due(&mut self, now: Mono) {
        while let Some(&(due, client)) = self.revivals.first().filter(|(due, _)| *due <= now) {
            self.revivals.remove(&(due, client));
            self.void_and_show(now, client);
        }
    }

    pub(super) fn suppress(&mut self, framework: FrameworkIx, role: &Role) {
        let Some(index) = self.known_client(framework, role) else { return };
        if let Some(client) = self.clients.get_mut(index) {
            client.is_suppressed = true;
        }
        self.update_wanting(index);
    }

    /// The client of a framework and role; made if it isn't there, since a framework may hold
    /// something under a role that it left.
    pub(super) fn client_of(&mut self, framework: FrameworkIx, role: &Role) -> ClientIx {
        if let Some(client) = self.known_client(framework, role) {
            return client;
        }
        let known = self.frameworks.get_or_default(framework);
        let name = known.name.clone();
        let index = self.clients.insert_with(|index| Client {
            framework,
            role: role.clone(),
            node: self.shares.add_client(role, &name, index),
            is_subscribed: false,
            is_suppressed: false,
            revived: None,
        });
        known.clients.insert(role.clone(), index);
        index
    }

    pub(super) fn known_client(&self, framework: FrameworkIx, role: &Role) -> Option<ClientIx> {
        self.frameworks.get(framework)?.clients.get(role).copied()
    }

    fn clients_of(&self, framework: FrameworkIx) -> Vec<(Role, ClientIx)> {
        let clients = self.frameworks.get(framework).map(|known| &known.clients);
        let clients = clients.into_iter().flatten();
        clients.map(|(role, client)| (role.clone(), *client)).collect()
    }

    /// Brings the tree up to date with whether a client wants offers; one that newly does is shown
    /// all agents.
    fn update_wanting(&mut self, index: ClientIx) {
        let Some(client) = self.clients.get(index) else { return };
        let is_active =
            self.frameworks.get(client.framework).is_some_and(|framework| framework.is_active);
        let wanting = is_active && client.is_subscribed && !client.is_suppressed;
        if self.shares.set_wanting(client.node, wanting) && wanting {
            self.candidates.add_client(index);
        }
    }

    fn void_and_show(&mut self, now: Mono, index: ClientIx) {
        let Some(client) = self.clients.get_mut(index) else { return };
        client.revived = Some(now);
        self.void_refusals(index);
        self.candidates.add_client(index);
    }

    fn void_refusals(&mut self, client: ClientIx) {
        self.refusals.clear_client(client);
        self.revivals.retain(|(_, waiting)| *waiting != client);
    }
}
