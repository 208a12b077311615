//! Space that is filled with zeros before it is needed, the last of it kept for hard times.
//!
//! ```text
//! | batches | to be overwritten next | reserve |
//!           ^ end                             ^ filled
//! ```
//! A thread of its own fills, and is there only while there is something to fill, so that thousands
//! of logs cost no threads. Where the disk refuses, or has less left than the reserve, it stays and
//! looks again each second: what is filled already would last for a while, but nobody should begin
//! what needs a disk.
//!
//! Invariant: every byte before `filled` is on the disk, in blocks that were written.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rustix::fs::FallocateFlags;
use tokio::sync::watch;
use tracing::{info, warn};

/// How long to wait before a disk that refused is asked again.
const AGAIN: Duration = Duration::from_secs(1);
const ZEROS: &[u8] = &[0; 64 << 10];

/// How much of the disk a log takes ahead of need, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Space {
    /// What is filled at a time, at first.
    pub chunk_min: u64,
    /// The chunk doubles each time, up to this.
    pub chunk_max: u64,
    /// What is kept at the end until the disk gives no more.
    pub reserve: u64,
}

impl Space {
    /// For a log that grows slowly, or of which there are many.
    pub const SMALL: Self = Self { chunk_min: 64 << 10, chunk_max: 256 << 10, reserve: 64 << 10 };

    /// How long a new file with `end` bytes in it is to be.
    pub(super) fn length(&self, end: u64) -> u64 {
        end + self.chunk_min + self.reserve
    }
}

impl Default for Space {
    fn default() -> Self {
        Self { chunk_min: 1 << 20, chunk_max: 4 << 20, reserve: 2 << 20 }
    }
}

/// Whether the disk gives a log what it needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Room {
    /// It does.
    Plenty,
    /// It refused. Commits go on in the reserve, which ends: only what must be recorded should be.
    Reserve,
}

/// The filled part of one file.
#[derive(Debug)]
pub(super) struct Filled {
    shared: Arc<Shared>,
    space: Space,
    /// What is asked for next.
    chunk: u64,
    filler: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    file: File,
    /// With fewer bytes than these left the disk counts as full.
    scarce: u64,
    room: Arc<watch::Sender<Room>>,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug)]
struct State {
    filled: u64,
    wanted: u64,
    filling: bool,
    /// Why the disk gave no more, when it was last asked.
    refused: Option<io::Error>,
    /// The file is no longer written: whoever fills is to end.
    closed: bool,
}

impl Filled {
    /// Over `file`, which has `filled` bytes in written blocks. What goes wrong, and right again,
    /// is told to `room`.
    pub(super) fn new(
        file: File,
        filled: u64,
        space: Space,
        room: Arc<watch::Sender<Room>>,
    ) -> Self {
        let state = State { filled, wanted: filled, filling: false, refused: None, closed: false };
        let scarce = space.reserve;
        let shared =
            Shared { file, scarce, room, state: Mutex::new(state), changed: Condvar::new() };
        Self { shared: Arc::new(shared), space, chunk: space.chunk_min, filler: None }
    }

    /// Waits, where that can't be avoided, until the file is filled up to `end`.
    ///
    /// # Errors
    /// The disk gives no more and the reserve is too small.
    pub(super) fn reach(&mut self, end: u64) -> io::Result<()> {
        let shared = Arc::clone(&self.shared);
        let mut state = shared.lock();
        if state.refused.is_none()
            && let Err(error) = shared.look()
        {
            shared.refuse(&mut state, error);
            self.start(&mut state);
        }
        if end + self.chunk / 2 > state.filled.saturating_sub(self.space.reserve) {
            self.want(&mut state, end);
        }
        loop {
            if end <= state.filled.saturating_sub(self.space.reserve) {
                return Ok(());
            }
            match &state.refused {
                Some(_) if end <= state.filled => return Ok(()),
                Some(error) => return Err(again(error)),
                None => state = shared.wait(state),
            }
        }
    }

    fn want(&mut self, state: &mut State, end: u64) {
        let wanted = end + self.chunk + self.space.reserve;
        // While what was asked for is on its way, only what goes beyond it is news.
        if end <= state.wanted.saturating_sub(self.space.reserve) && state.wanted > state.filled {
            return;
        }
        state.wanted = state.wanted.max(wanted);
        self.chunk = (self.chunk * 2).min(self.space.chunk_max);
        self.start(state);
    }

