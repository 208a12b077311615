//! Waits for the end of a process without holding a thread: the agent's side of [`pidfd`](super::pidfd).

use std::{
    io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
};

use tokio::io::{Interest, unix::AsyncFd};

/// A process that is watched.
#[derive(Debug)]
pub(crate) struct EndWatch(AsyncFd<OwnedFd>);

impl EndWatch {
    /// Call it in an async runtime.
    pub(crate) fn new(process: OwnedFd) -> io::Result<Self> {
        #[expect(unsafe_code, reason = "registering a descriptor asks for a promise")]
        // SAFETY: the descriptor is owned by what it is registered with, and stays open as long.
        let watched = unsafe { AsyncFd::register_with_interest(process, Interest::READABLE) };
        Ok(Self(watched?))
    }

    /// Waits for the end. Nothing is lost if it is not awaited to the end, and it may be asked again.
    ///
    /// # Errors
    /// When the runtime is ending.
    pub(crate) async fn ended(&self) -> io::Result<()> {
        self.0.readable().await.map(|mut ready| ready.retain_ready())
    }
}

impl AsFd for EndWatch {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.get_ref().as_fd()
    }
}
