//! A new file in the place of an old one, whole or not at all.
//!
//! Written under another name with all its space, synced, renamed, and the folder synced. Whatever
//! goes wrong before the rename leaves the old file; what a crash leaves under the other name is
//! removed when the log is opened next.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use meros_proto::record::Record;
use rustix::fs::OFlags;

use super::batch;
use super::header::{self, BLOCK};
use super::space::{self, Space};

/// A new file that is not in its place yet.
#[derive(Debug)]
pub(super) struct Fresh {
    path: PathBuf,
    /// The file is gone from `path`.
    placed: bool,
}

/// What a new file holds, and what it is written through.
#[derive(Debug)]
pub(super) struct Contents {
    pub(super) files: Files,
    pub(super) id: u64,
    /// Where the next batch goes.
    pub(super) end: u64,
    /// The sequence of the next batch.
    pub(super) sequence: u64,
    /// How long it is.
    pub(super) filled: u64,
}

/// A log's file, opened twice.
#[derive(Debug)]
pub(super) struct Files {
    /// Each write is durable once it returns. As quick here as a sync after each write; and it
    /// doesn't wait for zeros that are on their way to the disk further behind.
    pub(super) synced: File,
    /// For what is synced later, all at once.
    pub(super) plain: File,
}

impl Files {
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let flags =
            i32::try_from(OFlags::DSYNC.bits()).expect("a flag of open(2) is a small number");
        Ok(Self {
            synced: OpenOptions::new().write(true).custom_flags(flags).open(path)?,
            plain: OpenOptions::new().write(true).open(path)?,
        })
    }
}

impl Fresh {
    /// Writes a log that holds `records` next to `path`.
    pub(super) fn write<R: Record>(
        path: &Path,
        name: &str,
        space: Space,
        records: &[R],
    ) -> io::Result<(Self, Contents)> {
        let fresh = Self { path: name_of(path), placed: false };
        File::create(&fresh.path)?;
        let files = Files::open(&fresh.path)?;
        let id = uuid::Uuid::new_v4().as_u64_pair().0;
        let (mut bytes, mut sequence) = (Vec::new(), 1);
        if !records.is_empty() {
            batch::encode(&mut bytes, (id, sequence, BLOCK as u64), records)?;
            sequence += 1;
        }
        let end = (BLOCK + bytes.len()) as u64;
        let filled = space.length(end);
        files.plain.write_all_at(&header::write(name, id), 0)?;
        files.plain.write_all_at(&bytes, BLOCK as u64)?;
        space::fill(&files.plain, end, filled)?;
        files.plain.sync_all()?;
        Ok((fresh, Contents { files, id, end, sequence, filled }))
    }

    /// Renames it to `path`. The old file is still in place when this fails.
    pub(super) fn place(mut self, path: &Path) -> io::Result<()> {
        fs::rename(&self.path, path)?;
        self.placed = true;
        Ok(())
    }
}

impl Drop for Fresh {
    fn drop(&mut self) {
        if !self.placed {
            // What can't be removed now is when the log is opened next.
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Makes what was renamed in the folder of `path` durable.
pub(super) fn sync_folder(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => File::open(parent)?.sync_all(),
        _ => File::open(".")?.sync_all(),
    }
}

/// Removes what a crash left of a new file.
pub(super) fn remove_leftover(path: &Path) -> io::Result<()> {
    match fs::remove_file(name_of(path)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn name_of(path: &Path) -> PathBuf {
    path.with_extension("new")
}
