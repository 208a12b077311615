//! What the roles' HTTP APIs have in common: how requests are read, and answers compressed.
//!
//! What an answer says, and in which words it refuses, is each role's own.

mod accept;
mod body;
mod gzip;
mod jsonp;
mod query;

pub use accept::{accepts_gzip, members};
pub use body::{BodyError, read_body};
pub use gzip::gzip;
pub use jsonp::jsonp;
pub use query::{Query, percent_decoded};
