//! Authorisation: one question, asked before an input is sent to a core and when a view is filtered.

use meros_proto::caller::Caller;

/// Answers whether a caller may do something to an object.
///
/// Must not block: it is asked on the path of every call.
pub trait Authorizer: Send + Sync {
    /// Whether `caller` may do `action` to `object`.
    fn authorize(&self, caller: &Caller, action: Action, object: &Object<'_>) -> Decision;
}

/// What is asked for, under the names of Mesos's ACLs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Action {
    /// `register_frameworks`: subscribe with a role.
    RegisterFramework,
    /// `run_tasks`: launch as a user.
    RunTask,
    /// `teardown_frameworks`.
    TeardownFramework,
    /// `register_agents`.
    RegisterAgent,
    /// `view_frameworks`.
    ViewFramework,
    /// `view_tasks`.
    ViewTask,
    /// `update_weights`.
    UpdateWeight,
    /// `view_roles`.
    ViewRole,
    /// `access_sandboxes`.
    AccessSandbox,
    /// `get_endpoints`: an endpoint that shows nothing of one object, such as metrics.
    GetEndpoint,
    /// Marathon: create, change, view or delete an app, a pod or a group.
    CreateRunSpec,
    /// See [`Action::CreateRunSpec`].
    UpdateRunSpec,
    /// See [`Action::CreateRunSpec`].
    DeleteRunSpec,
    /// See [`Action::CreateRunSpec`].
    ViewRunSpec,
    /// Marathon: leader, info, events.
    ViewSystem,
    /// Marathon: abdicate.
    UpdateSystem,
}

/// What it is asked of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Object<'a> {
    /// Anything, or nothing in particular.
    Any,
    /// A role's name.
    Role(&'a str),
    /// A user of the agents' operating systems.
    User(&'a str),
    /// A framework's id.
    Framework(&'a str),
    /// A path: an endpoint, or a run spec's id.
    Path(&'a str),
}

/// The answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// The action may go on.
    Permit,
    /// It is refused: 403 for a call, left out of a view.
    Refuse,
}

/// Permits everything: authorisation is off.
#[derive(Debug, Clone, Copy, Default)]
pub struct PermitAll;

impl Authorizer for PermitAll {
    fn authorize(&self, _: &Caller, _: Action, _: &Object<'_>) -> Decision {
        Decision::Permit
    }
}
