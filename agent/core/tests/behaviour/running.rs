//! From a task's arrival to its own end.

use std::time::Duration;

use meros_agent_core::effect::Effect;
use meros_agent_core::exit::Exit;
use meros_agent_core::input::{ContainerEvent, Input, Overrun};
use meros_agent_core::status::Status;
use meros_proto::resources::{ReservationFormat, Resources, Role};
use meros_proto::v1;
use meros_proto::v1::TaskState::{self, *};
use meros_proto::v1::task_status::{Reason, Source};

use crate::bench::{Bench, SECOND, framework, span, task};

#[test]
fn a_task_starts_runs_and_ends_as_its_command_does() {
    for (exit, state, message) in [
        (Exit::Code(0), TaskFinished, "Command exited with status 0"),
        (Exit::Code(3), TaskFailed, "Command exited with status 3"),
        (Exit::Signal(9), TaskFailed, "Command terminated with signal Killed"),
    ] {
        let mut bench = Bench::registered();
        let (_, container) = bench.started(task("t"));
        bench.exit(&container, exit);
        let heard = bench.acknowledge_all();
        let states: Vec<TaskState> = heard.iter().map(|u| u.update.status.state).collect();
        assert_eq!(states, [TaskStarting, TaskRunning, state], "{exit:?}");
        assert!(heard.iter().all(|u| u.update.status.source == Source::Executor));
        let last = &heard[2].update.status;
        assert_eq!((last.message.as_deref(), last.reason), (Some(message), None));
        let view = bench.view();
        assert!(view.tasks.is_empty());
        assert_eq!(view.completed.len(), 1);
    }
}

#[test]
fn a_launch_is_asked_for_in_the_same_batch_that_records_the_task() {
    let mut bench = Bench::registered();
    let before = bench.log.len();
    bench.run(task("t"));
    assert_eq!(bench.log.len() - before, 3, "framework, task, update: {:?}", bench.log);
    assert_eq!(bench.launches(), 1);
}

#[test]
fn a_container_that_does_not_start_fails_its_task() {
    let mut bench = Bench::registered();
    bench.run(task("t"));
    let container = bench.launched();
    let event = ContainerEvent::LaunchFailed { message: "no such user".to_owned() };
    bench.tell(Input::Container(container, event));
    let last = last_status(&mut bench);
    assert_eq!(last.state, TaskFailed);
    assert_eq!(last.source, Source::Agent);
    assert_eq!(last.reason, Some(Reason::ContainerLaunchFailed));
    assert_eq!(last.message.as_deref(), Some("Failed to launch container: no such user"));
}

#[test]
fn a_task_over_its_memory_fails_for_that_reason_and_names_the_limit() {
    let mut bench = Bench::registered();
    let resources = Resources::parse("cpus:1;mem:64", &Role::star()).expect("valid");
    let hungry =
        v1::TaskInfo { resources: resources.to_protos(ReservationFormat::Refined), ..task("t") };
    let (_, container) = bench.started(hungry);
    let overrun = Some(Overrun::Memory { peak_bytes: Some(100 << 20) });
    let event = ContainerEvent::Exited { exit: Exit::Signal(9), overrun };
    bench.tell(Input::Container(container, event));
    let last = last_status(&mut bench);
    assert_eq!((last.state, last.reason), (TaskFailed, Some(Reason::ContainerLimitationMemory)));
    let text = "Memory limit exceeded: Requested: 64MB Maximum Used: 100MB";
    assert_eq!(last.message.as_deref(), Some(text));
    assert_eq!(last.limitation, Some(Resources::parse("mem:64", &Role::star()).expect("valid")));
}

