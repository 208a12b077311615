//! The one place that asks whether a caller may do something.
//!
//! Asked before an input is sent to the core, and when a view is filtered. Who answers is the
//! authorizer that the role was started with; without one everything is permitted.

use std::sync::Arc;

use meros_plugin_api::authz::{Action, Authorizer, Decision, Object};
use meros_proto::caller::Caller;

/// The authorizer, as the API asks it.
#[derive(Clone)]
pub(crate) struct Authorization(Arc<dyn Authorizer>);

impl Authorization {
    pub(crate) fn new(authorizer: Arc<dyn Authorizer>) -> Self {
        Self(authorizer)
    }

    /// Whether `caller` may do `action` to `object`.
    pub(crate) fn authorize(&self, caller: &Caller, action: Action, object: Object<'_>) -> bool {
        self.0.authorize(caller, action, &object) == Decision::Permit
    }
}
