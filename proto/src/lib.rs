//! The wire: every message that crosses a process, its encodings, and the algebra over resources.
//!
//! Depends on no other room; everything else depends on it. Read in this order: [`ids`] and
//! [`time`] name things ([`spans`] are how lengths of time are written), [`v1`] holds the Mesos v1 messages as they are on the wire, [`wire`] and
//! [`json`] turn them into bytes and back, [`resources`] is the arithmetic of what is offered.
//! [`machine`] is the shape that every core has. [`link`] is the stream between agent and master;
//! with gRPC, `link_codec` is how its messages are encoded.
//!
//! Prost alone doesn't see that a required field is missing, so every generated field is optional
//! here and [`wire::decode`] refuses what the contract requires: decode through it, not through
//! `prost::Message` directly, whatever comes from outside.

pub mod ids;
pub mod spans;
pub mod time;

mod generated;
pub use generated::meros::agent::v1 as link;
pub use generated::mesos::v1;
#[cfg(feature = "grpc")]
pub mod link_codec;

pub mod json;
pub mod recordio;
pub mod required;
pub mod wire;

pub mod attributes;
pub mod resources;
pub mod task_state;

pub mod caller;
pub mod machine;
pub mod record;
pub mod versions;
