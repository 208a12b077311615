//! The endpoints from before the v1 API, which most tools still read.
//!
//! Each file writes one kind of object; the field names are Mesos's, "slave" included. All of them
//! are rendered from one snapshot ([`crate::api::views`]), streaming: of a task's info is read what
//! is shown ([`encoded`]), when it is written.

pub(crate) mod version;

mod encoded;
mod resources;
mod sequence;

mod container_status;
mod labels;

mod agents;
mod frameworks;
mod metrics;
mod roles;
mod state;
mod summary;
mod system;
mod task_page;
mod tasks;

#[cfg(test)]
mod speed;
mod view;

pub(crate) use view::{View, flags, render};
