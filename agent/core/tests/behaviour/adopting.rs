//! What outlives the agent's process is its own again when it is back.

use std::time::Duration;

use meros_agent_core::Record;
use meros_agent_core::exit::Exit;
use meros_agent_core::input::{Found, FromMaster, Input, Overrun};
use meros_agent_core::status::Status;
use meros_agent_core::task::{TaskKey, Why};
use meros_proto::ids::ContainerId;
use meros_proto::v1;
use meros_proto::v1::TaskState::{self, *};
use meros_proto::v1::framework_info::capability::Type as Capability;
use meros_proto::v1::task_status::{Reason, Source};

use crate::bench::{Bench, SECOND, framework, span, task};

const RUNS: Found = Found::Running { pid: 42 };

fn ended(exit: Exit) -> Found {
    Found::Exited { exit, overrun: None }
}

/// A task that runs, all heard.
fn running(info: v1::TaskInfo) -> (Bench, TaskKey, ContainerId) {
    let mut bench = Bench::registered();
    let (key, container) = bench.started(info);
    bench.acknowledge_all();
    (bench, key, container)
}

/// The next life, some time later.
fn later(bench: Bench, wait: Duration, found: Vec<(ContainerId, Found)>) -> Bench {
    let mut next = Bench::replayed(bench.log);
    next.now.wall = bench.now.wall + wait;
    next.begin(crate::bench::BOOT, found);
    next.register(1);
    next
}

/// What is said in the next life.
fn said(bench: Bench, found: Vec<(ContainerId, Found)>) -> Vec<Status> {
    let mut next = later(bench, SECOND, found);
    next.acknowledge_all().into_iter().map(|update| update.update.status.clone()).collect()
}

fn states(said: &[Status]) -> Vec<TaskState> {
    said.iter().map(|status| status.state).collect()
}

#[test]
fn a_task_that_still_runs_is_adopted_without_a_word() {
    let (bench, key, container) = running(task("t"));
    let mut next = later(bench, SECOND, vec![(container.clone(), RUNS)]);
    assert_eq!((next.states(), next.launches()), (vec![], 0));
    let task = &next.view().tasks[0];
    assert_eq!((task.state, task.pid), (TaskRunning, Some(42)));
    let report = &next.registrations()[0].tasks[0];
    assert_eq!(report.latest.as_ref().map(|update| update.status.state), Some(TaskRunning));
    next.kill(&key, Some(SECOND));
    assert_eq!(next.kills(), [SECOND]);
    next.exit(&container, Exit::Signal(15));
    assert_eq!(next.states(), [TaskKilled]);
    assert_eq!(next.forgotten(), [container]);
}

#[test]
fn a_task_that_ended_without_an_agent_ends_with_its_real_status() {
    for (exit, state, message) in [
        (Exit::Code(0), TaskFinished, "Command exited with status 0"),
        (Exit::Code(7), TaskFailed, "Command exited with status 7"),
        (Exit::Signal(9), TaskFailed, "Command terminated with signal Killed"),
    ] {
        let (bench, _, container) = running(task("t"));
        let said = said(bench, vec![(container, ended(exit))]);
        assert_eq!(states(&said), [state]);
        assert_eq!((said[0].source, said[0].message.as_deref()), (Source::Executor, Some(message)));
    }
}

#[test]
fn a_task_of_which_nobody_saw_the_end_has_failed() {
    let (bench, _, container) = running(task("t"));
    let said = said(bench, vec![(container, ended(Exit::Unknown))]);
    assert_eq!(states(&said), [TaskFailed]);
    assert_eq!((said[0].source, said[0].reason), (Source::Agent, Some(Reason::ExecutorTerminated)));
    assert_eq!(said[0].message.as_deref(), Some("Command ended, and its exit status is not known"));
}

#[test]
fn a_limit_that_was_overstepped_without_an_agent_is_told() {
    let (bench, _, container) = running(task("t"));
    let overrun = Some(Overrun::Memory { peak_bytes: Some(64 << 20) });
    let said = said(bench, vec![(container, Found::Exited { exit: Exit::Signal(9), overrun })]);
    assert_eq!(said[0].reason, Some(Reason::ContainerLimitationMemory));
}

#[test]
fn a_start_that_was_not_recorded_any_more_is_told_before_what_came_of_it() {
    for (found, expected) in [
        (RUNS, vec![TaskStarting, TaskRunning]),
        (ended(Exit::Code(0)), vec![TaskStarting, TaskRunning, TaskFinished]),
        (Found::LaunchFailed { message: "no".to_owned() }, vec![TaskStarting, TaskFailed]),
    ] {
        let mut bench = Bench::registered();
        bench.run(task("t"));
        let container = bench.launched();
        assert_eq!(states(&said(bench, vec![(container, found.clone())])), expected, "{found:?}");
    }
}

