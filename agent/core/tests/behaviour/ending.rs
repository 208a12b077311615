//! Kills, frameworks that go, and the agent's own end.

use std::time::Duration;

use meros_agent_core::Record;
use meros_agent_core::effect::{Effect, ToMaster};
use meros_agent_core::exit::Exit;
use meros_agent_core::input::{ContainerEvent, FromMaster, Input};
use meros_agent_core::task::TaskKey;
use meros_proto::ids::{FrameworkId, TaskId};
use meros_proto::v1;
use meros_proto::v1::TaskState::*;
use meros_proto::v1::framework_info::capability::Type as Capability;
use meros_proto::v1::task_status::{Reason, Source};

use crate::bench::{Bench, SECOND, framework, span, task};

#[test]
fn the_grace_is_that_of_the_kill_or_of_the_task_or_three_seconds() {
    let policy = v1::KillPolicy { grace_period: Some(span(7 * SECOND)) };
    let patient = v1::TaskInfo { kill_policy: Some(policy), ..task("t") };
    for (task, asked, grace) in [
        (task("t"), None, 3 * SECOND),
        (patient.clone(), None, 7 * SECOND),
        (patient, Some(SECOND), SECOND),
    ] {
        let mut bench = Bench::registered();
        let (key, container) = bench.started(task);
        bench.kill(&key, asked);
        assert_eq!(bench.kills(), [grace]);
        bench.exit(&container, Exit::Signal(15));
        let heard = bench.acknowledge_all();
        let last = &heard.last().expect("an end").update.status;
        assert_eq!((last.state, last.source), (TaskKilled, Source::Executor));
        assert_eq!(last.message.as_deref(), Some("Command terminated with signal Terminated"));
    }
}

#[test]
fn a_later_kill_can_shorten_the_grace_and_not_lengthen_it() {
    let mut bench = Bench::registered();
    let (key, _) = bench.started(task("t"));
    bench.kill(&key, Some(10 * SECOND));
    bench.pass(4 * SECOND);
    bench.kill(&key, Some(60 * SECOND));
    bench.kill(&key, Some(6 * SECOND));
    bench.kill(&key, Some(SECOND));
    // Counted from the first kill: two of the six seconds are left, none of the one.
    assert_eq!(bench.kills(), [10 * SECOND, 2 * SECOND, Duration::ZERO]);
}

#[test]
fn a_framework_that_can_tell_is_told_that_the_kill_has_begun() {
    for (capable, killing) in [(true, vec![TaskKilling]), (false, vec![])] {
        let mut bench = Bench::registered();
        let capabilities: &[Capability] =
            if capable { &[Capability::TaskKillingState] } else { &[] };
        let key = bench.run_for(framework(capabilities), task("t"));
        let container = bench.launched();
        bench.start(&container);
        bench.acknowledge_all();
        bench.kill(&key, None);
        bench.kill(&key, Some(SECOND));
        assert_eq!(bench.states(), killing, "capable={capable}");
    }
}

#[test]
fn a_kill_that_overtakes_the_start_is_told_so() {
    for event in [
        ContainerEvent::LaunchFailed { message: "it was killed".to_owned() },
        ContainerEvent::Exited { exit: Exit::Signal(9), overrun: None },
    ] {
        let mut bench = Bench::registered();
        let key = bench.run(task("t"));
        let container = bench.launched();
        bench.kill(&key, None);
        bench.tell(Input::Container(container, event));
        let heard = bench.acknowledge_all();
        let last = &heard.last().expect("an end").update.status;
        assert_eq!((last.state, last.reason), (TaskKilled, Some(Reason::TaskKilledDuringLaunch)));
        assert!(heard.iter().all(|update| update.update.status.state != TaskRunning));
    }
}

#[test]
fn a_container_that_starts_although_it_was_killed_is_killed_again() {
    let mut bench = Bench::registered();
    let key = bench.run(task("t"));
    let container = bench.launched();
    bench.kill(&key, None);
    bench.pass(SECOND);
    bench.start(&container);
    assert_eq!(bench.kills(), [3 * SECOND, 2 * SECOND]);
    bench.exit(&container, Exit::Signal(15));
    let heard = bench.acknowledge_all();
    assert_eq!(heard.last().expect("an end").update.status.state, TaskKilled);
}

