//! What a full disk allows.

use meros_agent_core::Record;
use meros_agent_core::effect::{Effect, Level};
use meros_agent_core::exit::Exit;
use meros_agent_core::input::{FromMaster, Input, Room};
use meros_agent_core::task::TaskKey;
use meros_proto::ids::TaskId;
use meros_proto::v1::TaskState::*;
use meros_proto::v1::framework_info::capability::Type as Capability;
use meros_proto::v1::task_status::{Reason, Source};

use crate::bench::{Bench, framework, task};

fn full() -> Bench {
    let mut bench = Bench::registered();
    bench.tell(Input::Disk(Room::Reserve));
    bench
}

#[test]
fn no_task_is_started_and_the_log_does_not_grow() {
    for (capabilities, state) in
        [(vec![Capability::PartitionAware], TaskDropped), (vec![], TaskLost)]
    {
        let mut bench = full();
        let before = bench.log.clone();
        bench.run_for(framework(&capabilities), task("t"));
        assert_eq!(bench.launches(), 0);
        let said = bench.acknowledge_all();
        let status = &said[0].update.status;
        assert_eq!((said.len(), status.state, status.source), (1, state, Source::Agent));
        assert_eq!(status.reason, Some(Reason::ContainerLaunchFailed));
        let message = status.message.as_deref().expect("a message");
        assert!(message.contains("disk") && message.contains("full"), "{message}");
        assert_eq!(bench.log, before);
    }
}

#[test]
fn ends_kills_and_acknowledgements_are_still_recorded() {
    let mut bench = Bench::registered();
    let (key, container) = bench.started(task("t"));
    bench.acknowledge_all();
    bench.tell(Input::Disk(Room::Reserve));
    let before = bench.log.len();
    bench.kill(&key, None);
    bench.exit(&container, Exit::Signal(15));
    bench.acknowledge_all();
    let grown = &bench.log[before..];
    let kinds = matches!(
        grown,
        [Record::Stopping { .. }, Record::Update { .. }, Record::Acknowledged { .. }]
    );
    assert!(kinds, "{grown:?}");
}

#[test]
fn a_framework_that_changes_is_believed_and_not_written_down() {
    let mut bench = Bench::registered();
    bench.started(task("t"));
    bench.tell(Input::Disk(Room::Reserve));
    let before = bench.log.clone();
    let changed = framework(&[Capability::TaskKillingState]);
    bench.hear(FromMaster::UpdateFramework(changed.clone()));
    assert_eq!(bench.log, before);
    assert_eq!(*bench.view().frameworks[0], changed);
}

#[test]
fn it_is_said_once_and_tasks_start_again_when_there_is_room() {
    let mut bench = Bench::registered();
    let mut warnings = 0;
    for room in [Room::Plenty, Room::Reserve, Room::Reserve] {
        bench.tell(Input::Disk(room));
        let said = bench.effects().into_iter();
        warnings += said.filter(|e| matches!(e, Effect::Log(Level::Warn, _))).count();
    }
    assert_eq!((warnings, bench.view().room), (1, Room::Reserve));
    bench.run(task("dropped"));
    bench.acknowledge_all();
    bench.tell(Input::Disk(Room::Plenty));
    assert_eq!(bench.view().room, Room::Plenty);
    bench.started(task("runs"));
    // Of the framework nothing was written when its first task was dropped.
    let next = Bench::restarted(bench.log);
    assert!(next.agent.broken_invariant().is_none());
}

#[test]
fn an_answer_that_was_not_heard_is_repeated_from_memory_and_gone_after_a_crash() {
    let mut bench = full();
    bench.run(task("t"));
    bench.tell(Input::LinkDown { session: 1 });
    bench.register(1);
    let report = bench.registrations().pop().expect("a registration");
    assert_eq!(report.tasks.len(), 1, "its end is reported");
    bench.sent();
    let mut next = Bench::restarted(bench.log);
    next.register(1);
    assert!(next.states().is_empty());
    assert_eq!(next.registrations()[0].tasks.len(), 0, "the master drops it by reconciliation");
}

#[test]
fn a_kill_of_an_unknown_task_is_answered_from_memory() {
    let mut bench = Bench::registered();
    let (key, _) = bench.started(task("t"));
    bench.acknowledge_all();
    bench.tell(Input::Disk(Room::Reserve));
    let before = bench.log.clone();
    let unknown =
        TaskKey { framework: key.framework, task: TaskId::parse("never").expect("an id") };
    bench.kill(&unknown, None);
    let heard = bench.acknowledge_all();
    assert_eq!(heard[0].update.status.reason, Some(Reason::ExecutorTerminated));
    assert_eq!(bench.log, before);
}

#[test]
fn a_framework_is_on_record_with_each_of_its_tasks_also_after_the_log_was_shortened() {
    let mut bench = Bench::registered();
    let (_, container) = bench.started(task("first"));
    bench.exit(&container, Exit::Code(0));
    bench.acknowledge_all();
    // Nothing of the framework is needed now, so a shortened log has nothing of it.
    let mut log = Bench::replayed(bench.log.clone()).agent.records();
    let before = bench.log.len();
    bench.started(task("second"));
    log.extend(bench.log.split_off(before));
    let next = Bench::restarted(log);
    assert!(next.agent.broken_invariant().is_none());
}
