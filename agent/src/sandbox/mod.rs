//! Sandboxes: where tasks run and what is readable of it from outside.
//!
//! [`paths`] says where a sandbox lies and makes it; [`browse`] lists and reads files under the
//! virtual roots of the `/files` endpoints, and never leaves them.

pub mod browse;
pub mod paths;
