//! A store in one local file, for a framework that runs alone.
//!
//! The file is a `redb` database: copy-on-write, so a crash in the middle of a commit leaves the
//! state before it. Its header row names the format, the kind of state and the writer's version;
//! a file of another kind or of a newer format is refused, never guessed at. One process holds it.

use std::path::{Path, PathBuf};

use bytes::Bytes;
use meros_proto::versions::MEROS_VERSION;
use redb::{Database, DatabaseError, ReadableDatabase, ReadableTable, TableDefinition};

use super::store::check_keys;
use super::{Change, Row, StateError, StateStore, Transaction};

/// Key to (version, value).
const ROWS: TableDefinition<'static, &str, (u64, &[u8])> = TableDefinition::new("rows");
/// The header and the last revision.
const META: TableDefinition<'static, &str, &[u8]> = TableDefinition::new("meta");

const HEADER: &str = "header";
const REVISION: &str = "revision";

/// The first bytes of the header row.
const MAGIC: &[u8; 8] = b"MEROSKV\0";
/// The format written here. Format 1: the two tables above.
const FORMAT: u16 = 1;

/// Rows in a file. See [`StateStore`].
#[derive(Debug)]
pub struct File {
    path: PathBuf,
    database: Database,
}

impl File {
    /// Opens the file at `path`, or makes it and the folders above it.
    ///
    /// `kind` says whose state it is ("marathon"): a file of another kind is refused.
    ///
    /// # Errors
    /// [`StateError::InUse`] when a process holds it, [`StateError::NotOurs`] and
    /// [`StateError::Format`] when it is something else, [`StateError::Io`].
    pub fn open(path: impl Into<PathBuf>, kind: &str) -> Result<Self, StateError> {
        let path = path.into();
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).map_err(|source| StateError::Io {
                path: path.clone(),
                doing: "create the folder of",
                source,
            })?;
        }
        let database = Database::create(&path).map_err(|error| not_opened(&path, kind, error))?;
        let store = Self { path, database };
        store.check_header(kind)?;
        Ok(store)
    }

    /// Where the file is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Reads the header, or writes it and both tables into a file that has none.
    fn check_header(&self, kind: &str) -> Result<(), StateError> {
        let transaction = self.database.begin_write().map_err(|e| self.failed("open", e))?;
        {
            let mut meta = transaction.open_table(META).map_err(|e| self.failed("open", e))?;
            let header = meta.get(HEADER).map_err(|e| self.failed("read", e))?;
            let found = header.map(|header| Header::decode(header.value()));
            match found {
                Some(header) => return self.accept(header, kind),
                None if self.has_other_tables(&transaction)? => {
                    return Err(self.not_ours(kind, "a database without our header"));
                }
                None => {}
            }
            meta.insert(HEADER, Header::ours(kind).encode().as_slice())
                .map_err(|e| self.failed("write", e))?;
            transaction.open_table(ROWS).map_err(|e| self.failed("open", e))?;
        }
        transaction.commit().map_err(|e| self.failed("write", e))
    }

    fn has_other_tables(&self, transaction: &redb::WriteTransaction) -> Result<bool, StateError> {
        use redb::TableHandle;
        let mut tables = transaction.list_tables().map_err(|e| self.failed("read", e))?;
        Ok(tables.any(|table| table.name() != redb::TableHandle::name(&META)))
    }

    fn accept(&self, header: Option<Header>, kind: &str) -> Result<(), StateError> {
        let Some(header) = header else {
            return Err(self.not_ours(kind, "its header can't be read"));
        };
        if header.format > FORMAT {
            return Err(StateError::Format {
                path: self.path.clone(),
                found: header.format,
                writer: header.writer,
                known: FORMAT,
            });
        }
        if header.kind != kind {
            return Err(self.not_ours(kind, &format!("it holds the state of {}", header.kind)));
        }
        Ok(())
    }

    fn not_ours(&self, kind: &str, why: &str) -> StateError {
        StateError::NotOurs { path: self.path.clone(), kind: kind.to_owned(), why: why.to_owned() }
    }

    fn failed(&self, doing: &'static str, error: impl Into<redb::Error>) -> StateError {
        failed(&self.path, doing, error.into())
    }
}

