//! What every role's shell is made of.
//!
//! A core's thread first: [`runner::Runner`] is the other half of [`meros_proto::machine`]. [`inbox`]
//! is how inputs get in, [`durable`] what makes records last, [`log_file`] the append-only file that
//! most roles use for it, [`clock`] the one place that reads the clocks.
//!
//! Then what stands around it: [`work_dir`] is the directory that a role holds, [`host_name`] the
//! name under which it is reached, [`server`] its one port, [`http`] what its requests and answers
//! have in common, [`client`] how it asks tasks whether they are there. Knows nothing of what any role decides or serves.
//!
//! Invariant: an effect is performed only after every record that was asked for before it, by the
//! same core, is durable. When a record can't be made durable the role ends, and nothing more
//! leaves it.

pub mod clock;
pub mod durable;
pub mod inbox;
pub mod log_file;
pub mod runner;

pub mod host_name;
pub mod work_dir;

pub mod client;
pub mod http;
pub mod server;
