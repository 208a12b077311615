//! The JSON mapping of Mesos v1, which is not that of proto3.
//!
//! Keys are the snake_case names of the fields, 64-bit integers are numbers, enums are names, bytes
//! are base64. A reader is lenient as Mesos is: unknown keys are skipped, `null` is unset, numbers
//! and booleans may come as strings, a lone value stands for a list of one, and an unknown name of
//! an enum leaves its field unset. A writer leaves unset fields out, except those whose default the
//! contract declares. The impls for each message are generated (`codegen/json.rs`) over the two
//! modules beside this one.
//!
//! One difference: an infinite or undefined double is written as a string (`"Infinity"`), which
//! every JSON parser reads and Mesos itself accepts, where Mesos writes a bare word.

pub(crate) mod decode;
pub(crate) mod encode;
pub(crate) mod names;

use serde::Serialize;
use serde::de::DeserializeOwned;

/// The message as JSON text.
pub fn to_vec<T: Serialize>(message: &T) -> Vec<u8> {
    serde_json::to_vec(message).expect("keys are strings and no impl of ours fails")
}

/// Parses JSON text. Missing required fields are not looked for: see [`crate::wire::decode`].
///
/// # Errors
/// Text that is not JSON, or a value of a type that its field does not take.
pub fn from_slice<T: DeserializeOwned>(text: &[u8]) -> Result<T, serde_json::Error> {
    serde_json::from_slice(text)
}
