//! The one question that is asked before anything is done or shown.

use std::sync::Arc;

use http::StatusCode;
use meros_plugin_api::authz::{Action, Authorizer, Decision, Object};
use meros_proto::caller::Caller;

use super::errors::ApiError;

/// Asks the configured authoriser.
#[derive(Clone)]
pub(crate) struct Gate {
    authorizer: Arc<dyn Authorizer>,
}

impl Gate {
    /// A gate that `authorizer` keeps.
    pub(crate) fn new(authorizer: Arc<dyn Authorizer>) -> Self {
        Self { authorizer }
    }

    /// Whether `caller` may do `action` to the run spec `id`.
    pub(crate) fn permits(&self, caller: &Caller, action: Action, id: &str) -> bool {
        self.authorizer.authorize(caller, action, &Object::Path(id)) == Decision::Permit
    }

    /// Refuses what `caller` may not do to the run spec or endpoint `id`.
    ///
    /// # Errors
    /// 403.
    pub(crate) fn check(&self, caller: &Caller, action: Action, id: &str) -> Result<(), ApiError> {
        if self.permits(caller, action, id) {
            return Ok(());
        }
        Err(ApiError::Message(
            StatusCode::FORBIDDEN,
            "Not Authorized to perform this action!".to_owned(),
        ))
    }
}
