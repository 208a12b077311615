//! A small HTTP/1.1 client: pooled connections, time-outs, bodies that are streamed.
//!
//! For talking to masters, agents and Marathon, by anyone in the project; it knows nothing of what
//! they say. Start at [`HttpClient`]. Redirects are answers here, not followed: who is asked next is
//! a decision. No TLS yet: `https` addresses are refused with that reason.

mod client;
mod error;
mod response;

pub use client::{HttpClient, Limits};
pub use error::HttpError;
pub use http::{HeaderMap, Method, StatusCode};
pub use response::{Response, Streaming};
