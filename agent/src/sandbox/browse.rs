//! Lists and reads files under virtual roots: what `/files/browse`, `read` and `download` answer.
//!
//! Every file is opened beneath its root by the kernel's own rule (`openat2`, `RESOLVE_BENEATH`),
//! so that neither `..` nor a link that a task left in its sandbox leads out of it, not even while
//! it is being swapped. Calls block on the disk: run them where that is allowed.

use std::{
    collections::BTreeMap,
    fs::File,
    io,
    os::unix::fs::{FileExt, MetadataExt},
    path::PathBuf,
    sync::{PoisonError, RwLock},
};

use rustix::fs::{Mode, OFlags, ResolveFlags};

use crate::containerizer::user;

/// How much one read returns at most: 16 pages.
pub const READ_MAX: u64 = 16 * 4096;

/// The table of virtual roots.
#[derive(Debug, Default)]
pub struct Files {
    roots: RwLock<BTreeMap<String, PathBuf>>,
}

/// One entry of a listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its virtual path.
    pub path: String,
    /// The `st_mode` of `stat(2)`, type and permissions.
    pub mode: u32,
    /// Number of hard links.
    pub nlink: u64,
    /// Owner's name, or number where it has none.
    pub uid: String,
    /// Group's name, or number where it has none.
    pub gid: String,
    /// Size in bytes.
    pub size: u64,
    /// Time of last change, seconds since 1970.
    pub mtime: i64,
}

/// What a read returns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chunk {
    /// The bytes. They need not be UTF-8, nor end where a character ends.
    pub data: Vec<u8>,
    /// Where they begin; the size of the file when that was asked for.
    pub offset: u64,
}

/// A file to be sent whole.
#[derive(Debug)]
pub struct Download {
    /// The open file, at its beginning.
    pub file: File,
    /// Its name, without directories.
    pub name: String,
    /// Its size when it was opened.
    pub size: u64,
}

/// Why a path was not listed or read.
#[derive(Debug, thiserror::Error)]
pub enum FilesError {
    /// No root holds it, it does not exist, or it leads out of its root: 404.
    #[error("no such file: {0}")]
    NotFound(String),
    /// Only a file can be read: 400.
    #[error("cannot read from a directory")]
    ReadDirectory,
    /// Only a file can be downloaded: 400.
    #[error("cannot download a directory")]
    DownloadDirectory,
    /// It is neither a file nor a directory: 400.
    #[error("not a regular file: {0}")]
    Special(String),
    /// 400.
    #[error("negative offset provided: {0}")]
    NegativeOffset(i64),
    /// 400.
    #[error("negative length provided: {0}")]
    NegativeLength(i64),
    /// 500.
    #[error("{operation} {path}")]
    Io {
        /// What was being done.
        operation: &'static str,
        /// To which virtual path.
        path: String,
        /// What the system said.
        source: io::Error,
    },
}

impl Files {
    /// Makes `directory` readable under `virtual_path`; replaces what was there.
    pub fn attach(&self, virtual_path: &str, directory: PathBuf) {
        let mut roots = self.roots.write().unwrap_or_else(PoisonError::into_inner);
        roots.insert(normal(virtual_path), directory);
    }

    /// Takes a root away. Files that are open stay readable to who has them.
    pub fn detach(&self, virtual_path: &str) {
        let mut roots = self.roots.write().unwrap_or_else(PoisonError::into_inner);
        roots.remove(&normal(virtual_path));
    }

    /// What lies in a directory, by path; of a file, the file itself.
    ///
    /// # Errors
    /// See [`FilesError`].
    pub fn browse(&self, path: &str) -> Result<Vec<Entry>, FilesError> {
        let path = normal(path);
        let file = self.open(&path, OFlags::PATH)?;
        let metadata = file.metadata().map_err(|e| failed("stat", &path, e))?;
        if !metadata.is_dir() {
            return Ok(vec![entry(path, &metadata)]);
        }
        // Through the descriptor, so that what is listed is what was resolved.
        let directory = self.open(&path, OFlags::RDONLY | OFlags::DIRECTORY)?;
        let mut entries = Vec::new();
        for found in rustix::fs::Dir::new(directory).map_err(|e| failed("list", &path, e.into()))? {
            let found = found.map_err(|e| failed("list", &path, e.into()))?;
            let name = found.file_name().to_string_lossy();
            if name == "." || name == ".." {
                continue;
            }
            let child = format!("{}/{name}", path.trim_end_matches('/'));
            // Gone meanwhile, or a link out of the sandbox: not listed, as Mesos does.
            if let Ok(file) = self.open(&child, OFlags::PATH)
                && let Ok(metadata) = file.metadata()
            {
                entries.push(entry(child, &metadata));
            }
        }
        entries.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(entries)
    }

