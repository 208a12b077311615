//! Looks at running tasks: when, what is told of them, and when a task is ended for it.

use std::time::Duration;

use meros_agent_core::checks::{Answer, CheckStatus, How, Probe, Purpose};
use meros_agent_core::exit::Exit;
use meros_agent_core::input::{Found, FromMaster, Input, Room};
use meros_agent_core::status::Status;
use meros_proto::ids::ContainerId;
use meros_proto::v1;
use meros_proto::v1::TaskState::{self, *};
use meros_proto::v1::framework_info::capability::Type as Capability;
use meros_proto::v1::task_status::{Reason, Source};

use crate::bench::{BOOT, Bench, SECOND, framework, task};

/// Looked at after 5 s, then each 2 s; ended after 2 failures, of which those in the first 10 s
/// don't count.
fn healthy_http() -> v1::TaskInfo {
    let http = v1::health_check::HttpCheckInfo {
        port: Some(31_000),
        path: Some("/health?x=1".to_owned()),
        ..Default::default()
    };
    let check = v1::HealthCheck {
        r#type: Some(v1::health_check::Type::Http as i32),
        http: Some(http),
        delay_seconds: Some(5.0),
        interval_seconds: Some(2.0),
        timeout_seconds: Some(1.0),
        consecutive_failures: Some(2),
        grace_period_seconds: Some(10.0),
        ..Default::default()
    };
    v1::TaskInfo { health_check: Some(Box::new(check)), ..task("t") }
}

/// Its exit status is told; looked at at once, then each second.
fn checked_by_command() -> v1::TaskInfo {
    let command = v1::CommandInfo { value: Some("test -e ready".to_owned()), ..Default::default() };
    let check = v1::CheckInfo {
        r#type: Some(v1::check_info::Type::Command as i32),
        command: Some(v1::check_info::Command { command: Some(command) }),
        delay_seconds: Some(0.0),
        interval_seconds: Some(1.0),
        ..Default::default()
    };
    v1::TaskInfo { check: Some(Box::new(check)), ..task("t") }
}

/// A registered agent on which `info` runs and was said to.
fn running(info: v1::TaskInfo) -> (Bench, ContainerId) {
    let mut bench = Bench::registered();
    let (_, container) = bench.started(info);
    let heard = bench.acknowledge_all();
    assert_eq!(heard.len(), 2);
    (bench, container)
}

/// Answers the one look that was asked for, a moment later.
fn answer(bench: &mut Bench, answer: Answer) -> Probe {
    let [probe] = <[Probe; 1]>::try_from(bench.looks()).expect("one look");
    bench.tell(Input::Checked { probe: probe.id.clone(), answer });
    probe
}

fn statuses(bench: &mut Bench) -> Vec<Status> {
    bench.acknowledge_all().iter().map(|update| update.update.status.clone()).collect()
}

/// What each of these says: state, reason, health.
fn said(statuses: &[Status]) -> Vec<(TaskState, Option<Reason>, Option<bool>)> {
    statuses.iter().map(|status| (status.state, status.reason, status.healthy)).collect()
}

const HEALTH: Option<Reason> = Some(Reason::TaskHealthCheckStatusUpdated);

#[test]
fn a_running_task_is_looked_at_after_its_delay_and_an_interval_after_each_answer() {
    let (mut bench, container) = running(healthy_http());
    bench.pass(5 * SECOND - Duration::from_millis(1));
    assert_eq!(bench.looks(), []);
    bench.pass(Duration::from_millis(1));
    // A slow answer: the interval begins when it is there.
    let [probe] = <[Probe; 1]>::try_from(bench.looks()).expect("one look");
    assert_eq!(probe.id.purpose, Purpose::Health);
    assert_eq!(probe.timeout, Some(SECOND));
    assert_eq!(probe.of.container, container);
    let path = "/health?x=1".to_owned();
    assert_eq!(probe.how, How::Http { https: false, port: 31_000, path, ipv6: false });
    bench.pass(7 * SECOND);
    assert_eq!(bench.looks(), [], "one at a time");
    bench.tell(Input::Checked { probe: probe.id.clone(), answer: Answer::Http(200) });
    bench.pass(2 * SECOND - Duration::from_millis(1));
    // The same answer again, and one that nobody asked for.
    bench.tell(Input::Checked { probe: probe.id, answer: Answer::Http(500) });
    assert_eq!(said(&statuses(&mut bench)), [(TaskRunning, HEALTH, Some(true))]);
    assert_eq!(bench.looks(), []);
    bench.pass(Duration::from_millis(1));
    assert_eq!(bench.looks().len(), 1);
}

