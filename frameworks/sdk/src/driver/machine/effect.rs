//! Everything that the driver asks its shell for.

use std::time::Duration;

use meros_proto::v1::scheduler;

use crate::driver::address::Address;
use crate::driver::calls::Link;
use crate::driver::event::Event;

/// What is to be done, in this order. None of it waits for the master.
#[derive(Debug)]
pub enum Effect {
    /// Send SUBSCRIBE, and tell what comes of it under the number `attempt`.
    Subscribe {
        /// The number.
        attempt: u64,
        /// Whom to ask.
        master: Address,
        /// What to send.
        call: Box<scheduler::Call>,
        /// When the machine will give up on an answer.
        within: Duration,
    },
    /// Drop the attempt, or the stream that it opened.
    Close {
        /// The number.
        attempt: u64,
    },
    /// Send calls there from now on, or (`None`) nowhere, and forget those that wait.
    Link(Option<Link>),
    /// The subscription is gone: tell the framework, with the count of unanswered calls.
    Disconnected {
        /// One line.
        why: String,
        /// Whether it was left for a better one.
        renewing: bool,
    },
    /// Tell the framework.
    Tell(Box<Event>),
}