#[test]
fn a_task_that_asks_for_what_is_not_built_is_an_error_and_starts_nothing() {
    let mut bench = Bench::registered();
    let container = v1::ContainerInfo { hostname: Some("x".to_owned()), ..mesos_container() };
    bench.run(v1::TaskInfo { container: Some(Box::new(container)), ..task("t") });
    assert_eq!(bench.launches(), 0);
    let last = last_status(&mut bench);
    assert_eq!((last.state, last.reason), (TaskError, Some(Reason::TaskInvalid)));
    assert_eq!(
        last.message.as_deref(),
        Some("This agent does not support host names of containers yet")
    );
}

#[test]
fn a_task_sent_twice_is_started_once() {
    let mut bench = Bench::registered();
    let (_, container) = bench.started(task("t"));
    bench.run(task("t"));
    bench.exit(&container, Exit::Code(0));
    // Its end waits for the acknowledgement of its start: the name is still taken.
    bench.run(task("t"));
    assert_eq!(bench.launches(), 0);
    bench.acknowledge_all();
    bench.run(task("t"));
    assert_eq!(bench.launches(), 1, "the end was heard: the name is free");
}

#[test]
fn a_task_that_runs_for_too_long_is_ended_without_grace_and_fails() {
    let mut bench = Bench::registered();
    let limited = v1::TaskInfo { max_completion_time: Some(span(5 * SECOND)), ..task("t") };
    let (_, container) = bench.started(limited);
    bench.pass(4 * SECOND);
    assert_eq!(bench.kills(), []);
    bench.pass(SECOND);
    assert_eq!(bench.kills(), [Duration::ZERO]);
    bench.exit(&container, Exit::Signal(9));
    let last = last_status(&mut bench);
    assert_eq!((last.state, last.reason), (TaskFailed, Some(Reason::MaxCompletionTimeReached)));
}

#[test]
fn containers_of_nobody_are_ended_and_forgotten_and_doubled_events_change_nothing() {
    let mut bench = Bench::registered();
    let (_, container) = bench.started(task("t"));
    bench.start(&container);
    bench.exit(&container, Exit::Code(0));
    bench.acknowledge_all();
    assert_eq!(bench.forgotten(), std::slice::from_ref(&container));
    let before = bench.log.len();
    bench.start(&container);
    assert_eq!(bench.kills(), [Duration::ZERO]);
    bench.exit(&container, Exit::Code(1));
    assert_eq!(bench.forgotten(), [container]);
    assert_eq!(bench.log.len(), before);
    assert!(bench.effects().iter().all(|effect| matches!(effect, Effect::Log(..))));
}

#[test]
fn a_lost_launcher_fails_what_ran_and_ends_the_agent() {
    let mut bench = Bench::registered();
    bench.started(task("t"));
    bench.tell(Input::LauncherLost { reason: "killed".to_owned() });
    let last = last_status(&mut bench);
    assert_eq!((last.state, last.reason), (TaskFailed, Some(Reason::ExecutorTerminated)));
    let outcome = bench.stopped().expect("it ends");
    assert!(outcome.expect_err("not in order").contains("launcher"));
}

#[test]
fn a_framework_that_changes_is_recorded_only_if_it_has_tasks_here() {
    use meros_agent_core::input::FromMaster::UpdateFramework;
    use meros_proto::v1::framework_info::capability::Type as Capability;
    let mut bench = Bench::registered();
    let changed = framework(&[Capability::TaskKillingState]);
    let before = bench.log.len();
    bench.hear(UpdateFramework(changed.clone()));
    assert_eq!(bench.log.len(), before);
    bench.run(task("t"));
    let before = bench.log.len();
    bench.hear(UpdateFramework(changed));
    assert_eq!(bench.log.len(), before + 1);
}

fn last_status(bench: &mut Bench) -> Status {
    let heard = bench.acknowledge_all();
    heard.last().expect("something was said").update.status.clone()
}

fn mesos_container() -> v1::ContainerInfo {
    let r#type = Some(v1::container_info::Type::Mesos as i32);
    v1::ContainerInfo { r#type, ..v1::ContainerInfo::default() }
}