#[test]
fn health_is_told_when_it_changes_and_each_failure_after_the_grace() {
    let (mut bench, _) = running(healthy_http());
    let mut told = Vec::new();
    // At 5, 7 and 9 s within the grace; at 11 s after it.
    for (wait, status) in [(5, 500), (2, 404), (2, 503), (2, 500), (2, 204), (2, 204), (2, 400)] {
        bench.pass(wait * SECOND);
        answer(&mut bench, Answer::Http(status));
        told.push(said(&statuses(&mut bench)).last().map(|(.., healthy)| healthy.expect("told")));
    }
    assert_eq!(told, [None, None, None, Some(false), Some(true), None, Some(false)]);
}

#[test]
fn a_task_that_is_unhealthy_once_too_often_is_killed_and_says_so() {
    let (mut bench, container) = running(healthy_http());
    bench.pass(11 * SECOND);
    answer(&mut bench, Answer::Failed("no answer within 1 s".to_owned()));
    bench.pass(2 * SECOND);
    let [probe] = <[Probe; 1]>::try_from(bench.looks()).expect("one look");
    bench.tell(Input::Checked { probe: probe.id, answer: Answer::Http(500) });
    assert_eq!(bench.kills(), [3 * SECOND]);
    let heard = said(&statuses(&mut bench));
    assert_eq!(heard, [(TaskRunning, HEALTH, Some(false)), (TaskRunning, HEALTH, Some(false))]);
    bench.pass(SECOND);
    assert_eq!(bench.looks(), [], "what ends is not looked at");
    bench.exit(&container, Exit::Signal(15));
    let last = statuses(&mut bench).pop().expect("its end");
    assert_eq!((last.state, last.healthy, last.reason), (TaskKilled, Some(false), None));
    assert_eq!(last.source, Source::Executor);
    assert_eq!(last.message.as_deref(), Some("Command terminated with signal Terminated"));
}

#[test]
fn a_framework_that_wants_it_is_told_of_the_kill_of_an_unhealthy_task() {
    let mut bench = Bench::registered();
    bench.run_for(framework(&[Capability::TaskKillingState]), healthy_http());
    let container = bench.launched();
    bench.start(&container);
    bench.acknowledge_all();
    bench.pass(5 * SECOND);
    answer(&mut bench, Answer::Http(200));
    for _ in 0..2 {
        bench.pass(2 * SECOND);
        answer(&mut bench, Answer::Tcp(false));
    }
    let states: Vec<TaskState> = statuses(&mut bench).iter().map(|s| s.state).collect();
    assert_eq!(states, [TaskRunning, TaskRunning, TaskRunning, TaskKilling]);
}

