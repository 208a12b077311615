//! The agent's records on disk, kept short.
//!
//! The log grows with each task. Once it holds many more records than it takes to tell the state, it
//! is replaced by those. What they are is found by reading along: a second core that is fed only
//! with records.
//!
//! A batch that only says what was heard isn't worth a sync: it is kept back until one is needed.

use std::io;
use std::path::{Path, PathBuf};

use meros_agent_core::{Agent, Config, Record};
use meros_shell::durable::Durable;
use meros_shell::log_file::{LogFile, OpenError};
use tracing::warn;

/// What the log's header says that it is.
const NAME: &str = "agent";
/// Records beyond those needed, at which it pays to write the log anew.
const SURPLUS_MAX: usize = 10_000;
/// So many records may be kept back.
const LATE_MAX: usize = 1_000;

/// The agent's log, open.
#[derive(Debug)]
pub(crate) struct AgentLog {
    path: PathBuf,
    file: LogFile<Record>,
    /// The state as the log leaves it. Decides nothing.
    reader: Agent,
    surplus: usize,
    /// Records that may be late, in their order.
    late: Vec<Record>,
}

impl AgentLog {
    /// Opens the log; returns what it holds.
    pub(crate) fn open(path: &Path) -> Result<(Self, Vec<Record>), OpenError> {
        let (file, records) = LogFile::open(path, NAME)?;
        // It draws nothing: any seed will do.
        let reader = Agent::recover(Config::default(), [0; 32], records.clone());
        let mut log =
            Self { path: path.to_owned(), file, reader, surplus: records.len(), late: Vec::new() };
        if !records.is_empty() {
            log.shorten().map_err(|error| OpenError::Io { path: path.to_owned(), error })?;
        }
        Ok((log, records))
    }

    fn shorten(&mut self) -> io::Result<()> {
        LogFile::replace(&self.path, NAME, &self.reader.records())?;
        self.file = LogFile::open(&self.path, NAME).map_err(io::Error::other)?.0;
        self.surplus = 0;
        Ok(())
    }
}

impl Durable for AgentLog {
    type Record = Record;

    fn commit(&mut self, records: Vec<Record>) -> io::Result<()> {
        self.surplus += records.len();
        records.iter().for_each(|record| self.reader.replay(record.clone()));
        let can_wait = records.iter().all(Record::may_be_late) && self.late.len() < LATE_MAX;
        self.late.extend(records);
        if self.surplus > SURPLUS_MAX {
            self.late.clear();
            return self.shorten();
        }
        if can_wait { Ok(()) } else { self.file.commit(std::mem::take(&mut self.late)) }
    }
}

impl Drop for AgentLog {
    /// What is kept back is worth writing when there is time for it.
    fn drop(&mut self) {
        let late = std::mem::take(&mut self.late);
        if !late.is_empty()
            && let Err(error) = self.file.commit(late)
        {
            warn!(
                error = &error as &dyn std::error::Error,
                "the log's last records were not written"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use meros_agent_core::task::{FrameworkSpec, TaskKey};
    use meros_proto::ids::{AgentId, FrameworkId, TaskId};
    use std::sync::Arc;

    #[test]
    fn a_log_is_shortened_to_what_the_state_needs() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let path = dir.path().join("agent.log");
        let (mut log, _) = AgentLog::open(&path).expect("a fresh log");
        let admitted = Record::Admitted(AgentId::parse("m-S0").expect("an id"));
        log.commit(vec![admitted.clone()]).expect("room on the disk");
        let id = FrameworkId::parse("m-0001").expect("an id");
        let framework = FrameworkSpec {
            id,
            partition_aware: false,
            killing_state: false,
            encoded: Bytes::new(),
        };
        let framework = Record::Framework(Arc::new(framework));
        for _ in 0..SURPLUS_MAX / 1_000 {
            log.commit(vec![framework.clone(); 1_000]).expect("room on the disk");
        }
        drop(log);
        // The framework has no tasks: nothing of it is needed.
        assert_eq!(AgentLog::open(&path).expect("a sound log").1, [admitted]);
    }

    #[test]
    fn what_was_heard_is_written_with_the_next_record_or_at_the_end() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let path = dir.path().join("agent.log");
        let key = TaskKey {
            framework: FrameworkId::parse("m-0001").expect("an id"),
            task: TaskId::parse("t").expect("an id"),
        };
        let late = Record::Acknowledged { task: key, uuid: [7; 16] };
        let synced = Record::Admitted(AgentId::parse("m-S0").expect("an id"));
        let held = || LogFile::<Record>::open(&path, NAME).expect("a sound log").1;
        let (mut log, _) = AgentLog::open(&path).expect("a fresh log");
        log.commit(vec![late.clone()]).expect("room on the disk");
        assert_eq!(held(), []);
        log.commit(vec![synced.clone()]).expect("room on the disk");
        assert_eq!(held(), [late.clone(), synced.clone()]);
        log.commit(vec![late.clone()]).expect("room on the disk");
        drop(log);
        assert_eq!(held(), [late.clone(), synced, late]);
    }
}
