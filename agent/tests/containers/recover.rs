//! What becomes of tasks when the agent or the launcher goes without a word.

use std::{fs, path::Path, time::Duration};

use meros_agent::containerizer::{ContainerEvent, Containerizer, StartError};

use crate::fixture::{Host, config, eventually, instance, is_alive, left_of};

fn launcher_pid(work_dir: &Path) -> i32 {
    let noted = fs::read_to_string(work_dir.join("launcher.pid")).expect("the launcher runs");
    noted.split(' ').next().and_then(|pid| pid.parse().ok()).expect("a number")
}

fn kill(pid: i32) {
    let pid = rustix::process::Pid::from_raw(pid).expect("not 0");
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).expect("it lives");
}

#[tokio::test]
async fn a_launcher_that_dies_is_told_once_and_its_tasks_do_not_outlive_it() {
    for mut host in Host::all().await {
        host.run(
            "a",
            "echo $$ > $WORK/main; (setsid sh -c 'echo $$ > $WORK/far; sleep 1000' &); sleep 1000",
        );
        Host::started(host.event().await);
        let (main, far) = (host.process("main").await, host.process("far").await);
        kill(launcher_pid(host.work.path()));
        assert_eq!(host.event().await, ContainerEvent::LauncherLost);
        assert!(!is_alive(main) && !is_alive(far));
        assert_eq!(host.events.recv().await, None);
        // Nothing is there to be stopped, which takes no time.
        host.containers.stop().await;
        assert_eq!(left_of(&instance(host.work.path())), Vec::<String>::new());
    }
}

#[tokio::test]
async fn an_agent_that_comes_back_ends_what_the_one_before_left() {
    for host in Host::all().await {
        let mut host = host;
        host.run("a", "echo $$ > $WORK/main; sleep 1000");
        Host::started(host.event().await);
        let main = host.process("main").await;
        let first = launcher_pid(host.work.path());
        let Host { containers, events, work, .. } = host;
        // The agent's death: the stream to the launcher closes.
        drop((containers, events));
        let config = config(work.path());
        let (containers, events) = Containerizer::start(config).await.expect("it starts");
        assert!(!is_alive(main) && !is_alive(first));
        assert_ne!(launcher_pid(work.path()), first);
        drop(events);
        containers.stop().await;
        assert_eq!(left_of(&instance(work.path())), Vec::<String>::new());
    }
}

#[tokio::test]
async fn an_agent_that_comes_back_ends_what_a_dead_launcher_left() {
    for host in Host::all().await {
        let mut host = host;
        host.run("a", "echo $$ > $WORK/main; sleep 1000");
        Host::started(host.event().await);
        let main = host.process("main").await;
        let launcher = launcher_pid(host.work.path());
        let Host { containers, events, work, .. } = host;
        drop((containers, events));
        kill(launcher);
        eventually(|| (!is_alive(launcher)).then_some(())).await;
        assert!(is_alive(main));
        let config = config(work.path());
        let (containers, _events) = Containerizer::start(config).await.expect("it starts");
        assert!(!is_alive(main));
        containers.stop().await;
    }
}

#[tokio::test]
async fn a_launcher_without_an_agent_ends_after_the_recovery_timeout() {
    for host in Host::all().await {
        let mut host = host;
        host.run("a", "echo $$ > $WORK/main; sleep 1000");
        Host::started(host.event().await);
        let main = host.process("main").await;
        let launcher = launcher_pid(host.work.path());
        let Host { containers, events, work, .. } = host;
        drop((containers, events));
        tokio::time::sleep(Duration::from_millis(500)).await;
        assert!(is_alive(main) && is_alive(launcher), "it waits for an agent");
        eventually(|| (!is_alive(launcher)).then_some(())).await;
        assert!(!is_alive(main));
        assert_eq!(left_of(&instance(work.path())), Vec::<String>::new());
        assert!(!work.path().join("launcher.sock").exists());
    }
}

#[tokio::test]
async fn a_work_directory_has_one_agent() {
    let host = Host::start().await;
    let second = Containerizer::start(config(host.work.path())).await;
    assert!(matches!(second, Err(StartError::InUse(_))), "{second:?}");
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
