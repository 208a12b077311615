//! The messages between the processes, as bytes, and what the cores make of them.
//!
//! What the roles' shells do between their sockets and their cores is done here over again, without
//! sockets: with the same messages and the same parsers.

pub(crate) mod link;
pub(crate) mod marathon;
pub(crate) mod scheduler;

use bytes::Bytes;
use meros_proto::wire::{self, Encoding, Wire};
use prost::Message;

use crate::network::Packet;

/// A message as bytes.
pub(crate) fn encoded<T: Wire>(message: &T) -> Bytes {
    Bytes::from(wire::encode(Encoding::Protobuf, message))
}

/// Bytes as a message.
///
/// # Errors
/// They are none of that kind.
pub(crate) fn decoded<T: Wire>(bytes: &[u8]) -> Result<T, String> {
    wire::decode(Encoding::Protobuf, bytes).map_err(|error| error.to_string())
}

/// A packet for people to read.
pub(crate) fn shown(packet: &Packet) -> String {
    use meros_proto::link::{FromAgent, FromMaster};
    use meros_proto::v1::scheduler::{Call, Event};
    let text = match packet {
        Packet::Link(bytes) => {
            match FromAgent::decode(bytes.clone()).ok().and_then(|m| m.message) {
                Some(message) => format!("{message:?}"),
                None => format!("{:?}", FromMaster::decode(bytes.clone())),
            }
        }
        Packet::Subscribe(bytes) | Packet::Call { body: bytes, .. } => {
            let call = Call::decode(bytes.clone()).unwrap_or_default();
            format!("{call:?}")
        }
        Packet::Event(bytes) => {
            let event = Event::decode(bytes.clone()).unwrap_or_default();
            format!("{event:?}")
        }
        other => format!("{other:?}"),
    };
    without_nothing(&text)
}

/// Leaves out what is not set.
fn without_nothing(text: &str) -> String {
    let mut kept = String::with_capacity(text.len() / 2);
    for part in text.split(", ") {
        if !part.ends_with(": None") && !part.ends_with(": []") {
            kept.push_str(part);
            kept.push_str(", ");
        }
    }
    kept
}
