//! A role's work directory: made if it isn't there, and held by one process at a time.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

/// A work directory that is ours for as long as this value lives.
///
/// The lock is the kernel's: it goes when the process does, however it ends.
#[derive(Debug)]
pub struct WorkDir {
    path: PathBuf,
    _lock: File,
}

/// Why a work directory can't be used. Each is one line for the operator.
#[derive(Debug, thiserror::Error)]
pub enum WorkDirError {
    /// Another role has it.
    #[error("the work directory {} is in use by another process: stop that one, or choose another with --work-dir", .0.display())]
    InUse(PathBuf),
    /// It can't be made or written.
    #[error("cannot use the work directory {}: {error}; choose another with --work-dir", .path.display())]
    Unusable {
        /// What was asked for.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
}

impl WorkDir {
    /// Makes `path` if needed and takes its lock.
    ///
    /// # Errors
    /// [`WorkDirError::InUse`] when somebody holds it; it isn't waited for.
    pub fn take(path: &Path) -> Result<Self, WorkDirError> {
        let unusable = |error| WorkDirError::Unusable { path: path.to_owned(), error };
        fs::create_dir_all(path).map_err(unusable)?;
        // What lies in it is named to others, who may stand elsewhere.
        let absolute = path.canonicalize().map_err(unusable)?;
        let lock = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(absolute.join("lock"))
            .map_err(unusable)?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { path: absolute, _lock: lock }),
            Err(TryLockError::WouldBlock) => Err(WorkDirError::InUse(path.to_owned())),
            Err(TryLockError::Error(error)) => Err(unusable(error)),
        }
    }

    /// Where it is: absolute, without symbolic links.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The path of a file in it.
    pub fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Makes a folder in it if it isn't there.
    ///
    /// # Errors
    /// [`WorkDirError::Unusable`].
    pub fn make_folder(&self, name: &str) -> Result<(), WorkDirError> {
        let path = self.file(name);
        fs::create_dir_all(&path).map_err(|error| WorkDirError::Unusable { path, error })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_holder_at_a_time_and_the_next_after_it_is_gone() {
        let root = tempfile::tempdir().expect("a temporary directory");
        let path = root.path().join("made/on/demand");
        let held = WorkDir::take(&path).expect("it is free");
        let error = WorkDir::take(&path).expect_err("it is taken");
        assert!(matches!(error, WorkDirError::InUse(_)), "{error}");
        assert!(error.to_string().contains("is in use by another process"), "{error}");
        drop(held);
        WorkDir::take(&path).expect("it is free again");
    }

    #[test]
    fn a_path_that_is_a_file_is_told_in_one_line() {
        let file = tempfile::NamedTempFile::new().expect("a temporary file");
        let error = WorkDir::take(file.path()).expect_err("a file is no directory");
        assert!(matches!(error, WorkDirError::Unusable { .. }));
        assert!(!error.to_string().contains('\n'));
    }

    #[test]
    fn a_relative_path_and_a_link_are_told_as_what_they_lead_to() {
        let root = tempfile::tempdir().expect("a temporary directory");
        let (real, link) = (root.path().join("real"), root.path().join("link"));
        fs::create_dir(&real).expect("it is new");
        std::os::unix::fs::symlink(&real, &link).expect("it is new");
        let held = WorkDir::take(&link).expect("it is free");
        assert_eq!(held.path(), real.canonicalize().expect("it is there"));
        held.make_folder("a/b").expect("it can be written");
        assert!(real.join("a/b").is_dir());
    }
}
