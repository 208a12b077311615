//! Marathon's core as a whole, against a master that only pretends.
//!
//! [`scenarios`] has one test a promise to the user. [`simulation`] does what users and clusters do
//! at random, and checks after every step what must always hold.

mod invariants;
mod master;
mod scenarios;
mod simulation;
mod upgrades;
mod world;
