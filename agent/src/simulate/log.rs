//! The herd's records on disk, kept short.
//!
//! As a lone agent's log, but for one thing: what it takes to tell the state is found by reading the
//! log itself, since a second core beside each of ten thousand would cost more than it saves.

use std::io;
use std::path::{Path, PathBuf};

use meros_agent_core::{Agent, Config, Record};
use meros_shell::durable::Durable;
use meros_shell::log_file::{LogFile, OpenError, Room};
use tokio::sync::watch;
use tracing::{info, warn};

use super::herd::Member;
use super::record::HerdRecord;

/// What the log's header says that it is.
const NAME: &str = "simulated agents";
/// Records beyond those needed, at which it pays to write the log anew: some hundreds of megabytes.
const SURPLUS_MAX: usize = 1_000_000;
/// So many records may be kept back.
const LATE_MAX: usize = 1_000;

/// The herd's log, open.
#[derive(Debug)]
pub(super) struct HerdLog {
    path: PathBuf,
    file: LogFile<HerdRecord>,
    /// Records since the log was last written anew.
    surplus: usize,
    /// Records that may be late, in their order.
    late: Vec<HerdRecord>,
}

impl HerdLog {
    /// Opens the log; returns what it holds, by member.
    pub(super) fn open(path: &Path) -> Result<(Self, Vec<Vec<Record>>), OpenError> {
        let (file, records) = LogFile::open(path, NAME)?;
        let surplus = records.len();
        let log = Self { path: path.to_owned(), file, surplus, late: Vec::new() };
        Ok((log, by_member(records)))
    }

    /// Follows whether the disk gives the log what it needs.
    pub(super) fn watch_room(&self) -> watch::Receiver<Room> {
        self.file.watch_room()
    }

    /// Writes the log anew. Where that can't be, the old one goes on.
    fn shorten(&mut self) -> io::Result<()> {
        self.surplus = 0;
        let (_, records) =
            LogFile::<HerdRecord>::open(&self.path, NAME).map_err(io::Error::other)?;
        let before = records.len();
        let needed: Vec<HerdRecord> = by_member(records)
            .into_iter()
            .enumerate()
            .flat_map(|(index, records)| {
                let member = Member(u32::try_from(index).expect("it was a member's number"));
                // It draws nothing: any seed will do.
                let agent = Agent::recover(Config::default(), [0; 32], records);
                agent.records().into_iter().map(move |record| HerdRecord { member, record })
            })
            .collect();
        self.file.rewrite(&needed)?;
        info!(before, after = needed.len(), "wrote the log anew");
        Ok(())
    }
}

impl Durable for HerdLog {
    type Record = (Member, Record);

    fn commit(&mut self, records: Vec<(Member, Record)>) -> io::Result<()> {
        self.surplus += records.len();
        let can_wait = records.iter().all(|(_, record)| record.may_be_late());
        let records = records.into_iter().map(|(member, record)| HerdRecord { member, record });
        self.late.extend(records);
        if can_wait && self.late.len() < LATE_MAX {
            return Ok(());
        }
        self.file.commit(std::mem::take(&mut self.late))?;
        if self.surplus > SURPLUS_MAX
            && let Err(error) = self.shorten()
        {
            warn!(error = &error as &dyn std::error::Error, "the log could not be shortened");
        }
        Ok(())
    }
}

impl Drop for HerdLog {
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

/// Each member's records in their order, as far as the last member that has one.
fn by_member(records: Vec<HerdRecord>) -> Vec<Vec<Record>> {
    let mut all: Vec<Vec<Record>> = Vec::new();
    for HerdRecord { member, record } in records {
        if all.len() <= member.index() {
            all.resize_with(member.index() + 1, Vec::new);
        }
        all[member.index()].push(record);
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use meros_proto::ids::AgentId;

    fn admitted(id: &str) -> Record {
        Record::Admitted(AgentId::parse(id).expect("an id"))
    }

    #[test]
    fn each_member_finds_its_own_records_again_also_after_the_log_was_written_anew() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let path = dir.path().join("log");
        let (mut log, held) = HerdLog::open(&path).expect("a fresh log");
        assert_eq!(held, Vec::<Vec<Record>>::new());
        let said = vec![
            (Member(3), admitted("m-S0")),
            (Member(1), admitted("m-S1")),
            (Member(3), admitted("m-S2")),
        ];
        log.commit(said).expect("room on the disk");
        drop(log);
        let (mut log, held) = HerdLog::open(&path).expect("a sound log");
        let none = Vec::new();
        let of_third = vec![admitted("m-S0"), admitted("m-S2")];
        assert_eq!(held, [none.clone(), vec![admitted("m-S1")], none.clone(), of_third]);
        log.shorten().expect("room on the disk");
        log.commit(vec![(Member(0), admitted("m-S3"))]).expect("room on the disk");
        drop(log);
        let (_, held) = HerdLog::open(&path).expect("a sound log");
        let lone = |id| vec![admitted(id)];
        assert_eq!(held, [lone("m-S3"), lone("m-S1"), none, lone("m-S2")]);
    }
}
