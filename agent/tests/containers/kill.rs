//! Kills: the whole tree, in time, and nobody else.

use std::time::{Duration, Instant};

use meros_agent::containerizer::WaitStatus;

use crate::fixture::{Host, container, eventually, is_alive};

/// A task whose processes ignore SIGTERM: itself, a child, and a grandchild in a session of its own
/// whose parent is gone.
const STUBBORN: &str = "trap '' TERM; \
    (echo $BASHPID; sh -c 'echo $$ > $WORK/child; sleep 1000; true') & \
    (setsid sh -c 'echo $$ > $WORK/grandchild; sleep 1000; true' &) ; \
    echo $$ > $WORK/main; sleep 1000; wait";

#[tokio::test]
async fn a_tree_that_ignores_sigterm_is_killed_after_the_grace() {
    for mut host in Host::all().await {
        host.run("a", STUBBORN);
        host.run("b", "echo $$ > $WORK/other; sleep 1000");
        Host::started(host.event().await);
        Host::started(host.event().await);
        let mut tree = Vec::new();
        for file in ["main", "child", "grandchild"] {
            tree.push(host.process(file).await);
        }
        let other = host.process("other").await;
        let asked = Instant::now();
        host.containers.kill(container("a"), Duration::from_millis(400));
        let end = Host::exited(host.event().await);
        assert_eq!(end, ("a".to_owned(), WaitStatus::Signaled(9), false));
        assert!(asked.elapsed() >= Duration::from_millis(400), "{:?}", asked.elapsed());
        for pid in tree {
            assert!(!is_alive(pid), "{pid} lives");
        }
        assert!(is_alive(other));
        host.stop().await;
    }
}

#[tokio::test]
async fn sigterm_reaches_every_process_and_a_task_that_obeys_ends_at_once() {
    for mut host in Host::all().await {
        host.run(
            "a",
            "trap 'echo main; exit 3' TERM; \
             sh -c 'trap \"echo child; exit 0\" TERM; echo $$ > $WORK/child; \
             while true; do sleep 0.05; done' & \
             wait; wait",
        );
        Host::started(host.event().await);
        host.process("child").await;
        let asked = Instant::now();
        host.containers.kill(container("a"), Duration::from_secs(60));
        let end = Host::exited(host.event().await);
        assert!(asked.elapsed() < Duration::from_secs(10));
        assert_eq!(end, ("a".to_owned(), WaitStatus::Exited(3), false));
        assert!(host.output("a").contains("main"));
        host.stop().await;
    }
}

#[tokio::test]
async fn what_a_task_leaves_behind_is_ended_before_its_end_is_told() {
    for mut host in Host::all().await {
        host.run(
            "a",
            "sleep 1000 & echo $! > $WORK/group; \
             (setsid sh -c 'echo $$ > $WORK/session; sleep 1000; true' &); \
             while ! [ -s $WORK/session ]; do sleep 0.01; done; exit 5",
        );
        Host::started(host.event().await);
        let end = Host::exited(host.event().await);
        assert_eq!(end, ("a".to_owned(), WaitStatus::Exited(5), false));
        for file in ["group", "session"] {
            let pid = host.process(file).await;
            assert!(!is_alive(pid), "{file} lives");
        }
        host.stop().await;
    }
}

#[tokio::test]
async fn a_later_kill_shortens_the_grace_and_never_lengthens_it() {
    let mut host = Host::start().await;
    for (name, first, second) in [("a", 60_000, 100), ("b", 100, 60_000), ("c", 60_000, 0)] {
        host.run(name, &format!("trap '' TERM; echo $$ > $WORK/{name}; while :; do sleep 1; done"));
        Host::started(host.event().await);
        host.process(name).await;
        let asked = Instant::now();
        host.containers.kill(container(name), Duration::from_millis(first));
        host.containers.kill(container(name), Duration::from_millis(second));
        let end = Host::exited(host.event().await);
        assert_eq!(end, (name.to_owned(), WaitStatus::Signaled(9), false));
        assert!(asked.elapsed() < Duration::from_secs(10));
    }
    host.stop().await;
}

#[tokio::test]
async fn a_kill_that_overtakes_the_start_is_never_lost() {
    for mut host in Host::all().await {
        for n in 0..100 {
            host.run(&format!("c{n}"), "sleep 1000");
            if n % 3 == 0 {
                tokio::task::yield_now().await;
            }
            host.containers.kill(container(&format!("c{n}")), Duration::from_secs(30));
        }
        let mut open = 100;
        while open > 0 {
            use meros_agent::containerizer::ContainerEvent;
            match host.event().await {
                ContainerEvent::Started { .. } => {}
                ContainerEvent::LaunchFailed { message, .. } => {
                    assert_eq!(message, "killed before it was started");
                    open -= 1;
                }
                ContainerEvent::Exited { status, .. } => {
                    assert_eq!(status, WaitStatus::Signaled(15));
                    open -= 1;
                }
                ContainerEvent::LauncherLost => panic!("lost"),
            }
        }
        // Unknown by now: nothing happens.
        host.containers.kill(container("c0"), Duration::ZERO);
        host.stop().await;
    }
}

#[tokio::test]
async fn stop_ends_everything_even_what_never_stops_to_fork() {
    for mut host in Host::all().await {
        host.run("a", STUBBORN);
        // Restarts itself over and over: whoever looks twice finds another process.
        host.run(
            "b",
            "trap '' TERM; echo $$ > $WORK/b; while :; do sh -c 'trap \"\" TERM; sleep 0.02'; done",
        );
        Host::started(host.event().await);
        Host::started(host.event().await);
        for file in ["main", "child", "grandchild", "b"] {
            host.process(file).await;
        }
        host.stop().await;
    }
}

#[tokio::test]
async fn orphans_of_one_task_do_not_end_with_another() {
    let mut host = Host::start_with(|config| config.cgroups = false).await;
    host.run("a", "(setsid sh -c 'echo $$ > $WORK/orphan; sleep 1000; true' &); sleep 1000");
    Host::started(host.event().await);
    let orphan = host.process("orphan").await;
    // It is the launcher's child by now.
    let stat = format!("/proc/{orphan}/stat");
    eventually(|| {
        let stat = std::fs::read_to_string(&stat).ok()?;
        let parent = stat.rsplit_once(')')?.1.split_ascii_whitespace().nth(1)?.to_owned();
        let name = std::fs::read_to_string(format!("/proc/{parent}/comm")).ok()?;
        name.starts_with("meros-test").then_some(())
    })
    .await;
    host.run("b", "exit 0");
    Host::started(host.event().await);
    Host::exited(host.event().await);
    assert!(is_alive(orphan));
    host.containers.kill(container("a"), Duration::ZERO);
    Host::exited(host.event().await);
    assert!(!is_alive(orphan));
    host.stop().await;
}
