//! The master as its shell drives it: one file for each subject, and one of random histories.

mod accept;
mod agents;
mod failover;
mod kills_and_updates;
mod offers;
mod operators;
mod random;
mod reconcile;
mod recovery;
mod subscribe;
