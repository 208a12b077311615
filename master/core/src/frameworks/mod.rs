//! Frameworks: how they subscribe, what they may ask for, and how they end.
//!
//! What is known of each is in [`known`].

mod known;

mod calls;
mod failover;
mod subscribe;

pub(crate) use known::{Connection, Framework, Frameworks, summable};
