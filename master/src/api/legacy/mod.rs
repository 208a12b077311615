//! The endpoints from before the v1 API, which most tools still read.
//!
//! Each file writes one kind of object; the field names are Mesos's, "slave" included. All of them
//! are rendered from one snapshot ([`crate::api::views`]), streaming: a task's info is decoded when
//! it is written and forgotten after it.

pub(crate) mod version;

mod agents;
mod frameworks;
mod metrics;
mod resources;
mod roles;
mod sequence;
mod state;
mod summary;
mod system;
mod tasks;
mod view;

pub(crate) use view::{View, flags, render};
