//! Agents: how they register, fall silent, come back and leave.
//!
//! What is known of each is in [`known`]; that it may take part at all is the registry's to say.

mod known;
mod register;
mod unreachable;

pub(crate) use known::{Agent, Agents, Pings};