impl StateStore for File {
    fn get(&self, key: &str) -> Result<Option<Row>, StateError> {
        let transaction = self.database.begin_read().map_err(|e| self.failed("read", e))?;
        let rows = transaction.open_table(ROWS).map_err(|e| self.failed("read", e))?;
        let found = rows.get(key).map_err(|e| self.failed("read", e))?;
        Ok(found.map(|found| row(key, found.value())))
    }

    fn list(&self, prefix: &str) -> Result<Vec<Row>, StateError> {
        let transaction = self.database.begin_read().map_err(|e| self.failed("read", e))?;
        let rows = transaction.open_table(ROWS).map_err(|e| self.failed("read", e))?;
        let mut found = Vec::new();
        for entry in rows.range(prefix..).map_err(|e| self.failed("read", e))? {
            let (key, value) = entry.map_err(|e| self.failed("read", e))?;
            if !key.value().starts_with(prefix) {
                break;
            }
            found.push(row(key.value(), value.value()));
        }
        Ok(found)
    }

    fn commit(&self, transaction: Transaction) -> Result<u64, StateError> {
        check_keys(&transaction)?;
        let write = self.database.begin_write().map_err(|e| self.failed("write", e))?;
        let revision = {
            let mut meta = write.open_table(META).map_err(|e| self.failed("write", e))?;
            let mut rows = write.open_table(ROWS).map_err(|e| self.failed("write", e))?;
            for change in transaction.changes() {
                let found = rows.get(change.key()).map_err(|e| self.failed("read", e))?;
                let found = found.map(|found| found.value().0);
                if !change.expect().holds(found) {
                    return Err(StateError::Conflict { key: change.key().to_owned(), found });
                }
            }
            let last = meta.get(REVISION).map_err(|e| self.failed("read", e))?;
            let last = last.map_or(0, |last| revision_of(last.value()));
            if transaction.is_empty() {
                return Ok(last);
            }
            let revision = last + 1;
            meta.insert(REVISION, revision.to_le_bytes().as_slice())
                .map_err(|e| self.failed("write", e))?;
            for change in transaction.changes() {
                match change {
                    Change::Put { key, value, .. } => rows
                        .insert(key.as_str(), (revision, value.as_ref()))
                        .map(drop)
                        .map_err(|e| self.failed("write", e))?,
                    Change::Delete { key, .. } => {
                        rows.remove(key.as_str()).map(drop).map_err(|e| self.failed("write", e))?;
                    }
                }
            }
            revision
        };
        write.commit().map_err(|e| self.failed("write", e))?;
        Ok(revision)
    }
}

fn row(key: &str, (version, value): (u64, &[u8])) -> Row {
    Row { key: key.to_owned(), value: Bytes::copy_from_slice(value), version }
}

fn revision_of(bytes: &[u8]) -> u64 {
    bytes.try_into().map_or(0, u64::from_le_bytes)
}

/// What the file says of itself.
struct Header {
    format: u16,
    kind: String,
    writer: String,
}

impl Header {
    fn ours(kind: &str) -> Self {
        Self { format: FORMAT, kind: kind.to_owned(), writer: MEROS_VERSION.to_owned() }
    }

    /// Magic, format (little endian), kind, NUL, writer's version.
    fn encode(&self) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        bytes.extend(self.format.to_le_bytes());
        bytes.extend(self.kind.as_bytes());
        bytes.push(0);
        bytes.extend(self.writer.as_bytes());
        bytes
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let rest = bytes.strip_prefix(MAGIC)?;
        let (format, rest) = rest.split_first_chunk::<2>()?;
        let (kind, writer) = std::str::from_utf8(rest).ok()?.split_once('\0')?;
        Some(Self {
            format: u16::from_le_bytes(*format),
            kind: kind.to_owned(),
            writer: writer.to_owned(),
        })
    }
}