#[test]
fn a_result_of_a_check_is_told_when_it_changes_and_never_kills() {
    let (mut bench, container) = running(checked_by_command());
    let mut told = Vec::new();
    for seen in [
        Answer::Exited(1),
        Answer::Exited(1),
        Answer::Exited(0),
        Answer::Failed("no answer within 20 s".to_owned()),
        Answer::Failed("no answer within 20 s".to_owned()),
        Answer::Exited(0),
    ] {
        let probe = answer(&mut bench, seen);
        assert_eq!((probe.id.purpose, probe.how), (Purpose::Check, How::Command));
        told.extend(statuses(&mut bench));
        bench.pass(SECOND);
    }
    let reason = Some(Reason::TaskCheckStatusUpdated);
    assert!(told.iter().all(|s| (s.state, s.reason, s.healthy) == (TaskRunning, reason, None)));
    let results: Vec<_> = told.iter().map(|status| status.check.expect("told")).collect();
    assert_eq!(results, [Some(1), Some(0), None, Some(0)].map(CheckStatus::Command));
    assert_eq!(bench.kills(), []);
    bench.exit(&container, Exit::Code(0));
    let last = statuses(&mut bench).pop().expect("its end");
    // As Mesos's executor: what it says afresh tells that there is a check, and no result.
    assert_eq!((last.state, last.check), (TaskFinished, Some(CheckStatus::Command(None))));
}

#[test]
fn each_status_of_a_task_with_a_check_carries_its_type_from_the_start() {
    let mut bench = Bench::registered();
    bench.started(checked_by_command());
    let none = Some(CheckStatus::Command(None));
    let heard: Vec<_> = statuses(&mut bench).iter().map(|s| (s.state, s.check)).collect();
    assert_eq!(heard, [(TaskStarting, none), (TaskRunning, none)]);
}

#[test]
fn health_and_check_of_one_task_do_not_disturb_each_other() {
    let both = v1::TaskInfo { health_check: healthy_http().health_check, ..checked_by_command() };
    let (mut bench, _) = running(both);
    answer(&mut bench, Answer::Exited(7));
    bench.pass(5 * SECOND);
    let mut probes = bench.looks();
    probes.sort_by_key(|probe| probe.id.purpose);
    assert_eq!(probes.len(), 2);
    bench.tell(Input::Checked { probe: probes[0].id.clone(), answer: Answer::Http(200) });
    bench.tell(Input::Checked { probe: probes[1].id.clone(), answer: Answer::Exited(8) });
    let told: Vec<_> = statuses(&mut bench).iter().map(|s| (s.healthy, s.check)).collect();
    let code = |code| Some(CheckStatus::Command(Some(code)));
    assert_eq!(told, [(None, code(7)), (Some(true), code(7)), (Some(true), code(8))]);
}

#[test]
fn a_killed_task_is_not_looked_at_and_late_answers_change_nothing() {
    let (mut bench, container) = running(healthy_http());
    bench.pass(11 * SECOND);
    let [probe] = <[Probe; 1]>::try_from(bench.looks()).expect("one look");
    bench.kill(&probe.id.task, None);
    bench.tell(Input::Checked { probe: probe.id.clone(), answer: Answer::Http(500) });
    bench.exit(&container, Exit::Signal(15));
    let last = statuses(&mut bench).pop().expect("its end");
    assert_eq!((last.state, last.healthy), (TaskKilled, None));
    // A task of the same name takes its place: nothing of the old one's looks reaches it.
    let (_, _) = bench.started(healthy_http());
    bench.pass(SECOND);
    bench.tell(Input::Checked { probe: probe.id, answer: Answer::Http(200) });
    assert!(statuses(&mut bench).iter().all(|status| status.healthy.is_none()));
    assert_eq!(bench.looks(), []);
    bench.pass(4 * SECOND);
    assert_eq!(bench.looks().len(), 1);
}

#[test]
fn an_agent_that_comes_back_looks_again_and_knows_who_was_healthy() {
    let (mut bench, container) = running(healthy_http());
    bench.pass(5 * SECOND);
    answer(&mut bench, Answer::Http(200));
    bench.acknowledge_all();
    let now = bench.now;
    for (log, told) in [(bench.log.clone(), 1), (running(healthy_http()).0.log, 0)] {
        // Within the grace, which is only for tasks that never were healthy.
        let mut again = Bench::replayed(log);
        again.now = now;
        again.begin(BOOT, found(&again, &container));
        again.register(1);
        again.acknowledge_all();
        again.pass(5 * SECOND - Duration::from_millis(1));
        assert_eq!(again.looks(), [], "its delay begins anew");
        again.pass(Duration::from_millis(1));
        answer(&mut again, Answer::Http(500));
        let unhealthy = statuses(&mut again).iter().filter(|s| s.healthy == Some(false)).count();
        assert_eq!(unhealthy, told);
    }
}

