//! The plugin points: what may be replaced without touching a role's code.
//!
//! Built-in implementations live in their rooms; others are injected through [`Plugins`] when a role
//! is run. Read [`authz`] for the shape that every point follows.

pub mod authz;
mod plugins;

pub use plugins::Plugins;
