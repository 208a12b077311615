//! Marathon's core as a whole, against a master that only pretends.
//!
//! [`scenarios`] has one test a promise to the user. [`simulation`] does what users and clusters do
//! at random, and checks after every step what must always hold.

mod deployments;
mod health;
mod invariants;
mod kills;
mod master;
mod offers;
mod placement;
mod queue;
mod readiness;
mod scenarios;
mod services;
mod simulation;
mod unreachable;
mod upgrades;
mod wire;
mod world;
