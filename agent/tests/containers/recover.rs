//! The agent goes and comes back; its launcher and its tasks stay.

use std::{fs, time::Duration};

use meros_agent::containerizer::{Containerizer, Found, StartError, WaitStatus};

use crate::fixture::{Host, Leave, config, container, gone, instance, is_alive, left_of};

fn running(name: &str, pid: i32) -> Found {
    Found::Running { container: container(name), pid }
}

fn ended(name: &str, status: WaitStatus) -> Found {
    Found::Exited { container: container(name), status, oom: false, mem_peak_bytes: None }
}

#[tokio::test]
async fn tasks_run_on_and_their_ends_are_told_to_the_agent_that_comes_back() {
    for leave in [Leave::Detached, Leave::Killed] {
        for mut host in Host::all().await {
            let launcher = host.launcher();
            let a = host.running("a", "while ! [ -e $WORK/go ]; do sleep 0.01; done; exit 3").await;
            let b =
                host.running("b", "while ! [ -e $WORK/later ]; do sleep 0.01; done; exit 4").await;
            let meanwhile = async |work: &std::path::Path| {
                fs::write(work.join("go"), "").expect("writable");
                gone(a).await;
            };
            let (host, found) = host.replaced(leave, meanwhile, |_| {}).await;
            assert_eq!(host.launcher(), launcher);
            assert!(is_alive(b));
            // The end may have been told a moment later than it came: so either is right.
            let mut host = host;
            if found.contains(&running("a", a)) {
                assert_eq!(Host::exited(host.event().await).1, WaitStatus::Exited(3));
            } else {
                assert_eq!(found, [ended("a", WaitStatus::Exited(3)), running("b", b)]);
            }
            fs::write(host.work.path().join("later"), "").expect("writable");
            let end = Host::exited(host.event().await);
            assert_eq!(end, ("b".to_owned(), WaitStatus::Exited(4), false));
            host.running("c", "exit 5").await;
            assert_eq!(Host::exited(host.event().await).1, WaitStatus::Exited(5));
            host.stop().await;
        }
    }
}

#[tokio::test]
async fn an_end_is_told_again_until_it_is_forgotten() {
    let mut host = Host::start().await;
    host.running("a", "exit 1").await;
    Host::exited(host.event().await);
    host.running("b", "kill -9 $$").await;
    Host::exited(host.event().await);
    let mut spec = host.spec("c", crate::fixture::exec(&["/nope"]));
    spec.env.clear();
    host.containers.launch(spec);
    Host::failed(host.event().await);
    let failed = Found::LaunchFailed {
        container: container("c"),
        message: "exec /nope: No such file or directory".to_owned(),
    };
    let (a, b) = (ended("a", WaitStatus::Exited(1)), ended("b", WaitStatus::Signaled(9)));
    for leave in [Leave::Killed, Leave::Detached, Leave::Killed] {
        let (again, found) = host.comes_back(leave).await;
        host = again;
        assert_eq!(found, [a.clone(), b.clone(), failed.clone()]);
    }
    // The name of an end that is not on record is not free.
    host.run("a", "true");
    host.containers.forget(container("a"));
    host.containers.forget(container("c"));
    host.containers.forget(container("nobody"));
    let (mut host, found) = host.comes_back(Leave::Detached).await;
    assert_eq!(found, [b]);
    host.containers.forget(container("b"));
    host.running("d", "sleep 1000").await;
    // Nothing ended yet.
    host.containers.forget(container("d"));
    let (host, found) = host.comes_back(Leave::Detached).await;
    assert!(matches!(found.as_slice(), [Found::Running { .. }]), "{found:?}");
    host.stop().await;
}

#[tokio::test]
async fn a_task_that_was_taken_over_is_killed_with_its_tree() {
    for mut host in Host::all().await {
        host.run(
            "a",
            "trap '' TERM; (setsid sh -c 'echo $$ > $WORK/far; sleep 1000; true' &); \
             echo $$ > $WORK/main; while :; do sleep 1; done",
        );
        Host::started(host.event().await);
        host.process("main").await;
        host.process("far").await;
        let (mut host, found) = host.comes_back(Leave::Killed).await;
        assert_eq!(found.len(), 1);
        host.containers.kill(container("a"), Duration::from_millis(200));
        let end = Host::exited(host.event().await);
        assert_eq!(end, ("a".to_owned(), WaitStatus::Signaled(9), false));
        // A kill that was under way when the agent went is brought to its end without one.
        host.running("b", "trap '' TERM; echo $$ > $WORK/b; while :; do sleep 1; done").await;
        let b = host.process("b").await;
        host.containers.kill(container("b"), Duration::from_millis(300));
        let meanwhile = async |_: &std::path::Path| gone(b).await;
        let (host, found) = host.replaced(Leave::Detached, meanwhile, |_| {}).await;
        let b = found.iter().any(
            |found| matches!(found, Found::Running { container, .. } if container.as_str() == "b"),
        );
        assert!(b || found.contains(&ended("b", WaitStatus::Signaled(9))), "{found:?}");
        host.stop().await;
    }
}

