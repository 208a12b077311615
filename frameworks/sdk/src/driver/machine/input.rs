//! Everything that can make the driver move.

use bytes::Bytes;
use meros_proto::v1::scheduler::{self, call};

use crate::driver::event::CallFailed;

/// What the machine is told. Inputs about an attempt that it has closed are ignored: they were on
/// their way.
#[derive(Debug)]
pub enum Input {
    /// SUBSCRIBE was answered with a stream.
    Opened {
        /// As in [`Effect::Subscribe`](super::Effect::Subscribe).
        attempt: u64,
        /// The `Mesos-Stream-Id` header.
        stream_id: Option<String>,
    },
    /// SUBSCRIBE was answered with anything but a stream.
    Answered {
        /// The attempt.
        attempt: u64,
        /// The HTTP status.
        status: u16,
        /// The `Location` header.
        location: Option<String>,
        /// The answer's text.
        body: String,
    },
    /// SUBSCRIBE wasn't answered: no connection, or it broke first.
    Failed {
        /// The attempt.
        attempt: u64,
        /// One line.
        why: String,
    },
    /// The stream brought an event.
    Event {
        /// The attempt that opened the stream.
        attempt: u64,
        /// What it brought.
        event: Box<scheduler::Event>,
        /// The same as it came, for the framework when its kind isn't known here.
        record: Bytes,
    },
    /// The stream ended, broke, or brought what can't be read.
    Closed {
        /// The attempt that opened the stream.
        attempt: u64,
        /// One line.
        why: String,
    },
    /// A call was answered as if there were no subscription.
    Unsubscribed {
        /// The attempt that opened the stream which the call belonged to.
        attempt: u64,
        /// The call's kind.
        call: call::Type,
        /// One line.
        why: String,
    },
    /// A call came to nothing; the subscription stands.
    CallFailed {
        /// The call and the reason.
        failed: Box<CallFailed>,
    },
    /// The framework describes itself anew, and the master that was told didn't turn it down.
    FrameworkChanged {
        /// The attempt that opened the stream which the call belonged to.
        attempt: u64,
        /// What the framework is from now on.
        update: Box<call::UpdateFramework>,
        /// Whether that master has taken it. If not, it doesn't know the call, or it isn't known
        /// whether it heard it.
        taken: bool,
    },
    /// TEARDOWN is about to be sent: the stream may end before it is answered.
    TearingDown {
        /// The attempt that opened the stream which the call belongs to.
        attempt: u64,
    },
    /// The master took a TEARDOWN.
    TornDown {
        /// The attempt that opened the stream which the call belonged to.
        attempt: u64,
    },
    /// The framework wants no more.
    Stop,
}
