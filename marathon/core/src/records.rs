//! What outlives the process: rows of a key-value store.
//!
//! A key begins with the row's type; a value is a format number and a body. A type or a format that
//! this release doesn't know stops the recovery: a row is never skipped. States seen on the wire
//! are kept too, so that a restart shows them at once, and are made sure of by reconciliation.

use std::sync::Arc;

use meros_proto::ids::FrameworkId;

use crate::apps::AppSpec;
use crate::deployment::{DeploymentId, Plan};
use crate::groups::Root;
use crate::instances::{Instance, InstanceId};
use crate::path_id::PathId;
use crate::version::Version;
use crate::view::TaskFailure;

pub(crate) mod row;

pub use row::BadRow;

/// A row to write or to remove.
#[derive(Debug, Clone, PartialEq)]
pub enum Record {
    /// The id that the framework goes by, for ever.
    Framework(FrameworkId),
    /// The root's version and its groups.
    Root(Arc<Root>),
    /// Which version of an app is current.
    Current(PathId, Version),
    /// There is no such app any more; versions of it stay while instances of them do.
    CurrentGone(PathId),
    /// A version of an app.
    App(Arc<AppSpec>),
    /// A version of an app is no longer kept.
    AppGone(PathId, Version),
    /// An instance: its goal, and with a task also the intent to launch it.
    Instance(Arc<Instance>),
    /// An instance is no more.
    InstanceGone(InstanceId),
    /// A running deployment.
    Deployment(Arc<Plan>),
    /// A deployment has ended.
    DeploymentGone(DeploymentId),
    /// The last failure of an app.
    Failure(Arc<TaskFailure>),
    /// An app's last failure is no longer kept.
    FailureGone(PathId),
}

/// A row of the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// Its key.
    pub key: String,
    /// Its value. `None`: the row is to be removed.
    pub value: Option<Vec<u8>>,
}

impl Record {
    /// The row to write. Encoding is left to whoever writes, outside the core.
    pub fn row(&self) -> Row {
        row::encode(self)
    }
}
