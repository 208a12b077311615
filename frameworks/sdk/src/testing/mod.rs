//! A master for tests: in the test's process, on a real loopback socket, speaking the real wire.
//!
//! [`FakeMaster`] records every call, answers as it is told to, and plays agents that run whatever
//! is launched. A framework under test needs nothing but its address. It breaks, redirects, stays
//! silent and loses acknowledgements on demand; it allocates nothing and forgets all at its end.

mod answer;
mod http;
mod master;
mod messages;
mod stream;
mod tasks;

pub use answer::SubscribeAnswer;
pub use master::FakeMaster;
pub use messages::{event, offer, status};
