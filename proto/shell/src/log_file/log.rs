//! The open log.

use std::fs::{self, File};
use std::io;
use std::marker::PhantomData;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use meros_proto::record::Record;
use tokio::sync::watch;
use tracing::warn;

use super::error::OpenError;
use super::header::{self, Header};
use super::replace::{self, Contents, Files, Fresh};
use super::space::{Filled, Room, Space};
use super::{batch, format_1};
use crate::durable::Durable;

/// An open log of records of type `R`.
#[derive(Debug)]
pub struct LogFile<R> {
    path: PathBuf,
    name: String,
    space: Space,
    room: Arc<watch::Sender<Room>>,
    tail: Tail,
    /// A write failed halfway: what is in the file is known again only after it was read.
    broken: bool,
    buffer: Vec<u8>,
    records: PhantomData<fn(R)>,
}

/// Where a file is written next.
#[derive(Debug)]
struct Tail {
    /// Each write is durable once it returns.
    file: File,
    filled: Filled,
    id: u64,
    /// Where the next batch goes.
    end: u64,
    /// The sequence of the next batch.
    sequence: u64,
}

impl<R: Record> LogFile<R> {
    /// Opens the log at `path`, which holds what `name` says, or makes it; returns what it holds.
    ///
    /// # Errors
    /// See [`OpenError`]. Nothing was changed then.
    pub fn open(path: &Path, name: &str) -> Result<(Self, Vec<R>), OpenError> {
        Self::open_with(path, name, Space::default())
    }

    /// As [`LogFile::open`], with a say in how much of the disk it takes.
    ///
    /// # Errors
    /// See [`OpenError`]. Nothing was changed then.
    pub fn open_with(path: &Path, name: &str, space: Space) -> Result<(Self, Vec<R>), OpenError> {
        let io = OpenError::io(path);
        replace::remove_leftover(path).map_err(&io)?;
        let bytes = match fs::read(path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Ok((Self::make(path, name, space, &[]).map_err(&io)?, Vec::new()));
            }
            Err(error) => return Err(io(error)),
        };
        let id = match header::read(path, name, &bytes)? {
            Header::Format1 { start } => {
                let records = format_1::read(path, &bytes, start)?;
                return Ok((Self::make(path, name, space, &records).map_err(&io)?, records));
            }
            Header::Format2 { id } => id,
        };
        let held = batch::read(path, &bytes, id)?;
        let contents = Contents {
            files: Files::open(path).map_err(&io)?,
            id,
            end: held.end as u64,
            sequence: held.sequence,
            filled: bytes.len() as u64,
        };
        let mut log = Self::over(path, name, space, contents);
        if held.torn_to > held.end {
            let cut = held.torn_to - held.end;
            warn!(path = %path.display(), cut, "cut off records that were not finished");
            log.tail.file.write_all_at(&vec![0; cut], log.tail.end).map_err(&io)?;
        }
        // The last life may have left little space. A full disk is no reason not to open: room()
        // tells.
        let _ = log.tail.filled.reach(log.tail.end);
        Ok((log, held.records))
    }

    /// Puts a new log that holds `records` in the place of the one at `path`, all or nothing.
    ///
    /// For a log that isn't open; see [`LogFile::rewrite`].
    ///
    /// # Errors
    /// The old log is still in place then.
    pub fn replace(path: &Path, name: &str, records: &[R]) -> io::Result<()> {
        Self::make(path, name, Space::default(), records).map(drop)
    }

    /// Goes on in a new file that holds `records` in place of all that this one does.
    ///
    /// # Errors
    /// The old file is still in place, and goes on being written. (If not even that is sure, since
    /// the rename could not be synced, every commit fails from now on.)
    pub fn rewrite(&mut self, records: &[R]) -> io::Result<()> {
        let (fresh, contents) = Fresh::write(&self.path, &self.name, self.space, records)?;
        fresh.place(&self.path)?;
        self.tail = Tail::over(contents, self.space, Arc::clone(&self.room));
        // From here on a crash could bring either file back: nothing may be added to one of them.
        replace::sync_folder(&self.path).inspect_err(|_| self.broken = true)?;
        self.room.send_replace(Room::Plenty);
        Ok(())
    }

    /// Whether the disk gives the log what it needs.
    pub fn room(&self) -> Room {
        *self.room.borrow()
    }

    /// Follows [`LogFile::room`], over rewrites too; ends with the log.
    pub fn watch_room(&self) -> watch::Receiver<Room> {
        self.room.subscribe()
    }

    fn make(path: &Path, name: &str, space: Space, records: &[R]) -> io::Result<Self> {
        let (fresh, contents) = Fresh::write(path, name, space, records)?;
        fresh.place(path)?;
        replace::sync_folder(path)?;
        Ok(Self::over(path, name, space, contents))
    }

    fn over(path: &Path, name: &str, space: Space, contents: Contents) -> Self {
        let room = Arc::new(watch::Sender::new(Room::Plenty));
        Self {
            path: path.to_owned(),
            name: name.to_owned(),
            space,
            tail: Tail::over(contents, space, Arc::clone(&room)),
            room,
            broken: false,
            buffer: Vec::new(),
            records: PhantomData,
        }
    }
}

impl Tail {
    fn over(contents: Contents, space: Space, room: Arc<watch::Sender<Room>>) -> Self {
        let Contents { files, id, end, sequence, filled } = contents;
        Self {
            file: files.synced,
            filled: Filled::new(files.plain, filled, space, room),
            id,
            end,
            sequence,
        }
    }
}

impl<R: Record> Durable for LogFile<R> {
    type Record = R;

    /// All of `records` are found again after a crash, or, when it failed, none.
    ///
    /// A full disk is an error of its own kind ([`io::ErrorKind::StorageFull`]): nothing was
    /// written then, and the next commit may fit again.
    fn commit(&mut self, records: Vec<R>) -> io::Result<()> {
        if self.broken {
            return Err(io::Error::other("an earlier write to the log failed: open it anew"));
        }
        if records.is_empty() {
            return Ok(());
        }
        let tail = &mut self.tail;
        batch::encode(&mut self.buffer, (tail.id, tail.sequence, tail.end), &records)?;
        let end = tail.end + self.buffer.len() as u64;
        tail.filled.reach(end)?;
        tail.file.write_all_at(&self.buffer, tail.end).inspect_err(|_| self.broken = true)?;
        tail.end = end;
        tail.sequence += 1;
        Ok(())
    }
}