#[test]
fn a_task_that_is_gone_has_failed_or_was_never_started() {
    for (aware, never_started) in [(true, TaskDropped), (false, TaskLost)] {
        let capabilities: &[Capability] = if aware { &[Capability::PartitionAware] } else { &[] };
        let mut bench = Bench::registered();
        bench.run_for(framework(capabilities), task("t"));
        let started = said_of_gone(Bench::replayed(bench.log.clone()));
        assert_eq!(started.last(), Some(&(TaskFailed, Some(Reason::ExecutorTerminated))));
        // The crash came between the records of the acceptance and of TASK_STARTING.
        bench.log.pop();
        let accepted = said_of_gone(bench);
        assert_eq!(accepted, [(never_started, Some(Reason::AgentRestarted))]);
    }
}

fn said_of_gone(bench: Bench) -> Vec<(TaskState, Option<Reason>)> {
    said(bench, Vec::new()).iter().map(|status| (status.state, status.reason)).collect()
}

#[test]
fn after_a_reboot_tasks_are_lost_once_and_the_agent_is_the_same() {
    for (capabilities, state) in [(vec![Capability::PartitionAware], TaskGone), (vec![], TaskLost)]
    {
        let mut bench = Bench::registered();
        bench.run_for(framework(&capabilities), task("t"));
        let container = bench.launched();
        bench.start(&container);
        bench.acknowledge_all();
        let mut next = Bench::replayed(bench.log);
        next.begin("boot-2", Vec::new());
        next.register(1);
        assert_eq!(next.registrations()[0].agent.as_ref().map(|id| id.as_str()), Some("m-S0"));
        let said = next.acknowledge_all();
        let status = &said[0].update.status;
        assert_eq!((said.len(), status.state), (1, state));
        assert_eq!(status.reason, Some(Reason::ExecutorTerminated));
        let mut again = Bench::replayed(next.log);
        again.begin("boot-2", Vec::new());
        again.register(1);
        assert_eq!(again.states(), []);
    }
}

#[test]
fn a_boot_is_recorded_once() {
    let bench = Bench::restarted(Bench::restarted(Bench::registered().log).log);
    let boots = bench.log.iter().filter(|record| matches!(record, Record::Booted(_)));
    assert_eq!(boots.count(), 1);
}

#[test]
fn a_deadline_goes_on_while_no_agent_is_there() {
    let limited = v1::TaskInfo { max_completion_time: Some(span(60 * SECOND)), ..task("t") };
    for (away, left) in [(20, 40), (59, 1), (90, 0)] {
        let (bench, _, container) = running(limited.clone());
        let mut next = later(bench, away * SECOND, vec![(container.clone(), RUNS)]);
        next.pass_in_touch((left * SECOND).saturating_sub(SECOND / 2));
        assert_eq!(next.kills().len(), usize::from(left == 0), "away={away}");
        next.pass_in_touch(SECOND);
        assert_eq!(next.kills().len(), usize::from(left != 0), "away={away}");
        next.exit(&container, Exit::Signal(9));
        let end = next.acknowledge_all().remove(0);
        assert_eq!(end.update.status.reason, Some(Reason::MaxCompletionTimeReached));
    }
}

#[test]
fn a_kill_is_on_record_before_it_is_asked_for_and_repeated_with_what_is_left_of_its_grace() {
    for (away, left) in [(0, 10), (4, 6), (60, 0)] {
        let (mut bench, key, container) = running(task("t"));
        bench.kill(&key, Some(10 * SECOND));
        let recorded = bench.log.last().expect("a record").clone();
        assert!(
            matches!(recorded, Record::Stopping { stop, .. } if stop.why == Why::Killed),
            "{recorded:?}"
        );
        let mut next = later(bench, away * SECOND, vec![(container.clone(), RUNS)]);
        assert_eq!(next.kills(), [left * SECOND], "away={away}");
        next.exit(&container, Exit::Signal(15));
        assert_eq!(next.states(), [TaskKilled]);
    }
}

#[test]
fn a_clock_that_was_set_back_gives_the_whole_grace_again() {
    let (mut bench, key, container) = running(task("t"));
    bench.kill(&key, Some(10 * SECOND));
    let mut next = Bench::replayed(bench.log);
    next.now.wall = meros_proto::time::Timestamp::from_millis(0);
    next.begin(crate::bench::BOOT, vec![(container, RUNS)]);
    assert_eq!(next.kills(), [10 * SECOND]);
}

