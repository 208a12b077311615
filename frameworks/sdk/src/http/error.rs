//! Why a request brought no answer, in one line.

use std::error::Error;
use std::io;
use std::time::Duration;

/// What went wrong between sending a request and the end of its answer.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// The address, a header or the method can't be sent.
    #[error("{url:?} can't be requested: {why}")]
    Request {
        /// What was to be requested.
        url: String,
        /// What is wrong with it.
        why: String,
    },
    /// No connection came about: nothing was sent.
    #[error("connect to {authority}: {why}")]
    Connect {
        /// `HOST:PORT`.
        authority: String,
        /// The cause.
        why: String,
    },
    /// The connection broke, or what came isn't HTTP. The request may have arrived.
    #[error("connection to {authority} broke: {why}")]
    Broken {
        /// `HOST:PORT`.
        authority: String,
        /// The cause.
        why: String,
    },
    /// No answer, or no end of it, in time. The request may have arrived.
    #[error("no answer from {authority} within {within:?}")]
    TimedOut {
        /// `HOST:PORT`.
        authority: String,
        /// The time that was given.
        within: Duration,
    },
    /// The answer's body is larger than allowed.
    #[error("the answer of {authority} is larger than {limit} bytes")]
    TooLarge {
        /// `HOST:PORT`.
        authority: String,
        /// The bound.
        limit: usize,
    },
}

impl HttpError {
    /// Whether nothing was sent, so that the same request can be made again whatever it is.
    pub fn is_unsent(&self) -> bool {
        matches!(self, Self::Request { .. } | Self::Connect { .. })
    }
}

/// The innermost cause, without the operating system's number, as the end of a sentence.
pub(super) fn cause(error: &(dyn Error + 'static)) -> String {
    let mut innermost = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    let text = match innermost.downcast_ref::<io::Error>() {
        Some(error) if error.kind() == io::ErrorKind::TimedOut => "timed out".to_owned(),
        _ => innermost.to_string(),
    };
    let text = text.split(" (os error").next().unwrap_or_default();
    let mut characters = text.chars();
    match characters.next() {
        Some(first) => first.to_lowercase().chain(characters).collect(),
        None => "for a reason that isn't told".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cause_is_one_line_without_numbers() {
        let refused = io::Error::from_raw_os_error(111);
        assert_eq!(cause(&refused), "connection refused");
        let wrapped = io::Error::other(io::Error::from(io::ErrorKind::TimedOut));
        assert_eq!(cause(&wrapped), "timed out");
    }
}
