//! The Marathon v2 REST API.
//!
//! A request comes in at [`routes`], is asked about at the [`authorize`] gate, and becomes either a
//! look at the core's snapshot or an input of the core; [`desk`] is what all handlers have at hand.
//! A body goes through [`model`] (its shape), [`normalise`] (defaults, deprecated forms) and
//! [`validate`] (the rules). Decisions are the core's: nothing here knows how an app is run.
//!
//! Invariant: a client's mistake is never answered with a 5xx.

pub(crate) mod authorize;
pub(crate) mod desk;
mod routes;

mod apps;
mod changes;
mod deployments;
mod events;
mod groups;
mod info;
mod kills;
mod metrics;
mod queue;
mod tasks;

mod embed;
mod ids;
pub(crate) mod model;
mod normalise;
mod selector;
mod validate;

pub(crate) mod envelope;
mod errors;
mod http;

pub(crate) use routes::filter;

#[cfg(test)]
mod tests;