#[test]
fn a_grace_that_was_shortened_stays_so_and_counts_from_the_first_kill() {
    let (mut bench, key, container) = running(task("t"));
    bench.kill(&key, Some(60 * SECOND));
    bench.kill(&key, Some(10 * SECOND));
    let mut next = later(bench, 4 * SECOND, vec![(container, RUNS)]);
    assert_eq!(next.kills(), [6 * SECOND]);
    next.kill(&key, Some(5 * SECOND));
    assert_eq!(next.kills(), [SECOND]);
    next.kill(&key, Some(60 * SECOND));
    assert_eq!(next.kills(), []);
}

#[test]
fn a_kill_whose_task_ended_meanwhile_is_told_as_a_kill() {
    let (mut bench, key, container) = running(task("t"));
    bench.kill(&key, None);
    let said = said(bench, vec![(container, ended(Exit::Signal(15)))]);
    assert_eq!(states(&said), [TaskKilled]);
}

#[test]
fn a_kill_that_overtook_the_start_is_told_so_in_the_next_life_too() {
    for found in [None, Some(Found::LaunchFailed { message: "killed".to_owned() })] {
        let mut bench = Bench::registered();
        let key = bench.run(task("t"));
        let container = bench.launched();
        bench.kill(&key, None);
        let found = found.into_iter().map(|found| (container.clone(), found)).collect();
        let said = said(bench, found);
        assert_eq!(states(&said), [TaskStarting, TaskKilled]);
        assert_eq!(said[1].reason, Some(Reason::TaskKilledDuringLaunch));
    }
}

#[test]
fn tasks_of_a_removed_framework_are_ended_by_the_next_life_in_silence() {
    for recorded in [1, 0] {
        let (mut bench, key, container) = running(task("t"));
        bench.hear(FromMaster::ShutdownFramework(key.framework.clone()));
        // The removal, then the kill.
        bench.log.truncate(bench.log.len() - 1 + recorded);
        assert!(recorded == 1 || matches!(bench.log.last(), Some(Record::FrameworkRemoved(_))));
        // Whether the log was shortened meanwhile makes no difference.
        for log in [Bench::replayed(bench.log.clone()).agent.records(), bench.log] {
            let mut next = Bench::recovered(log, vec![(container.clone(), RUNS)]);
            assert!(!next.kills().is_empty());
            next.register(1);
            next.exit(&container, Exit::Signal(15));
            assert_eq!((next.states(), next.view().tasks.len()), (vec![], 0));
            assert_eq!(next.forgotten(), std::slice::from_ref(&container));
        }
    }
}

#[test]
fn what_the_leaving_of_an_agent_began_its_next_life_ends() {
    let (mut bench, _, container) = running(task("t"));
    bench.tell(Input::Stop);
    let mut next = later(bench, SECOND, vec![(container.clone(), RUNS)]);
    assert_eq!(next.kills(), [3 * SECOND]);
    next.exit(&container, Exit::Signal(15));
    assert_eq!(next.states(), [TaskKilled]);
    assert_eq!(next.stopped(), None, "it was started anew");
}

#[test]
fn an_end_on_record_is_forgotten_again_and_a_stranger_is_ended() {
    let (mut bench, _, container) = running(task("t"));
    bench.exit(&container, Exit::Code(0));
    assert_eq!(bench.forgotten(), std::slice::from_ref(&container));
    let stranger = ContainerId::parse("stranger").expect("an id");
    let found = vec![(container.clone(), ended(Exit::Code(0))), (stranger.clone(), RUNS)];
    let mut next = later(bench, SECOND, found);
    assert_eq!(next.forgotten(), [container]);
    assert_eq!(next.kills(), [4 * SECOND]);
    assert_eq!(next.states(), [TaskFinished], "the one that was not heard");
    next.exit(&stranger, Exit::Signal(15));
    assert_eq!(next.forgotten(), [stranger]);
}

#[test]
fn what_is_found_twice_is_taken_up_once() {
    let (bench, _, container) = running(task("t"));
    let twice = |found: Found| vec![(container.clone(), found.clone()), (container.clone(), found)];
    let log = bench.log;
    let mut next = Bench::recovered(log.clone(), twice(RUNS));
    assert_eq!((next.kills(), next.view().tasks.len()), (vec![], 1));
    let mut next = Bench::recovered(log, twice(ended(Exit::Code(0))));
    next.register(1);
    assert_eq!(next.states(), [TaskFinished]);
}
