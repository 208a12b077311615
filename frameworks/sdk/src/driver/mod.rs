//! One subscription to the masters, kept up: events come out typed, calls go in.
//!
//! Start at [`Driver::start`]. It finds the leader, follows redirects, subscribes again with the
//! same framework id when the stream breaks, and tells the framework what happened as [`Event`]s.
//! [`Calls`] takes what the framework wants, in order. All decisions are in [`machine`], which
//! knows no sockets and no clock: the simulation runs that same machine.
//!
//! Knows nothing of what an offer is good for, and acknowledges nothing by itself: those are the
//! layers above.

mod event;
mod options;

mod address;
#[doc(hidden)]
pub mod answer;
mod hunt;
mod interpret;
pub mod machine;

mod calls;
mod lane;
mod shell;
mod subscription;

pub use address::{Address, AddressError};
pub use calls::{Calls, Link, SendError, launch_operation};
pub use event::{
    Ack, CallFailed, CallFailure, Event, OperationAck, OperationUpdate, Subscribed, Update,
};
pub use options::{Credential, Options};
pub use shell::{Driver, Events};
