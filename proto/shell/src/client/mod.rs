//! How a role looks at a task from outside: one question on a connection of its own.
//!
//! [`get`](mod@get) asks by HTTP, [`trust`] is the TLS for it. What an answer means is for others to
//! say.

pub mod get;
pub mod trust;
