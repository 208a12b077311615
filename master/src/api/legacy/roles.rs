//! `/roles` and `/weights`.

use meros_master_core::{RoleView, Snapshot};
use meros_proto::resources::Resources;
use serde::Serialize;

use crate::api::legacy::resources::ByName;
use crate::api::legacy::view::Viewer;

/// `/roles`.
#[derive(Serialize)]
pub(super) struct Roles {
    roles: Vec<Role>,
}

#[derive(Serialize)]
struct Role {
    name: String,
    weight: f64,
    quota: Quota,
    /// What the role holds or is offered; `allocated` is what it holds.
    resources: serde_json::Value,
    allocated: serde_json::Value,
    offered: serde_json::Value,
    reserved: serde_json::Value,
    frameworks: Vec<String>,
}

/// Quota isn't built: no guarantee, no limit.
#[derive(Serialize)]
struct Quota {
    role: String,
    guarantee: serde_json::Value,
    limit: serde_json::Value,
    consumed: serde_json::Value,
}

impl Roles {
    pub(super) fn new(snapshot: &Snapshot, viewer: &Viewer<'_>) -> Self {
        let seen = snapshot.roles.iter().filter(|role| viewer.sees_role(role.role.as_str()));
        Self { roles: seen.map(|role| object(snapshot, role)).collect() }
    }
}

fn object(snapshot: &Snapshot, role: &RoleView) -> Role {
    let offers = snapshot.frameworks.iter().flat_map(|framework| &framework.offers);
    let offered: Resources =
        offers.filter(|offer| offer.role == role.role).map(|offer| offer.resources.clone()).sum();
    let reserved: Resources =
        snapshot.agents.iter().map(|agent| agent.spec.resources.reserved_to(&role.role)).sum();
    let held = role.allocated.clone() - &offered;
    Role {
        name: role.role.to_string(),
        weight: role.weight,
        quota: Quota {
            role: role.role.to_string(),
            guarantee: serde_json::json!({}),
            limit: serde_json::json!({}),
            consumed: by_name(&role.allocated),
        },
        resources: by_name(&role.allocated),
        allocated: by_name(&held),
        offered: by_name(&offered),
        reserved: by_name(&reserved),
        frameworks: role.frameworks.iter().map(ToString::to_string).collect(),
    }
}

fn by_name(resources: &Resources) -> serde_json::Value {
    serde_json::to_value(ByName(resources)).expect("numbers and texts by name are JSON")
}

/// A role's weight, where it isn't the usual one.
#[derive(Serialize)]
pub(super) struct Weight {
    role: String,
    weight: f64,
}

/// `/weights`.
pub(super) fn weights(snapshot: &Snapshot, viewer: &Viewer<'_>) -> Vec<Weight> {
    let seen = snapshot.roles.iter().filter(|role| viewer.sees_role(role.role.as_str()));
    seen.filter(|role| role.weight != 1.0)
        .map(|role| Weight { role: role.role.to_string(), weight: role.weight })
        .collect()
}