    /// Reads from `offset` on, at most `length` and [`READ_MAX`] bytes.
    ///
    /// Offset -1 or none asks for the size. Length -1 or none asks for as much as is allowed.
    ///
    /// # Errors
    /// See [`FilesError`].
    pub fn read(
        &self,
        path: &str,
        offset: Option<i64>,
        length: Option<i64>,
    ) -> Result<Chunk, FilesError> {
        let offset = match offset {
            None | Some(-1) => None,
            Some(offset) => {
                Some(u64::try_from(offset).map_err(|_| FilesError::NegativeOffset(offset))?)
            }
        };
        let length = match length {
            None | Some(-1) => READ_MAX,
            Some(length) => {
                u64::try_from(length).map_err(|_| FilesError::NegativeLength(length))?.min(READ_MAX)
            }
        };
        let path = normal(path);
        let (file, size) = self.open_file(&path, || FilesError::ReadDirectory)?;
        let Some(offset) = offset else {
            return Ok(Chunk { data: Vec::new(), offset: size });
        };
        let wanted = length.min(size.saturating_sub(offset));
        let mut data = vec![0; usize::try_from(wanted).expect("at most READ_MAX")];
        let mut filled = 0;
        while filled < data.len() {
            match file.read_at(&mut data[filled..], offset + filled as u64) {
                // Cut meanwhile.
                Ok(0) => break,
                Ok(read) => filled += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(failed("read", &path, error)),
            }
        }
        data.truncate(filled);
        Ok(Chunk { data, offset })
    }

    /// Opens a file to be sent whole.
    ///
    /// # Errors
    /// See [`FilesError`].
    pub fn download(&self, path: &str) -> Result<Download, FilesError> {
        let path = normal(path);
        let (file, size) = self.open_file(&path, || FilesError::DownloadDirectory)?;
        let name = path.rsplit('/').next().unwrap_or_default().to_owned();
        Ok(Download { file, name, size })
    }

    fn open_file(
        &self,
        path: &str,
        directory: impl FnOnce() -> FilesError,
    ) -> Result<(File, u64), FilesError> {
        // Looked at first: opening a FIFO or a device to read may wait, or do something.
        let found = self.open(path, OFlags::PATH)?;
        let metadata = found.metadata().map_err(|e| failed("stat", path, e))?;
        if metadata.is_dir() {
            return Err(directory());
        }
        if !metadata.is_file() {
            return Err(FilesError::Special(path.to_owned()));
        }
        let file = self.open(path, OFlags::RDONLY | OFlags::NONBLOCK)?;
        let metadata = file.metadata().map_err(|e| failed("stat", path, e))?;
        Ok((file, metadata.len()))
    }

    /// Opens `path`, which is normal, beneath the longest root that holds it.
    fn open(&self, path: &str, flags: OFlags) -> Result<File, FilesError> {
        let (root, below) = self.resolve(path).ok_or_else(|| not_found(path))?;
        let directory = rustix::fs::open(
            &root,
            OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC,
            Mode::empty(),
        )
        .map_err(|e| missing_or("open", path, e.into()))?;
        rustix::fs::openat2(
            directory,
            if below.is_empty() { "." } else { below },
            flags | OFlags::CLOEXEC,
            Mode::empty(),
            ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS,
        )
        .map(File::from)
        .map_err(|e| missing_or("open", path, e.into()))
    }

    /// The directory behind the longest root that holds `path`, and what is left of the path.
    fn resolve<'p>(&self, path: &'p str) -> Option<(PathBuf, &'p str)> {
        let roots = self.roots.read().unwrap_or_else(PoisonError::into_inner);
        let mut root = path;
        loop {
            if let Some(directory) = roots.get(root) {
                return Some((directory.clone(), path[root.len()..].trim_start_matches('/')));
            }
            root = &root[..root.rfind('/')?];
        }
    }
}

