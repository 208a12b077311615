//! Where the registry's operations are made durable.
//!
//! A single master keeps them in a file of its own: [`LocalLog`]. It stands behind the gate of
//! [`meros_shell::runner`], so nothing that rests on an operation leaves before it is on disk. What
//! the file holds, operations and now and then a snapshot in their place, is in `entry`.

mod entry;
mod local;
#[cfg(test)]
mod tests;

pub(crate) use local::LocalLog;
pub use local::LogError;
