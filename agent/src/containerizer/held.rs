//! Processes that are held open, so that how they end can be read whoever collects them.
//!
//! One descriptor each, and a process has a bounded number of those: beyond half of it, and where
//! the kernel refuses, a process is simply not held. Then it is found again by its number when it
//! matters, if it hasn't ended by then.

use std::{
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    sync::{
        OnceLock,
        atomic::{AtomicU64, Ordering},
    },
};

use rustix::process::{Resource, getrlimit};

use crate::launcher::pidfd;

/// So many are held in this process, by all agents in it.
static HELD: AtomicU64 = AtomicU64::new(0);

/// A process held open.
#[derive(Debug)]
pub(super) struct Held(OwnedFd);

impl Held {
    /// Holds the process that had this identity when it had this number.
    pub(super) fn open(pid: i32, identity: u64) -> Option<Self> {
        static MAX: OnceLock<u64> = OnceLock::new();
        let max = MAX.get_or_init(|| getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX) / 2);
        if HELD.load(Ordering::Relaxed) >= *max {
            return None;
        }
        pidfd::open_same(pid, identity).ok().flatten().map(Self::new)
    }

    pub(super) fn new(process: OwnedFd) -> Self {
        HELD.fetch_add(1, Ordering::Relaxed);
        Self(process)
    }
}

impl AsFd for Held {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        HELD.fetch_sub(1, Ordering::Relaxed);
    }
}
