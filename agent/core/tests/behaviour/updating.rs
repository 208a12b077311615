//! Updates: in order, one at a time, until they are heard.

use std::time::Duration;

use bytes::Bytes;
use meros_agent_core::exit::Exit;
use meros_agent_core::input::{FromMaster, Input};
use meros_proto::v1::TaskState::*;

use crate::bench::{Bench, SECOND, task};

#[test]
fn only_the_head_is_sent_and_it_names_the_latest_state() {
    let mut bench = Bench::registered();
    let (_, container) = bench.started(task("t"));
    bench.exit(&container, Exit::Code(0));
    let sent = bench.sent();
    assert_eq!(sent.len(), 1);
    assert_eq!((sent[0].update.status.state, sent[0].latest), (TaskStarting, TaskStarting));
    bench.acknowledge(&sent[0]);
    let sent = bench.sent();
    assert_eq!((sent[0].update.status.state, sent[0].latest), (TaskRunning, TaskFinished));
}

#[test]
fn an_update_is_repeated_after_ten_seconds_doubling_to_ten_minutes() {
    let mut bench = Bench::registered();
    bench.run(task("t"));
    let first = bench.sent().remove(0);
    for wait in [10, 20, 40, 80, 160, 320, 600, 600] {
        bench.pass_in_touch(Duration::from_secs(wait) - SECOND);
        assert!(bench.sent().is_empty(), "before {wait} s");
        bench.pass_in_touch(SECOND);
        assert_eq!(bench.sent(), std::slice::from_ref(&first), "after {wait} s");
    }
    let container = bench.launched();
    bench.start(&container);
    bench.acknowledge(&first);
    assert_eq!(bench.states(), [TaskRunning]);
    bench.pass(10 * SECOND);
    assert_eq!(bench.states(), [TaskRunning], "a new head begins at ten seconds");
}

#[test]
fn acknowledgements_of_anything_but_the_head_are_ignored() {
    let mut bench = Bench::registered();
    let (key, _) = bench.started(task("t"));
    let head = bench.sent().remove(0);
    for uuid in [Bytes::new(), Bytes::from_static(b"sixteen bytes ..")] {
        bench.hear(FromMaster::Acknowledge { task: key.clone(), uuid });
    }
    assert!(bench.sent().is_empty());
    bench.acknowledge(&head);
    bench.acknowledge(&head);
    assert_eq!(bench.states(), [TaskRunning], "the second acknowledgement is late, not of RUNNING");
}

#[test]
fn updates_wait_while_the_master_is_away_and_are_sent_again_when_it_is_back() {
    let mut bench = Bench::registered();
    let (_, container) = bench.started(task("t"));
    bench.sent();
    bench.tell(Input::LinkDown { session: 1 });
    bench.exit(&container, Exit::Code(0));
    bench.pass(3_600 * SECOND);
    assert!(bench.sent().is_empty());
    bench.register(2);
    assert_eq!(bench.states(), [TaskStarting]);
    bench.pass(9 * SECOND);
    assert!(bench.sent().is_empty());
    bench.pass(SECOND);
    assert_eq!(bench.states(), [TaskStarting], "the wait began anew");
}
