//! Everything that is served over HTTP: which path is answered by what.
//!
//! Paths are matched in one place, [`routes`]. [`scheduler`] is the API of frameworks, [`operator`]
//! that of operators, [`legacy`] what tools written for Mesos read. What shows many things is
//! rendered in [`views`], from one snapshot of the core.

mod routes;

mod media;
pub(crate) mod request;
pub(crate) mod respond;

mod calls;
mod events;
mod scheduler;
mod subscribe;
pub(crate) mod wire;

mod operator;
mod teardown;
mod weights;

mod legacy;
pub(crate) mod views;

mod authorize;
mod state;

pub(crate) use authorize::Authorization;
pub(crate) use routes::filter;
pub(crate) use state::Api;