/// The `ls -l` form of a mode: `-rw-r--r--`, `drwxrwxrwt`.
pub fn mode_text(mode: u32) -> String {
    let kind = match mode & 0o170_000 {
        0o040_000 => 'd',
        0o120_000 => 'l',
        0o020_000 => 'c',
        0o060_000 => 'b',
        0o010_000 => 'p',
        0o140_000 => 's',
        _ => '-',
    };
    let mut text = String::with_capacity(10);
    text.push(kind);
    for (shift, special, letter) in [(6, 0o4000, 's'), (3, 0o2000, 's'), (0, 0o1000, 't')] {
        let bits = mode >> shift;
        text.push(if bits & 4 != 0 { 'r' } else { '-' });
        text.push(if bits & 2 != 0 { 'w' } else { '-' });
        text.push(match (bits & 1 != 0, mode & special != 0) {
            (true, false) => 'x',
            (false, false) => '-',
            (true, true) => letter,
            (false, true) => letter.to_ascii_uppercase(),
        });
    }
    text
}

/// One leading slash unless it was relative, single slashes, no `.`, none at the end.
///
/// `..` stays: the kernel judges it.
fn normal(path: &str) -> String {
    let mut out = String::with_capacity(path.len());
    for part in path.split('/').filter(|part| !part.is_empty() && *part != ".") {
        if !out.is_empty() || path.starts_with('/') {
            out.push('/');
        }
        out.push_str(part);
    }
    out
}

fn entry(path: String, metadata: &std::fs::Metadata) -> Entry {
    Entry {
        path,
        mode: metadata.mode(),
        nlink: metadata.nlink(),
        uid: user::name_of(metadata.uid()),
        gid: user::group_name_of(metadata.gid()),
        size: metadata.size(),
        mtime: metadata.mtime(),
    }
}

fn not_found(path: &str) -> FilesError {
    FilesError::NotFound(path.to_owned())
}

fn failed(operation: &'static str, path: &str, source: io::Error) -> FilesError {
    FilesError::Io { operation, path: path.to_owned(), source }
}