/// The container of the bench's only task, still running.
fn found(bench: &Bench, container: &ContainerId) -> Vec<(ContainerId, Found)> {
    use meros_agent_core::Record;
    let accepted = bench.log.iter().find_map(|record| match record {
        Record::Accepted { container, .. } => Some(container.clone()),
        _ => None,
    });
    vec![(accepted.unwrap_or_else(|| container.clone()), Found::Running { pid: 42 })]
}

#[test]
fn a_kill_for_health_goes_on_after_a_crash_and_is_told_as_one() {
    let (mut bench, container) = running(healthy_http());
    bench.pass(5 * SECOND);
    answer(&mut bench, Answer::Http(200));
    for _ in 0..2 {
        bench.pass(2 * SECOND);
        answer(&mut bench, Answer::Http(500));
    }
    let now = bench.now;
    let mut again = Bench::replayed(bench.log.clone());
    again.now = now;
    again.begin(BOOT, vec![(container.clone(), Found::Running { pid: 42 })]);
    assert_eq!(again.kills(), [3 * SECOND]);
    again.register(1);
    again.exit(&container, Exit::Signal(9));
    let last = statuses(&mut again).pop().expect("its end");
    assert_eq!((last.state, last.healthy), (TaskKilled, Some(false)));
}

#[test]
fn on_a_full_disk_only_changes_of_health_are_written() {
    let check = v1::HealthCheck {
        consecutive_failures: Some(5),
        ..*healthy_http().health_check.expect("it has one")
    };
    let (mut bench, _) = running(v1::TaskInfo { health_check: Some(Box::new(check)), ..task("t") });
    bench.pass(11 * SECOND);
    bench.tell(Input::Disk(Room::Reserve));
    let before = bench.log.len();
    for _ in 0..4 {
        answer(&mut bench, Answer::Http(500));
        bench.pass(2 * SECOND);
    }
    assert_eq!(bench.log.len(), before + 1);
    answer(&mut bench, Answer::Http(500));
    assert_eq!(bench.kills(), [3 * SECOND], "it is ended all the same");
}

#[test]
fn a_long_life_of_changes_leaves_a_short_history() {
    let (mut bench, _) = running(checked_by_command());
    for n in 0..200 {
        answer(&mut bench, Answer::Exited(n % 2));
        bench.acknowledge_all();
        bench.hear(FromMaster::Ping { sequence: 0 });
        bench.pass(SECOND);
    }
    let updates = bench.view().tasks[0].updates.len();
    assert!(updates < 30, "{updates} updates are kept");
    assert_eq!(bench.view().tasks[0].updates[1].status.state, TaskRunning, "since when it runs");
}

#[test]
fn a_check_that_can_not_be_carried_out_is_an_error_and_starts_nothing() {
    let check = v1::HealthCheck {
        r#type: Some(v1::health_check::Type::Tcp as i32),
        tcp: Some(v1::health_check::TcpCheckInfo { port: Some(70_000), ..Default::default() }),
        ..Default::default()
    };
    let mut bench = Bench::registered();
    bench.run(v1::TaskInfo { health_check: Some(Box::new(check)), ..task("t") });
    assert_eq!(bench.launches(), 0);
    let last = statuses(&mut bench).pop().expect("said");
    assert_eq!((last.state, last.reason), (TaskError, Some(Reason::TaskInvalid)));
    assert!(last.message.as_deref().is_some_and(|message| message.contains("70000")), "{last:?}");
}
