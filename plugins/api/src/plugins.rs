//! What `src/` hands to a role.

use std::sync::Arc;

use crate::authz::{Authorizer, PermitAll};

/// The implementations that a role is run with.
#[derive(Clone)]
pub struct Plugins {
    /// Decides who may do what.
    pub authorizer: Arc<dyn Authorizer>,
}

impl Default for Plugins {
    /// What is used while nothing else is asked for: everybody may do everything.
    fn default() -> Self {
        Self { authorizer: Arc::new(PermitAll) }
    }
}