/// What doesn't exist and what lies outside look the same from outside.
fn missing_or(operation: &'static str, path: &str, source: io::Error) -> FilesError {
    const OUTSIDE: i32 = rustix::io::Errno::XDEV.raw_os_error();
    const LOOP: i32 = rustix::io::Errno::LOOP.raw_os_error();
    const TOO_LONG: i32 = rustix::io::Errno::NAMETOOLONG.raw_os_error();
    // A NUL in the path, which no file's name holds.
    const INVALID: i32 = rustix::io::Errno::INVAL.raw_os_error();
    match source.raw_os_error() {
        Some(OUTSIDE | LOOP | TOO_LONG | INVALID) => not_found(path),
        _ if matches!(source.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            not_found(path)
        }
        _ => failed(operation, path, source),
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::symlink};

    use super::*;

    struct Fixture {
        _work: tempfile::TempDir,
        files: Files,
    }

    /// A sandbox under `/framework/f/executor/e/latest`, a secret beside it.
    fn fixture() -> Fixture {
        let work = tempfile::tempdir().expect("a temporary directory");
        let sandbox = work.path().join("sandbox");
        fs::create_dir_all(sandbox.join("sub")).expect("writable");
        fs::write(sandbox.join("stdout"), "hello\n").expect("writable");
        fs::write(sandbox.join("sub/deep"), vec![7; 100_000]).expect("writable");
        fs::write(work.path().join("secret"), "s").expect("writable");
        symlink("../secret", sandbox.join("out")).expect("a link");
        symlink("/etc/passwd", sandbox.join("passwd")).expect("a link");
        symlink("sub/deep", sandbox.join("in")).expect("a link");
        let files = Files::default();
        files.attach("/framework/f/executor/e/latest", sandbox);
        Fixture { _work: work, files }
    }

    const ROOT: &str = "/framework/f/executor/e/latest";

    #[test]
    fn a_listing_names_what_is_inside_and_nothing_else() {
        let fixture = fixture();
        for path in [ROOT, &format!("{ROOT}/"), "//framework/f/./executor/e/latest"] {
            let entries = fixture.files.browse(path).expect("a directory");
            let names: Vec<_> = entries
                .iter()
                .map(|e| e.path.strip_prefix(ROOT).expect("below the root"))
                .collect();
            assert_eq!(names, ["/in", "/stdout", "/sub"], "{path}");
            assert_eq!(entries[1].size, 6);
            assert!(mode_text(entries[1].mode).starts_with("-rw"));
            assert!(mode_text(entries[2].mode).starts_with("drwx"));
        }
    }

    #[test]
    fn no_path_leads_out_of_its_root() {
        let fixture = fixture();
        for path in [
            "",
            "/",
            "/framework",
            "/etc/passwd",
            "..",
            "/framework/f/executor/e/latestx",
            &format!("{ROOT}/out"),
            &format!("{ROOT}/passwd"),
            &format!("{ROOT}/../secret"),
            &format!("{ROOT}/sub/../../secret"),
            &format!("{ROOT}/stdout/x"),
            &format!("{ROOT}/nope"),
            &format!("{ROOT}/a\0b"),
        ] {
            for result in [
                fixture.files.browse(path).err(),
                fixture.files.read(path, Some(0), None).err(),
                fixture.files.download(path).err(),
            ] {
                assert!(matches!(result, Some(FilesError::NotFound(_))), "{path:?}: {result:?}");
            }
        }
    }

    #[test]
    fn a_read_is_bounded_by_the_file_the_length_and_sixteen_pages() {
        let fixture = fixture();
        let read = |name: &str, offset, length| {
            let chunk =
                fixture.files.read(&format!("{ROOT}/{name}"), offset, length).expect("a file");
            (chunk.offset, chunk.data.len())
        };
        for (offset, length, expected) in [
            (None, None, (100_000, 0)),
            (Some(-1), Some(10), (100_000, 0)),
            (Some(0), None, (0, 65_536)),
            (Some(0), Some(-1), (0, 65_536)),
            (Some(0), Some(1_000_000), (0, 65_536)),
            (Some(65_536), None, (65_536, 34_464)),
            (Some(99_999), Some(10), (99_999, 1)),
            (Some(100_000), Some(10), (100_000, 0)),
            (Some(i64::MAX), None, (i64::MAX as u64, 0)),
            (Some(5), Some(0), (5, 0)),
        ] {
            assert_eq!(read("sub/deep", offset, length), expected, "{offset:?} {length:?}");
            assert_eq!(read("in", offset, length), expected, "through a link");
        }
        let hello = fixture.files.read(&format!("{ROOT}/stdout"), Some(1), Some(3));
        assert_eq!(hello.expect("a file").data, b"ell");
    }

    #[test]
    fn negative_offsets_and_directories_are_refused() {
        let fixture = fixture();
        let stdout = format!("{ROOT}/stdout");
        assert!(matches!(
            fixture.files.read(&stdout, Some(-2), None),
            Err(FilesError::NegativeOffset(-2))
        ));
        assert!(matches!(
            fixture.files.read(&stdout, Some(0), Some(-5)),
            Err(FilesError::NegativeLength(-5))
        ));
        assert!(matches!(fixture.files.read(ROOT, Some(0), None), Err(FilesError::ReadDirectory)));
        assert!(matches!(fixture.files.download(ROOT), Err(FilesError::DownloadDirectory)));
    }

    #[test]
    fn a_download_is_the_open_file_and_its_name() {
        let fixture = fixture();
        let download = fixture.files.download(&format!("{ROOT}/sub/deep")).expect("a file");
        assert_eq!((download.name.as_str(), download.size), ("deep", 100_000));
    }

    #[test]
    fn a_detached_root_is_gone() {
        let fixture = fixture();
        fixture.files.detach(&format!("{ROOT}/"));
        assert!(matches!(fixture.files.browse(ROOT), Err(FilesError::NotFound(_))));
    }

    #[test]
    fn modes_read_as_ls_prints_them() {
        for (mode, text) in [
            (0o100_644, "-rw-r--r--"),
            (0o040_755, "drwxr-xr-x"),
            (0o041_777, "drwxrwxrwt"),
            (0o104_755, "-rwsr-xr-x"),
            (0o102_644, "-rw-r-Sr--"),
            (0o120_777, "lrwxrwxrwx"),
        ] {
            assert_eq!(mode_text(mode), text);
        }
    }
}
