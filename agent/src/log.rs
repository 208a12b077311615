//! The agent's records on disk, kept short.
//!
//! The log grows with each task. Once it holds many more records than it takes to tell the state, it
//! is replaced by those. What they are is found by reading along: a second core that is fed only
//! with records.
//!
//! A batch that only says what was heard isn't worth a sync: it is kept back until one is needed.

use std::io;
use std::path::Path;

use meros_agent_core::{Agent, Config, Record};
use meros_shell::durable::Durable;
use meros_shell::log_file::{LogFile, OpenError, Room};
use tokio::sync::watch;
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
        let mut log = Self { file, reader, surplus: records.len(), late: Vec::new() };
        if !records.is_empty() {
            log.shorten();
        }
        Ok((log, records))
    }

    /// Follows whether the disk gives the log what it needs.
    pub(crate) fn watch_room(&self) -> watch::Receiver<Room> {
        self.file.watch_room()
    }

    /// Writes the log anew, what was kept back included; whether it could. A full disk has no room
    /// for two: then the old one goes on, with nothing wrong but its length.
    fn shorten(&mut self) -> bool {
        self.surplus = 0;
        match self.file.rewrite(&self.reader.records()) {
            Ok(()) => {
                self.late.clear();
                true
            }
            Err(error) => {
                warn!(error = &error as &dyn std::error::Error, "the log could not be shortened");
                false
            }
        }
    }
}

impl Durable for AgentLog {
    type Record = Record;

    fn commit(&mut self, records: Vec<Record>) -> io::Result<()> {
        self.surplus += records.len();
        records.iter().for_each(|record| self.reader.replay(record.clone()));
        let can_wait = records.iter().all(Record::may_be_late) && self.late.len() < LATE_MAX;
        self.late.extend(records);
        if self.surplus > SURPLUS_MAX && self.shorten() {
            return Ok(());
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
    use crate::small_disk::SmallDisk;
    use bytes::Bytes;
    use meros_agent_core::task::{FrameworkSpec, TaskKey, TaskSpec};
    use meros_proto::ids::{AgentId, ContainerId, FrameworkId, TaskId};
    use meros_proto::v1;
    use meros_proto::wire::{self, Encoding};
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

    fn accepted(id: usize, bytes: usize) -> Record {
        let key = TaskKey {
            framework: FrameworkId::parse("m-0001").expect("an id"),
            task: TaskId::parse(&format!("t{id}")).expect("an id"),
        };
        let label = v1::Label { key: "text".to_owned().into(), value: Some("x".repeat(bytes)) };
        let info = v1::TaskInfo {
            name: Some("t".to_owned()),
            task_id: Some(key.task.to_proto()),
            agent_id: Some(AgentId::parse("m-S0").expect("an id").to_proto()),
            labels: Some(v1::Labels { labels: vec![label] }),
            ..v1::TaskInfo::default()
        };
        let encoded = wire::encode(Encoding::Protobuf, &info);
        let task = TaskSpec::parse(key.framework, encoded.into()).expect("a valid task");
        let container = ContainerId::parse(&format!("c{id}")).expect("an id");
        Record::Accepted { task: Arc::new(task), container }
    }

    #[test]
    fn a_full_disk_leaves_the_reserve_then_an_error_and_nothing_that_was_written_is_lost() {
        let Some(disk) = SmallDisk::mount() else { return };
        let path = disk.path().join("agent.log");
        let (mut log, _) = AgentLog::open(&path).expect("a fresh log");
        let room = log.watch_room();
        let mut written = 0;
        let others = disk.fill_up();
        while *room.borrow() == Room::Plenty {
            log.commit(vec![accepted(written, 64 << 10)]).expect("the reserve is not begun");
            written += 1;
            assert!(written < 1_000, "it never came to its reserve");
        }
        // There is no room for a second log: the long one goes on.
        assert!(!log.shorten());
        log.commit(vec![accepted(written, 64 << 10)]).expect("the reserve is not used up");
        written += 1;
        let error = loop {
            match log.commit(vec![accepted(written, 64 << 10)]) {
                Ok(()) => written += 1,
                Err(error) => break error,
            }
            assert!(written < 1_000, "the reserve has no end");
        };
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
        drop(log);

        let held = |records: &[Record]| {
            records.iter().filter(|record| matches!(record, Record::Accepted { .. })).count()
        };
        let (log, records) = AgentLog::open(&path).expect("a sound log, long as it is");
        assert!(held(&records) >= written, "{} of {written}", held(&records));
        drop(log);
        std::fs::remove_dir_all(others).expect("it is ours");
        let (mut log, records) = AgentLog::open(&path).expect("a sound log");
        log.commit(vec![accepted(written + 1, 64)]).expect("there is room");
        let before = held(&records);
        drop(log);
        assert_eq!(held(&AgentLog::open(&path).expect("a sound log").1), before + 1);
    }
}
