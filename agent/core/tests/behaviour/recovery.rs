//! What a log of an earlier life leads to.

use meros_agent_core::exit::Exit;
use meros_agent_core::{Agent, Config, Record};
use meros_proto::record::{BadRecord, Record as OnDisk, RecordKind};
use meros_proto::v1;
use meros_proto::v1::TaskState::*;
use meros_proto::v1::task_status::{Reason, Source};

use crate::bench::{Bench, SECOND, framework, span, task};

/// A life with a task in every stage, and its log.
fn eventful() -> Bench {
    let mut bench = Bench::registered();
    let (_, heard) = bench.started(task("heard"));
    bench.exit(&heard, Exit::Code(0));
    bench.acknowledge_all();
    bench.started(task("runs"));
    bench.acknowledge_all();
    let (_, unheard) = bench.started(task("unheard"));
    bench.exit(&unheard, Exit::Code(1));
    bench.run(task("starts"));
    bench
}

/// Kills of both kinds.
fn stopped() -> Bench {
    let mut bench = Bench::registered();
    let (killed, _) = bench.started(task("killed"));
    bench.kill(&killed, Some(SECOND));
    let limit = Some(span(SECOND));
    bench.started(v1::TaskInfo { max_completion_time: limit, ..task("slow") });
    bench.pass_in_touch(2 * SECOND);
    let stops = bench.log.iter().filter(|record| matches!(record, Record::Stopping { .. }));
    assert_eq!(stops.count(), 2);
    bench
}

#[test]
fn what_was_live_has_failed_and_what_was_not_heard_is_said_again() {
    let mut bench = Bench::restarted(eventful().log);
    assert!(bench.sent().is_empty(), "no master is there yet");
    bench.register(1);
    let mut said: Vec<_> = bench
        .acknowledge_all()
        .into_iter()
        .map(|update| {
            let status = update.update.status.clone();
            (update.task.task.to_string(), status.state, status.reason)
        })
        .collect();
    said.sort_by(|a, b| a.0.cmp(&b.0));
    let said: Vec<_> =
        said.iter().map(|(task, state, reason)| (&**task, *state, *reason)).collect();
    let expected = [
        ("runs", TaskFailed, Some(Reason::ExecutorTerminated)),
        ("starts", TaskStarting, None),
        ("starts", TaskFailed, Some(Reason::ExecutorTerminated)),
        ("unheard", TaskStarting, None),
        ("unheard", TaskRunning, None),
        ("unheard", TaskFailed, None),
    ];
    assert_eq!(said, expected);
}

#[test]
fn the_end_of_an_earlier_life_is_reported_once_over_many_restarts() {
    let mut log = eventful().log;
    let mut ends = 0;
    for _ in 0..3 {
        let bench = Bench::restarted(log);
        log = bench.log;
        let ended = log.iter().filter(|record| match record {
            Record::Update { update, .. } => {
                update.status.reason == Some(Reason::ExecutorTerminated)
            }
            _ => false,
        });
        ends = ended.count();
    }
    assert_eq!(ends, 2, "of the task that ran and of the one that was starting");
}

#[test]
fn a_task_whose_start_was_never_recorded_was_never_started() {
    for (aware, state) in [(true, TaskDropped), (false, TaskLost)] {
        use meros_proto::v1::framework_info::capability::Type as Capability;
        let mut bench = Bench::registered();
        let capabilities: &[Capability] = if aware { &[Capability::PartitionAware] } else { &[] };
        bench.run_for(framework(capabilities), task("t"));
        // The sync was cut short after the acceptance.
        let mut log = bench.log;
        log.pop();
        assert!(matches!(log.last(), Some(Record::Accepted { .. })));
        let mut bench = Bench::restarted(log);
        bench.register(1);
        let said = bench.acknowledge_all();
        let status = &said[0].update.status;
        assert_eq!((said.len(), status.state, status.source), (1, state, Source::Agent));
        assert_eq!(status.reason, Some(Reason::AgentRestarted));
    }
}

#[test]
fn a_log_may_be_cut_after_any_record_and_compacted_at_any_time() {
    let mut log = eventful().log;
    log.extend(stopped().log);
    for length in 0..=log.len() {
        let agent = Agent::recover(Config::default(), [3; 32], log[..length].to_vec());
        let compact = agent.records();
        let again = Agent::recover(Config::default(), [3; 32], compact.clone());
        assert_eq!(again.records(), compact, "cut after {length}");
        Bench::restarted(compact);
    }
}

#[test]
fn every_record_reads_back_as_it_was_written() {
    let mut log = eventful().log;
    log.push(Record::FrameworkRemoved(framework(&[]).id));
    log.push(Record::Left);
    log.extend(stopped().log);
    for record in log {
        let mut body = Vec::new();
        record.encode(&mut body);
        assert_eq!(Record::decode(record.kind(), &body).expect("readable"), record);
    }
}

#[test]
fn records_of_a_later_release_and_broken_ones_are_refused() {
    for kind in [RecordKind { number: 1, version: 2 }, RecordKind { number: 99, version: 1 }] {
        assert!(matches!(Record::decode(kind, b""), Err(BadRecord::Unknown(_))));
    }
    let mut log = eventful().log;
    log.extend(stopped().log);
    for record in log {
        if matches!(record, Record::Booted(_)) {
            continue;
        }
        let mut body = Vec::new();
        record.encode(&mut body);
        for length in 0..body.len() {
            // Must not panic; some prefixes of a message are messages.
            let _ = Record::decode(record.kind(), &body[..length]);
        }
        assert!(Record::decode(record.kind(), &[0xff; 3]).is_err(), "{record:?}");
    }
}