fn not_opened(path: &Path, kind: &str, error: DatabaseError) -> StateError {
    match error {
        DatabaseError::DatabaseAlreadyOpen => StateError::InUse(path.to_owned()),
        DatabaseError::Storage(redb::StorageError::Corrupted(why)) => {
            StateError::NotOurs { path: path.to_owned(), kind: kind.to_owned(), why }
        }
        DatabaseError::Storage(redb::StorageError::Io(source))
            if source.kind() == std::io::ErrorKind::InvalidData =>
        {
            StateError::NotOurs {
                path: path.to_owned(),
                kind: kind.to_owned(),
                why: "it isn't a database".to_owned(),
            }
        }
        other => failed(path, "open", other.into()),
    }
}

fn failed(path: &Path, doing: &'static str, error: redb::Error) -> StateError {
    match error {
        redb::Error::Io(source) => StateError::Io { path: path.to_owned(), doing, source },
        other => StateError::Storage { doing, why: other.to_string() },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::contract;

    fn folder() -> tempfile::TempDir {
        tempfile::tempdir().expect("a temporary folder can be made")
    }

    #[test]
    fn the_file_store_keeps_the_contract() {
        let folder = folder();
        contract::check(&File::open(folder.path().join("state"), "test").expect("a new file"));
    }

    #[test]
    fn what_was_committed_is_there_after_a_reopen_and_versions_go_on() {
        let folder = folder();
        let path = folder.path().join("deep/er/state");
        let store = File::open(&path, "test").expect("a new file");
        let first = store.commit(Transaction::new().put("a", "1").put("b", "2")).expect("commits");
        let second = store.commit(Transaction::new().delete("b")).expect("commits");
        drop(store);

        let store = File::open(&path, "test").expect("the same file");
        let rows = store.list("").expect("reads");
        assert_eq!(rows, [Row { key: "a".into(), value: "1".into(), version: first }]);
        assert!(store.commit(Transaction::new().put("c", "3")).expect("commits") > second);
    }

    #[test]
    fn a_second_holder_is_told_in_one_line() {
        let folder = folder();
        let path = folder.path().join("state");
        let _held = File::open(&path, "test").expect("a new file");
        let error = File::open(&path, "test").expect_err("it is held");
        assert_eq!(
            error.to_string(),
            format!("state file {} is in use by another process", path.display())
        );
    }

    #[test]
    fn a_file_of_another_kind_is_refused() {
        let folder = folder();
        let path = folder.path().join("state");
        drop(File::open(&path, "batch").expect("a new file"));
        let error = File::open(&path, "marathon").expect_err("it is batch's").to_string();
        assert!(error.ends_with("it holds the state of batch"), "{error}");
    }

    #[test]
    fn a_file_that_is_no_database_is_refused_and_left_as_it_was() {
        let folder = folder();
        let path = folder.path().join("notes.txt");
        let text = "not a database, but long enough to be taken for one. ".repeat(200);
        std::fs::write(&path, &text).expect("writes");
        let error = File::open(&path, "test").expect_err("it is a text");
        assert!(matches!(error, StateError::NotOurs { .. }), "{error}");
        assert_eq!(std::fs::read_to_string(&path).expect("reads"), text);
    }

    #[test]
    fn a_file_of_a_newer_format_is_refused_with_its_writer() {
        let folder = folder();
        let path = folder.path().join("state");
        let newer = Header { format: 9, kind: "test".into(), writer: "7.2.0".into() };
        let database = Database::create(&path).expect("a new database");
        let write = database.begin_write().expect("begins");
        write
            .open_table(META)
            .expect("opens")
            .insert(HEADER, newer.encode().as_slice())
            .expect("inserts");
        write.commit().expect("commits");
        drop(database);

        let error = File::open(&path, "test").expect_err("it is newer").to_string();
        assert!(error.ends_with("has format 9 (written by 7.2.0), this build reads 1"), "{error}");
    }
}