#[tokio::test]
async fn a_task_over_its_memory_while_no_agent_is_there_is_ended_for_that() {
    let mut host = Host::start().await;
    if !crate::fixture::is_root() || !host.containers.isolation_notices().is_empty() {
        return host.stop().await;
    }
    let greedy = "while ! [ -e $WORK/go ]; do sleep 0.01; done; \
                  sh -c 'x=0123456789abcdef; while :; do x=$x$x; done'; sleep 1000";
    let mut spec = host.spec("a", crate::fixture::shell(greedy));
    spec.limits.mem_bytes = Some(48 << 20);
    host.containers.launch(spec);
    let (_, pid) = Host::started(host.event().await);
    let meanwhile = async |work: &std::path::Path| {
        fs::write(work.join("go"), "").expect("writable");
        gone(pid).await;
        tokio::time::sleep(Duration::from_millis(200)).await;
    };
    let (host, found) = host.replaced(Leave::Killed, meanwhile, |_| {}).await;
    match found.as_slice() {
        [Found::Exited { status, oom, mem_peak_bytes, .. }] => {
            assert_eq!((*status, *oom), (WaitStatus::Signaled(9), true));
            assert!(mem_peak_bytes.is_some_and(|peak| peak >= 40 << 20), "{mem_peak_bytes:?}");
        }
        other => panic!("{other:?}"),
    }
    host.stop().await;
}

#[tokio::test]
async fn starts_that_were_under_way_are_found_done() {
    for mut host in Host::all().await {
        for n in 0..40 {
            host.run(&format!("c{n}"), "sleep 1000");
        }
        // Some are prepared and sent, as far as the agent got.
        Host::started(host.event().await);
        let (host, found) = host.comes_back(Leave::Killed).await;
        let all = found.iter().all(|found| matches!(found, Found::Running { .. }));
        assert!(all && !found.is_empty(), "{found:?}");
        host.stop().await;
    }
}

#[tokio::test]
async fn a_start_that_is_stuck_does_not_hold_up_the_agent_that_comes_back() {
    let mut host = Host::start().await;
    // Nobody reads this FIFO, so opening it to write waits for ever.
    let stdout = host.sandbox("a").join("stdout");
    fs::create_dir_all(host.sandbox("a")).expect("writable");
    let made = std::process::Command::new("mkfifo").arg(&stdout).status();
    assert!(made.expect("mkfifo").success());
    host.run("a", "true");
    let b = host.running("b", "sleep 1000").await;
    let (mut host, found) = host.comes_back(Leave::Killed).await;
    let message = "its start was still not done when the agent came back".to_owned();
    let failed = Found::LaunchFailed { container: container("a"), message };
    assert_eq!(found, [failed, running("b", b)]);
    host.running("c", "sleep 1000").await;
    drop(fs::File::open(stdout).expect("a writer waits"));
    // It ended without a word: the next agent doesn't find it either.
    tokio::time::sleep(Duration::from_millis(300)).await;
    let (host, found) = host.comes_back(Leave::Killed).await;
    assert_eq!(found.len(), 2, "{found:?}");
    host.stop().await;
}

#[tokio::test]
async fn a_launcher_without_an_agent_ends_after_the_recovery_timeout() {
    for mut host in Host::all().await {
        host.running("a", "echo $$ > $WORK/main; sleep 1000").await;
        let main = host.process("main").await;
        let launcher = host.launcher();
        let Host { containers, events, work, .. } = host;
        drop((containers, events));
        tokio::time::sleep(Duration::from_millis(500)).await;
        assert!(is_alive(main) && is_alive(launcher), "it waits for an agent");
        gone(launcher).await;
        assert!(!is_alive(main));
        assert_eq!(left_of(&instance(work.path())), Vec::<String>::new());
        assert!(!work.path().join("launcher.sock").exists());
    }
}

#[tokio::test]
async fn the_recovery_timeout_is_that_of_the_last_agent() {
    let mut host =
        Host::start_with(|config| config.recovery_timeout = Duration::from_secs(600)).await;
    let a = host.running("a", "sleep 1000").await;
    let shorter = |config: &mut meros_agent::containerizer::ContainerizerConfig| {
        config.recovery_timeout = Duration::from_millis(300);
    };
    let (host, _) = host.replaced(Leave::Detached, async |_| {}, shorter).await;
    let launcher = host.launcher();
    host.containers.detach().await;
    gone(launcher).await;
    assert!(!is_alive(a));
}

#[tokio::test]
async fn a_work_directory_has_one_agent() {
    let mut host = Host::start().await;
    let second = Containerizer::start(config(host.work.path())).await;
    assert!(matches!(second, Err(StartError::InUse(_))), "{second:?}");
    host.running("a", "exit 6").await;
    assert_eq!(Host::exited(host.event().await).1, WaitStatus::Exited(6));
    host.stop().await;
}

#[tokio::test]
async fn a_launcher_that_does_not_start_is_an_error_with_its_own_words() {
    let work = tempfile::tempdir().expect("a temporary directory");
    let mut config = config(work.path());
    config.launcher_exe = "/nope".into();
    let error = Containerizer::start(config.clone()).await.expect_err("no such file");
    assert!(matches!(error, StartError::Spawn { .. }), "{error}");
    config.launcher_exe = "/bin/sh".into();
    config.launcher_args = vec!["-c".to_owned(), "echo out of order >&2; exit 7".to_owned()];
    let error = Containerizer::start(config.clone()).await.expect_err("it greets nobody");
    let text = error.to_string();
    assert!(text.contains("exit status: 7: out of order"), "{text}");
    assert_eq!(left_of(&instance(work.path())), Vec::<String>::new());
    config.work_dir = work.path().join("nope");
    let error = Containerizer::start(config).await.expect_err("no such directory");
    assert!(matches!(error, StartError::WorkDir { .. }), "{error}");
}
