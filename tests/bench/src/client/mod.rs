//! What stands in for a framework: as little code as the public v1 scheduler API takes, so that what
//! is measured is the cluster. Protobuf over HTTP/1.1, one call each, as any framework may.
//!
//! [`scheduler`] launches what a [`workload`] says and acknowledges all that it is told; [`line`] is a
//! connection for calls, [`events`] the one on which events come, [`words`] the messages.

mod events;
mod line;
mod scheduler;
mod words;
mod workload;

pub(crate) use line::Line;
pub(crate) use scheduler::{Outcome, Scheduler};
pub(crate) use words::Words;
pub(crate) use workload::{Shape, Workload};
