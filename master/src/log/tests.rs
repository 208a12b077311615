//! Logs that were written, cut off, compacted or made up.

use std::path::{Path, PathBuf};

use bytes::Bytes;
use meros_master_core::registry::ops::{
    AgentAdmitted, AgentIdsTaken, AgentRemoved, ClusterCreated, ClusterVersionRaised,
};
use meros_master_core::registry::{Op, State, VERSION};
use meros_proto::ids::{AgentId, ClusterId};
use meros_proto::record::{BadRecord, Record, RecordKind};
use meros_proto::time::Timestamp;
use meros_shell::durable::Durable;
use meros_shell::log_file::LogFile;

use crate::log::LocalLog;
use crate::log::entry::{Entry, Part};

fn created(id: &str) -> Op {
    let id = ClusterId::parse(id).expect("a valid id");
    ClusterCreated { id, version: VERSION, created: Timestamp::from_millis(1) }.into()
}

fn admitted(number: usize, info: &[u8]) -> Op {
    let agent = AgentId::parse(&format!("c-S{number}")).expect("a valid id");
    AgentAdmitted { agent, info: Bytes::copy_from_slice(info) }.into()
}

fn removed(number: usize) -> Op {
    let agent = AgentId::parse(&format!("c-S{number}")).expect("a valid id");
    AgentRemoved { agent }.into()
}

/// A path for a log, and the folder that goes when it is dropped.
fn place() -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let path = dir.path().join("registry.log");
    (dir, path)
}

/// Writes a log that holds exactly these entries.
fn write(path: &Path, entries: &[Entry]) {
    LogFile::replace(path, "master registry", entries).expect("room on the disk");
}

#[track_caller]
fn refused(path: &Path) -> String {
    LocalLog::open(path).err().expect("it is refused").to_string()
}

#[test]
fn what_was_committed_is_the_state_that_is_found_again() {
    let (_dir, path) = place();
    let (mut log, state) = LocalLog::open(&path).expect("a new log");
    assert_eq!(state, State::default());
    let ops = [created("c"), admitted(1, b"one"), admitted(2, b"two"), removed(1)];
    log.commit(ops[..2].to_vec()).expect("room on the disk");
    log.commit(ops[2..].to_vec()).expect("room on the disk");
    drop(log);
    let (_, state) = LocalLog::open(&path).expect("a sound log");
    assert_eq!(Ok(state), State::fold(&ops));
}

#[test]
fn a_log_that_grew_long_is_rewritten_and_goes_on() {
    let (_dir, path) = place();
    let (mut log, _) = LocalLog::open(&path).expect("a new log");
    let mut ops = vec![created("c")];
    // Two agents that come and go, thousands of times.
    ops.extend((0..4_000).flat_map(|_| [admitted(1, &[7; 100]), removed(1)]));
    ops.push(admitted(2, b"stays"));
    for batch in ops.chunks(700) {
        log.commit(batch.to_vec()).expect("room on the disk");
    }
    drop(log);
    let (_, entries) = LogFile::<Entry>::open(&path, "master registry").expect("a sound log");
    assert!(matches!(entries[0], Entry::Snapshot(_)));
    assert!(entries.len() < 2_000, "{} entries", entries.len());
    let (_, state) = LocalLog::open(&path).expect("a sound log");
    assert_eq!(Ok(state), State::fold(&ops));
}

#[test]
fn a_large_snapshot_is_kept_in_parts() {
    let (_dir, path) = place();
    let ops: Vec<_> = (0..12).map(|number| admitted(number, &vec![1; 1 << 20])).collect();
    let state = State::fold(&ops).expect("they fit");
    let parts = Entry::snapshot(&state);
    assert!(parts.len() >= 3, "{} parts", parts.len());
    write(&path, &parts);
    let (_, read) = LocalLog::open(&path).expect("a sound log");
    assert_eq!(read, state);

    let torn = |entries: &[Entry]| {
        write(&path, entries);
        assert!(refused(&path).contains("the snapshot is not whole"));
    };
    torn(&parts[1..]);
    torn(&parts[..parts.len() - 1]);
    torn(&[parts[0].clone(), Entry::Op(removed(1)), parts[1].clone()]);
}

#[test]
fn a_log_of_two_clusters_or_of_a_newer_one_is_refused() {
    let (_dir, path) = place();
    write(&path, &[created("c"), created("d")].map(Entry::Op));
    let line = refused(&path);
    assert!(line.contains("operation 2 does not follow"), "{line}");
    assert!(line.contains("the registry belongs to cluster c already"), "{line}");

    let raised = ClusterVersionRaised { version: VERSION + 1 };
    write(&path, &[created("c"), raised.into()].map(Entry::Op));
    let line = refused(&path);
    assert!(
        line.contains("cluster c is of version 2, this release knows versions up to 1"),
        "{line}"
    );

    write(&path, &[Entry::Op(AgentIdsTaken { first: 7, count: 1 }.into())]);
    assert!(refused(&path).contains("the next number to hand out is 0, not 7"));

    let kind = RecordKind { version: State::SNAPSHOT.version + 1, ..State::SNAPSHOT };
    write(&path, &[Entry::Snapshot(Part { kind, number: 0, of: 1, bytes: Bytes::new() })]);
    assert!(refused(&path).contains("type 1000 version 2 is unknown to this release"));
}

/// A record that no release knows.
#[derive(Debug)]
struct Unheard;

impl Record for Unheard {
    fn kind(&self) -> RecordKind {
        RecordKind { number: 999, version: 1 }
    }

    fn encode(&self, _: &mut Vec<u8>) {}

    fn decode(kind: RecordKind, _: &[u8]) -> Result<Self, BadRecord> {
        Err(BadRecord::Unknown(kind))
    }
}

#[test]
fn an_operation_of_a_later_release_is_not_skipped() {
    let (_dir, path) = place();
    LogFile::replace(&path, "master registry", &[Unheard]).expect("room on the disk");
    assert!(refused(&path).contains("a record of type 999 version 1 is unknown"));
    LogFile::<Unheard>::replace(&path, "agent", &[]).expect("room on the disk");
    assert!(refused(&path).contains("a log of the agent, not of the master registry"));
}