    /// Sees to it that somebody fills.
    fn start(&mut self, state: &mut State) {
        if state.filling {
            return;
        }
        state.filling = true;
        let shared = Arc::clone(&self.shared);
        match thread::Builder::new().name("log-space".to_owned()).spawn(move || shared.fill()) {
            Ok(filler) => self.filler = Some(filler),
            Err(error) => {
                state.filling = false;
                state.wanted = state.filled;
                self.shared.refuse(state, error);
            }
        }
    }
}

impl Drop for Filled {
    fn drop(&mut self) {
        self.shared.lock().closed = true;
        self.shared.changed.notify_all();
        if let Some(filler) = self.filler.take() {
            // It only fills: if it panicked, that has been told.
            let _ = filler.join();
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("nobody panics while holding it")
    }

    fn wait<'a>(&self, state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
        self.changed.wait(state).expect("nobody panics while holding it")
    }

    /// Whether the disk has anything left to speak of.
    fn look(&self) -> io::Result<()> {
        let disk = rustix::fs::fstatvfs(&self.file)?;
        let left = disk.f_bavail.saturating_mul(disk.f_frsize);
        if left < self.scarce { Err(rustix::io::Errno::NOSPC.into()) } else { Ok(()) }
    }

    /// Fills until there is as much as is wanted, and the disk isn't full.
    fn fill(&self) {
        let mut state = self.lock();
        while !state.closed && (state.filled < state.wanted || state.refused.is_some()) {
            let (from, to) = (state.filled, state.wanted.max(state.filled));
            drop(state);
            let result = self.look().and_then(|()| fill(&self.file, from, to));
            state = self.lock();
            match result {
                Ok(()) => self.grow(&mut state, to),
                Err(error) => {
                    self.refuse(&mut state, error);
                    let waited = self.changed.wait_timeout_while(state, AGAIN, |s| !s.closed);
                    state = waited.expect("nobody panics while holding it").0;
                }
            }
        }
        state.filling = false;
    }

    fn grow(&self, state: &mut State, to: u64) {
        state.filled = to;
        if state.filled >= state.wanted && state.refused.take().is_some() {
            info!("the disk has room for the log again");
            self.room.send_replace(Room::Plenty);
        }
        self.changed.notify_all();
    }

    fn refuse(&self, state: &mut State, error: io::Error) {
        if state.refused.is_none() {
            warn!(%error, "the disk has no more room for the log: it goes on in its reserve");
            self.room.send_replace(Room::Reserve);
        }
        state.refused = Some(error);
        self.changed.notify_all();
    }
}

/// Fills `file` with zeros between two places, durably; all or nothing.
pub(super) fn fill(file: &File, from: u64, to: u64) -> io::Result<()> {
    if from == to {
        return Ok(());
    }
    let filled = allocate(file, from, to - from).and_then(|()| {
        let mut at = from;
        while at < to {
            let piece = &ZEROS[..ZEROS.len().min((to - at) as usize)];
            file.write_all_at(piece, at)?;
            at += piece.len() as u64;
        }
        file.sync_data()
    });
    filled.inspect_err(|_| {
        // The last bytes of a full disk are of more use to others. If this fails, a longer file of
        // zeros remains, which is a sound log.
        let _ = file.set_len(from);
    })
}

/// Asks for blocks at once, so that a full disk says so before anything is written.
///
/// The size stays as it is: it tells, after a crash, how far zeros were written.
fn allocate(file: &File, from: u64, length: u64) -> io::Result<()> {
    let allocate = || rustix::fs::fallocate(file, FallocateFlags::KEEP_SIZE, from, length);
    match rustix::io::retry_on_intr(allocate) {
        // Not every file system can; the zeros get their blocks as they are written.
        Err(rustix::io::Errno::OPNOTSUPP | rustix::io::Errno::NOSYS) | Ok(()) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// The same error once more.
fn again(error: &io::Error) -> io::Error {
    match error.raw_os_error() {
        Some(code) => io::Error::from_raw_os_error(code),
        None => io::Error::new(error.kind(), error.to_string()),
    }
}
