//! Whole messages to bytes and back, in the two encodings that the v1 APIs speak.
//!
//! [`decode`] is the one way in for whatever comes from outside: it refuses what the contract
//! requires and prost would let pass.

use std::fmt;

use prost::Message;

use crate::json;
use crate::required::Required;
use crate::v1;

/// How a message is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// `application/json`.
    Json,
    /// `application/x-protobuf`.
    Protobuf,
}

impl Encoding {
    /// The media type, as `Content-Type` and `Accept` name it.
    pub const fn media_type(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::Protobuf => "application/x-protobuf",
        }
    }

    /// The encoding of a media type; exactly as Mesos compares: no parameters, no other case.
    pub fn from_media_type(text: &str) -> Option<Self> {
        match text {
            "application/json" => Some(Self::Json),
            "application/x-protobuf" => Some(Self::Protobuf),
            _ => None,
        }
    }
}

impl fmt::Display for Encoding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.media_type())
    }
}

/// Why bytes are not the message that was expected.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// Not JSON, or a value that its field does not take.
    #[error("failed to parse JSON: {0}")]
    Json(serde_json::Error),
    /// Not protobuf, or a field of another wire type.
    #[error("failed to parse protobuf: {0}")]
    Protobuf(prost::DecodeError),
    /// Fields that the contract requires are unset; their paths.
    #[error("Missing required fields: {}", .0.join(", "))]
    Missing(Vec<String>),
}

/// A message that stands for itself on the wire or on disk.
///
/// Implemented here for each of them, so that the code that (de)serialises a message with all that
/// is in it is compiled once.
pub trait Wire: Message + Required + Default + fmt::Debug {
    /// Parses JSON; required fields are not looked for.
    #[doc(hidden)]
    fn parse_json(text: &[u8]) -> Result<Self, serde_json::Error>;
    /// Parses protobuf; required fields are not looked for.
    #[doc(hidden)]
    fn parse_protobuf(bytes: &[u8]) -> Result<Self, prost::DecodeError>;
    /// The message as JSON text.
    fn to_json(&self) -> Vec<u8>;
    /// The message as protobuf bytes.
    fn to_protobuf(&self) -> Vec<u8>;
}

/// Parses a message and makes sure that it is complete.
///
/// # Errors
/// See [`DecodeError`].
pub fn decode<T: Wire>(encoding: Encoding, bytes: &[u8]) -> Result<T, DecodeError> {
    let message = match encoding {
        Encoding::Json => T::parse_json(bytes).map_err(DecodeError::Json)?,
        Encoding::Protobuf => T::parse_protobuf(bytes).map_err(DecodeError::Protobuf)?,
    };
    let missing = message.missing_required();
    if missing.is_empty() { Ok(message) } else { Err(DecodeError::Missing(missing)) }
}

/// The message as bytes.
pub fn encode<T: Wire>(encoding: Encoding, message: &T) -> Vec<u8> {
    match encoding {
        Encoding::Json => message.to_json(),
        Encoding::Protobuf => message.to_protobuf(),
    }
}

macro_rules! wire {
    ($($message:ty),* $(,)?) => {$(
        impl Wire for $message {
            fn parse_json(text: &[u8]) -> Result<Self, serde_json::Error> {
                json::from_slice(text)
            }
            fn parse_protobuf(bytes: &[u8]) -> Result<Self, prost::DecodeError> {
                Self::decode(bytes)
            }
            fn to_json(&self) -> Vec<u8> {
                json::to_vec(self)
            }
            fn to_protobuf(&self) -> Vec<u8> {
                self.encode_to_vec()
            }
        }
    )*};
}

wire! {
    v1::scheduler::Call, v1::scheduler::Event, v1::scheduler::Response,
    v1::executor::Call, v1::executor::Event,
    v1::agent::Call, v1::agent::Response, v1::agent::ProcessIo,
    v1::master::Call, v1::master::Response, v1::master::Event,
    v1::resource_provider::Call, v1::resource_provider::Event,
    v1::TaskInfo, v1::TaskStatus, v1::Task, v1::FrameworkInfo, v1::AgentInfo, v1::MasterInfo,
    v1::ExecutorInfo, v1::Offer, v1::Resource, v1::CommandInfo,
}
