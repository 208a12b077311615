//! The log of a master that is alone: a file beside a state.
//!
//! The state here is fed by what was committed, the core's by what was proposed: so the file is
//! rewritten as a snapshot without asking the core, whose thread has better things to do. It
//! happens on the thread that commits, each time that the operations since the last snapshot have
//! become twice as many as the things to remember: seldom, and for a second operation in three at
//! most.

use std::io;
use std::path::{Path, PathBuf};

use meros_master_core::registry::{Op, Rejected, State, VERSION};
use meros_proto::record::BadRecord;
use meros_shell::durable::Durable;
use meros_shell::log_file::{LogFile, OpenError};
use tracing::{info, warn};

use crate::log::entry::{Entry, Part};

/// What the file's header says that it holds.
const NAME: &str = "master registry";
/// So few operations are never worth a snapshot.
const OPS_MIN: usize = 1_000;

/// Why a registry could not be opened. Each is one line for the operator.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The file can't be read, isn't a registry's log, or is damaged.
    #[error(transparent)]
    File(#[from] OpenError),
    /// A later release wrote it, and its cluster has agreed on what we don't know.
    #[error("{}: cluster {cluster} is of version {found}, this release knows versions up to {VERSION}: start it with the release that it was run with last", .path.display())]
    Newer {
        /// The file.
        path: PathBuf,
        /// Whose registry it is.
        cluster: String,
        /// The cluster's version.
        found: u32,
    },
    /// Its snapshot can't be read.
    #[error("{}: the snapshot: {bad}", .path.display())]
    Snapshot {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        #[source]
        bad: BadRecord,
    },
    /// The parts of its snapshot aren't one snapshot, at its beginning.
    #[error("{}: the snapshot is not whole: restore the file from a backup", .path.display())]
    Torn {
        /// The file.
        path: PathBuf,
    },
    /// What it says makes no sense, such as the registries of two clusters in one file.
    #[error("{}: operation {number} does not follow from those before it: {rejected}; restore the file from a backup", .path.display())]
    Rejected {
        /// The file.
        path: PathBuf,
        /// Counted from 1, after the snapshot.
        number: usize,
        /// What doesn't fit.
        #[source]
        rejected: Rejected,
    },
}

/// An open log.
pub(crate) struct LocalLog {
    file: LogFile<Entry>,
    /// What the file says.
    state: State,
    /// Operations in the file after its snapshot.
    ops: usize,
    /// After how many of those the file is rewritten.
    ops_max: usize,
}

impl LocalLog {
    /// Opens the log at `path`, or makes an empty one; returns the state that it leads to.
    ///
    /// # Errors
    /// See [`LogError`].
    pub(crate) fn open(path: &Path) -> Result<(Self, State), LogError> {
        let (file, entries) = LogFile::open(path, NAME)?;
        let (state, ops) = replay(path, entries)?;
        if let Some(cluster) = state.cluster().filter(|cluster| cluster.version > VERSION) {
            let (cluster, found) = (cluster.id.to_string(), cluster.version);
            return Err(LogError::Newer { path: path.to_owned(), cluster, found });
        }
        let ops_max = ops_max(&state);
        let log = Self { file, state: state.clone(), ops, ops_max };
        Ok((log, state))
    }

    /// Puts a snapshot in the place of all that is in the file.
    fn rewrite(&mut self) {
        match self.file.rewrite(&Entry::snapshot(&self.state)) {
            Ok(()) => {
                info!(ops = self.ops, entries = self.state.entries(), "rewrote the registry's log");
                self.ops = 0;
                self.ops_max = ops_max(&self.state);
            }
            // The old file goes on, or the next commit fails and tells why.
            Err(error) => {
                warn!(%error, "could not rewrite the registry's log; going on with the long one");
                self.ops_max *= 2;
            }
        }
    }
}

impl Durable for LocalLog {
    type Record = Op;

    fn commit(&mut self, ops: Vec<Op>) -> io::Result<()> {
        // Operations share what is large in them: a clone is cheap.
        self.file.commit(ops.iter().cloned().map(Entry::Op).collect())?;
        for op in &ops {
            self.state.apply(op).map_err(|rejected| {
                io::Error::other(format!("an operation that was proposed does not fit: {rejected}"))
            })?;
        }
        self.ops += ops.len();
        if self.ops > self.ops_max {
            self.rewrite();
        }
        Ok(())
    }
}

fn ops_max(state: &State) -> usize {
    OPS_MIN.max(2 * state.entries())
}

/// The state that entries lead to, and how many operations follow the snapshot.
fn replay(path: &Path, entries: Vec<Entry>) -> Result<(State, usize), LogError> {
    let torn = || LogError::Torn { path: path.to_owned() };
    let mut parts = Vec::new();
    let mut ops = Vec::new();
    for entry in entries {
        match entry {
            Entry::Snapshot(part) if ops.is_empty() => parts.push(part),
            Entry::Snapshot(_) => return Err(torn()),
            Entry::Op(op) => ops.push(op),
        }
    }
    let mut state = match parts.first() {
        None => State::default(),
        Some(first) => {
            let kind = first.kind;
            let bytes = joined(&parts).ok_or_else(torn)?;
            State::decode(kind, &bytes)
                .map_err(|bad| LogError::Snapshot { path: path.to_owned(), bad })?
        }
    };
    for (op, number) in ops.iter().zip(1..) {
        state.apply(op).map_err(|rejected| {
            let path = path.to_owned();
            LogError::Rejected { path, number, rejected }
        })?;
    }
    Ok((state, ops.len()))
}

/// The bytes of all parts, if these are all.
fn joined(parts: &[Part]) -> Option<Vec<u8>> {
    let first = parts.first()?;
    let fits = |(part, number): (&Part, u32)| {
        part.number == number && part.of == first.of && part.kind == first.kind
    };
    let whole = parts.len() == first.of as usize && parts.iter().zip(0..).all(fits);
    whole.then(|| parts.iter().flat_map(|part| part.bytes.iter().copied()).collect())
}
