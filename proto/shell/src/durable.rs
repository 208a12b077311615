//! What makes records last.

use std::convert::Infallible;
use std::io;

/// Makes records durable, a batch with one sync.
pub trait Durable: Send + 'static {
    /// What is made durable.
    type Record: Send + 'static;

    /// Returns once all of `records` would survive a crash.
    ///
    /// # Errors
    /// The role ends: a restart reads what did become durable.
    fn commit(&mut self, records: Vec<Self::Record>) -> io::Result<()>;
}

/// For a core that keeps nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoRecords;

impl Durable for NoRecords {
    type Record = Infallible;

    fn commit(&mut self, _: Vec<Infallible>) -> io::Result<()> {
        Ok(())
    }
}
