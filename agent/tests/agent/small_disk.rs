//! A small file system in memory, for what happens when a disk is full. Only root can have one.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};

/// Gone with its contents when it is dropped.
pub(crate) struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    /// A file system of 8 MiB; `None`, with the reason on standard error, where none can be had.
    pub(crate) fn mount() -> Option<Self> {
        let dir = tempfile::tempdir().expect("a temporary directory");
        match mount(
            "meros-test",
            dir.path(),
            "tmpfs",
            MountFlags::empty(),
            c"size=8m,nr_inodes=200",
        ) {
            Ok(()) => Some(Self(dir)),
            Err(error) => {
                eprintln!("skipped: cannot mount a file system ({error})");
                None
            }
        }
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    /// Takes all that is left, of names too; the folder to remove to give it back.
    pub(crate) fn fill_up(&self) -> PathBuf {
        let folder = self.path().join("others");
        fs::create_dir(&folder).expect("room for a name");
        let mut file = fs::File::create(folder.join("large")).expect("room for a name");
        for size in [64 << 10, 4 << 10] {
            while file.write_all(&vec![1; size]).is_ok() {}
        }
        let mut names = 0..;
        while fs::File::create(folder.join(format!("{:?}", names.next()))).is_ok() {}
        folder
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // What is still open in it keeps it until that is closed.
        let _ = unmount(self.path(), UnmountFlags::DETACH);
    }
}
