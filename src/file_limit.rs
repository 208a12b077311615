//! How many files the process may hold: each connection is one.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tracing::{info, warn};

/// Raises the soft limit to the hard one, and says what it is.
pub(crate) fn raise() {
    let before = getrlimit(Resource::Nofile);
    let wanted = Rlimit { current: before.maximum, maximum: before.maximum };
    match setrlimit(Resource::Nofile, wanted) {
        Ok(()) => info!(files = ?before.maximum, "open files are limited"),
        Err(error) => {
            warn!(files = ?before.current, %error, "could not raise the limit of open files");
        }
    }
}