#[test]
fn a_kill_of_what_is_not_here_is_answered_to_frameworks_that_are_known() {
    for (capabilities, state) in
        [(vec![Capability::PartitionAware], TaskDropped), (vec![], TaskLost)]
    {
        let mut bench = Bench::registered();
        let unknown = TaskKey {
            framework: FrameworkId::parse("m-0000").expect("an id"),
            task: TaskId::parse("never").expect("an id"),
        };
        bench.kill(&unknown, None);
        assert!(bench.states().is_empty());
        bench.run_for(framework(&capabilities), task("t"));
        bench.acknowledge_all();
        bench.kill(&unknown, None);
        let heard = bench.acknowledge_all();
        assert_eq!(heard.len(), 1);
        let status = &heard[0].update.status;
        assert_eq!((status.state, status.reason), (state, Some(Reason::ExecutorTerminated)));
    }
}

#[test]
fn tasks_of_a_removed_framework_end_and_nothing_is_said_of_them() {
    let mut bench = Bench::registered();
    let (key, container) = bench.started(task("runs"));
    let ended = bench.run(task("ended"));
    let other = bench.launched();
    bench.exit(&other, Exit::Code(0));
    bench.sent();
    bench.hear(FromMaster::ShutdownFramework(key.framework.clone()));
    assert_eq!(bench.kills(), [4 * SECOND]);
    bench.tell(Input::LinkDown { session: 1 });
    bench.register(2);
    bench.exit(&container, Exit::Signal(15));
    bench.pass(700 * SECOND);
    assert!(bench.sent().is_empty(), "neither of {key} nor of {ended}");
    assert!(bench.view().tasks.is_empty());
    let restarted = Bench::restarted(bench.log);
    let left = restarted.agent.records();
    assert!(matches!(&left[..], [Record::Booted(_), Record::Admitted(_)]), "{left:?}");
}

#[test]
fn an_agent_that_stops_ends_its_tasks_first_and_says_goodbye_last() {
    let mut bench = Bench::registered();
    let (_, container) = bench.started(task("t"));
    bench.acknowledge_all();
    bench.tell(Input::Stop);
    assert_eq!(bench.kills(), [4 * SECOND]);
    bench.run(task("late"));
    assert_eq!(bench.launches(), 0);
    assert_eq!(bench.stopped(), None);
    bench.exit(&container, Exit::Signal(15));
    assert_eq!(bench.stopped(), None, "the end was not heard yet");
    let heard = bench.acknowledge_all();
    let states: Vec<_> = heard.iter().map(|update| update.update.status.state).collect();
    assert_eq!(states, [TaskDropped, TaskKilled]);
    let effects = bench.effects();
    let last = &effects[effects.len() - 2..];
    assert!(
        matches!(
            last,
            [
                Effect::ToMaster { message: ToMaster::Unregister { .. }, .. },
                Effect::Stopped(Ok(()))
            ]
        ),
        "{last:?}"
    );
    assert_eq!(bench.log.last(), Some(&Record::Left));
    let next = Bench::restarted(bench.log).agent.records();
    assert!(matches!(&next[..], [Record::Booted(_)]), "the next one is a new agent: {next:?}");
}

#[test]
fn an_agent_that_stops_does_not_wait_for_ever_to_be_heard() {
    let mut bench = Bench::registered();
    let (_, container) = bench.started(task("t"));
    bench.tell(Input::Stop);
    bench.exit(&container, Exit::Signal(15));
    bench.pass(SECOND / 2);
    assert_eq!(bench.stopped(), None);
    bench.pass(SECOND / 2);
    assert_eq!(bench.stopped(), Some(Ok(())));
}

#[test]
fn an_agent_without_a_master_keeps_what_it_owes_for_its_next_start() {
    let mut bench = Bench::registered();
    let (_, container) = bench.started(task("t"));
    bench.tell(Input::LinkDown { session: 1 });
    bench.tell(Input::Stop);
    bench.exit(&container, Exit::Signal(15));
    assert_eq!(bench.stopped(), Some(Ok(())));
    let mut next = Bench::restarted(bench.log);
    next.register(1);
    let heard = next.acknowledge_all();
    let states: Vec<_> = heard.iter().map(|update| update.update.status.state).collect();
    assert_eq!(states, [TaskStarting, TaskRunning, TaskKilled]);
}
