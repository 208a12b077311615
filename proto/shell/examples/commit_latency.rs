//! How long a commit takes on the disk that holds a folder.
//!
//! `cargo run --release -p meros-shell --example commit_latency -- FOLDER [COMMITS]`

use std::path::Path;
use std::time::{Duration, Instant};

use meros_proto::record::{BadRecord, Record, RecordKind};
use meros_shell::durable::Durable;
use meros_shell::log_file::LogFile;

const BODY: RecordKind = RecordKind { number: 1, version: 1 };

#[derive(Clone)]
struct Body(Vec<u8>);

impl Record for Body {
    fn kind(&self) -> RecordKind {
        BODY
    }
    fn encode(&self, out: &mut Vec<u8>) {
        out.extend(&self.0);
    }
    fn decode(_: RecordKind, body: &[u8]) -> Result<Self, BadRecord> {
        Ok(Self(body.to_vec()))
    }
}

fn main() {
    let mut arguments = std::env::args().skip(1);
    let folder = arguments.next().unwrap_or_else(|| ".".to_owned());
    let commits = arguments.next().and_then(|n| n.parse().ok()).unwrap_or(5_000);
    for bytes in [200, 1_000, 4_000, 64_000] {
        let mut took = measure(Path::new(&folder), bytes, commits);
        took.sort();
        let at = |share: usize| took[(took.len() - 1) * share / 1_000].as_micros();
        println!(
            "record of {bytes:>6} bytes: p50 {:>5} us, p90 {:>5} us, p99 {:>5} us, max {:>6} us",
            at(500),
            at(900),
            at(990),
            at(1_000)
        );
    }
}

fn measure(folder: &Path, bytes: usize, commits: usize) -> Vec<Duration> {
    let path = folder.join("commit-latency.log");
    let (mut log, _) = LogFile::open(&path, "measurement").expect("a fresh log");
    let took = (0..commits).map(|_| {
        let began = Instant::now();
        log.commit(vec![Body(vec![7; bytes])]).expect("room on the disk");
        began.elapsed()
    });
    let took = took.collect();
    drop(log);
    std::fs::remove_file(&path).expect("it was made here");
    took
}
