//! Which executable a launcher runs, so that an agent of another build can tell.
//!
//! By the file, not by a version: two builds of a version differ too, and a file that was replaced
//! while it runs is still there under `/proc`.

use std::{fs::Metadata, io, os::unix::fs::MetadataExt, path::Path};

/// The executable at a path. Equal for the same file, different for any other.
pub(crate) fn of(executable: &Path) -> io::Result<String> {
    executable.metadata().map(|metadata| text(&metadata))
}

/// The executable of this process; empty where `/proc` doesn't tell.
pub(crate) fn own() -> String {
    of(Path::new("/proc/self/exe")).unwrap_or_default()
}

fn text(file: &Metadata) -> String {
    // Not the device: it isn't the same in every mount namespace.
    format!("{:x}-{:x}-{:x}.{:x}", file.size(), file.ino(), file.mtime(), file.mtime_nsec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_is_another_build_and_a_path_to_the_same_file_is_not() {
        let own_path = std::env::current_exe().expect("this test has a file");
        assert_eq!(of(&own_path).expect("readable"), own());
        let dir = tempfile::tempdir().expect("a temporary directory");
        let (copy, link) = (dir.path().join("copy"), dir.path().join("link"));
        std::fs::copy(&own_path, &copy).expect("writable");
        std::os::unix::fs::symlink(&own_path, &link).expect("a link");
        assert_ne!(of(&copy).expect("readable"), own());
        assert_eq!(of(&link).expect("readable"), own());
        assert!(of(&dir.path().join("nope")).is_err());
    }
}
