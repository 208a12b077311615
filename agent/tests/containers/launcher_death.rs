//! The launcher dies. Its tasks don't, and are followed without it.

use std::{fs, path::Path, time::Duration};

use meros_agent::containerizer::{ContainerEvent, Found, WaitStatus};

use crate::fixture::{Host, Leave, container, eventually, gone, is_alive, is_root, kill, shell};

/// Linux 6.15 and later keep the exit status of a process for those who hold it.
fn kernel_keeps_status() -> bool {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").expect("readable");
    let numbers: Vec<u32> = release.split('.').map_while(|part| part.parse().ok()).collect();
    numbers.as_slice() >= &[6, 15][..]
}

/// As it is told where the kernel keeps it.
#[track_caller]
fn assert_ended(event: ContainerEvent, name: &str, expected: WaitStatus) {
    let (container, status, oom) = Host::exited(event);
    assert_eq!((container.as_str(), oom), (name, false));
    if kernel_keeps_status() {
        assert_eq!(status, expected, "{name}");
    } else {
        assert!(status == expected || status == WaitStatus::Unknown, "{name}: {status:?}");
    }
}

async fn another_launcher(host: &Host, than: i32) {
    eventually(|| {
        let noted = fs::read_to_string(host.work.path().join("launcher.pid")).ok()?;
        let pid: i32 = noted.split(' ').next()?.parse().ok()?;
        (pid != than && is_alive(pid)).then_some(())
    })
    .await;
}

#[tokio::test]
async fn tasks_outlive_their_launcher_and_their_ends_are_told_as_they_were() {
    for mut host in Host::all().await {
        let wait = "while ! [ -e $WORK/go ]; do sleep 0.01; done";
        let a = host.running("a", &format!("{wait}; exit 7")).await;
        host.running("b", &format!("{wait}; kill -9 $$")).await;
        host.running(
            "c",
            &format!(
                "(setsid sh -c 'echo $$ > $WORK/far; sleep 1000; true' &); \
                 sleep 1000 & echo $! > $WORK/near; {wait}; exit 0"
            ),
        )
        .await;
        host.process("far").await;
        host.process("near").await;
        let launcher = host.launcher();
        kill(launcher);
        another_launcher(&host, launcher).await;
        assert!(is_alive(a));
        host.running("new", "exit 5").await;
        assert_eq!(Host::exited(host.event().await).1, WaitStatus::Exited(5));
        fs::write(host.work.path().join("go"), "").expect("writable");
        let mut ends = Vec::new();
        for _ in 0..3 {
            ends.push(host.event().await);
        }
        ends.sort_by_key(|end| format!("{end:?}"));
        let [a, b, c] = <[ContainerEvent; 3]>::try_from(ends).expect("three");
        assert_ended(a, "a", WaitStatus::Exited(7));
        assert_ended(b, "b", WaitStatus::Signaled(9));
        assert_ended(c, "c", WaitStatus::Exited(0));
        // What the task left behind is gone too: stop() looks for it.
        for file in ["far", "near"] {
            let pid = host.process(file).await;
            assert!(!is_alive(pid), "{file} lives");
        }
        host.stop().await;
    }
}

#[tokio::test]
async fn a_task_without_a_launcher_is_killed_after_its_grace() {
    for mut host in Host::all().await {
        host.running(
            "stubborn",
            "trap '' TERM; (setsid sh -c 'trap \"\" TERM; echo $$ > $WORK/far; sleep 1000; true' &); \
             echo $$ > $WORK/main; while :; do sleep 1; done",
        )
        .await;
        host.running(
            "obedient",
            "trap 'exit 3' TERM; echo $$ > $WORK/ob; while :; do sleep 0.05; done",
        )
        .await;
        for file in ["main", "far", "ob"] {
            host.process(file).await;
        }
        let launcher = host.launcher();
        kill(launcher);
        another_launcher(&host, launcher).await;
        host.containers.kill(container("obedient"), Duration::from_secs(60));
        assert_ended(host.event().await, "obedient", WaitStatus::Exited(3));
        let asked = std::time::Instant::now();
        host.containers.kill(container("stubborn"), Duration::from_secs(60));
        host.containers.kill(container("stubborn"), Duration::from_millis(300));
        assert_ended(host.event().await, "stubborn", WaitStatus::Signaled(9));
        assert!(asked.elapsed() >= Duration::from_millis(300), "{:?}", asked.elapsed());
        host.stop().await;
    }
}

#[tokio::test]
async fn a_kill_that_was_under_way_is_brought_to_its_end() {
    for mut host in Host::all().await {
        host.running("a", "trap '' TERM; echo $$ > $WORK/main; while :; do sleep 1; done").await;
        host.process("main").await;
        host.containers.kill(container("a"), Duration::from_millis(500));
        kill(host.launcher());
        assert_ended(host.event().await, "a", WaitStatus::Signaled(9));
        host.stop().await;
    }
}

#[tokio::test]
async fn stop_ends_tasks_without_a_launcher_too() {
    for mut host in Host::all().await {
        host.running("a", "trap '' TERM; echo $$ > $WORK/main; while :; do sleep 1; done").await;
        host.process("main").await;
        let launcher = host.launcher();
        kill(launcher);
        another_launcher(&host, launcher).await;
        host.running("b", "sleep 1000").await;
        host.stop().await;
    }
}

#[tokio::test]
async fn launches_that_the_launcher_died_over_either_run_or_failed() {
    for mut host in Host::all().await {
        for n in 0..100 {
            host.run(&format!("c{n}"), &format!("echo $$ > $WORK/c{n}; sleep 1000"));
        }
        Host::started(host.event().await);
        kill(host.launcher());
        let (mut started, mut failed) = (1, 0);
        while started + failed < 100 {
            match host.event().await {
                ContainerEvent::Started { pid, .. } => {
                    assert!(is_alive(pid));
                    started += 1;
                }
                ContainerEvent::LaunchFailed { message, .. } => {
                    assert_eq!(message, "the launcher was lost before it started");
                    failed += 1;
                }
                // Past the point of no return, it saw that its launcher was gone.
                ContainerEvent::Exited { status, .. } => {
                    assert_eq!(status, WaitStatus::Exited(127));
                }
                other => panic!("{other:?}"),
            }
        }
        host.running("new", "sleep 1000").await;
        host.stop().await;
    }
}

#[tokio::test]
async fn tasks_are_followed_after_agent_and_launcher_died() {
    for leave in [Leave::Killed, Leave::Detached] {
        for mut host in Host::all().await {
            let a = host.running("a", "while ! [ -e $WORK/go ]; do sleep 0.01; done; exit 7").await;
            let b = host
                .running(
                    "b",
                    "(setsid sh -c 'echo $$ > $WORK/far; sleep 1000; true' &); \
                     while ! [ -s $WORK/far ]; do sleep 0.01; done; sleep 1000",
                )
                .await;
            host.process("far").await;
            let c = host.running("c", "sleep 1000").await;
            let launcher = host.launcher();
            let meanwhile = async |_: &Path| {
                kill(launcher);
                gone(launcher).await;
                kill(c);
                gone(c).await;
            };
            let (mut host, found) = host.replaced(leave, meanwhile, |_| {}).await;
            let running = |name, pid| Found::Running { container: container(name), pid };
            assert_eq!(found, [running("a", a), running("b", b)]);
            assert_ne!(host.launcher(), launcher);
            fs::write(host.work.path().join("go"), "").expect("writable");
            assert_ended(host.event().await, "a", WaitStatus::Exited(7));
            // Once more without a launcher that knows it, then killed.
            let (again, found) = host.comes_back(leave).await;
            host = again;
            assert_eq!(found, [running("b", b)]);
            host.containers.kill(container("b"), Duration::from_secs(60));
            assert_ended(host.event().await, "b", WaitStatus::Signaled(15));
            host.stop().await;
        }
    }
}

#[tokio::test]
async fn the_memory_of_a_task_without_a_launcher_is_judged() {
    let mut host = Host::start().await;
    if !is_root() || !host.containers.isolation_notices().is_empty() {
        return host.stop().await;
    }
    let greedy = "while ! [ -e $WORK/go ]; do sleep 0.01; done; \
                  sh -c 'x=0123456789abcdef; while :; do x=$x$x; done'; exit 9";
    let mut spec = host.spec("a", shell(greedy));
    spec.limits.mem_bytes = Some(48 << 20);
    host.containers.launch(spec);
    Host::started(host.event().await);
    let launcher = host.launcher();
    kill(launcher);
    another_launcher(&host, launcher).await;
    fs::write(host.work.path().join("go"), "").expect("writable");
    match host.event().await {
        ContainerEvent::Exited { oom, mem_peak_bytes, .. } => {
            assert!(oom);
            assert!(mem_peak_bytes.is_some_and(|peak| peak >= 40 << 20), "{mem_peak_bytes:?}");
        }
        other => panic!("{other:?}"),
    }
    host.stop().await;
}

#[tokio::test]
async fn a_launcher_that_does_not_answer_is_replaced() {
    let mut host = Host::start().await;
    let a = host.running("a", "while ! [ -e $WORK/go ]; do sleep 0.01; done; exit 7").await;
    let launcher = host.launcher();
    let meanwhile = async |_: &Path| {
        let pid = rustix::process::Pid::from_raw(launcher).expect("not 0");
        rustix::process::kill_process(pid, rustix::process::Signal::STOP).expect("it lives");
    };
    let (mut host, found) = host.replaced(Leave::Killed, meanwhile, |_| {}).await;
    assert_eq!(found, [Found::Running { container: container("a"), pid: a }]);
    assert!(!is_alive(launcher));
    fs::write(host.work.path().join("go"), "").expect("writable");
    assert_ended(host.event().await, "a", WaitStatus::Exited(7));
    host.stop().await;
}

/// Ends the stream between this process, the agent, and a launcher, which both live on.
fn cut(launcher: i32) {
    use rustix::process::{PidfdFlags, PidfdGetfdFlags};
    let own = rustix::process::pidfd_open(rustix::process::getpid(), PidfdFlags::empty());
    let own = own.expect("we live");
    let mut cut = 0;
    for fd in 3..1000 {
        let Ok(fd) = rustix::process::pidfd_getfd(&own, fd, PidfdGetfdFlags::empty()) else {
            continue;
        };
        let peer = rustix::net::sockopt::socket_peercred(&fd);
        if peer.is_ok_and(|peer| peer.pid.as_raw_nonzero().get() == launcher)
            && rustix::net::shutdown(&fd, rustix::net::Shutdown::Both).is_ok()
        {
            cut += 1;
        }
    }
    assert_eq!(cut, 1);
}

#[tokio::test]
async fn a_stream_that_breaks_is_made_anew_to_the_launcher_that_lives() {
    for host in Host::all().await {
        // Taken over, so that the kernel names the launcher as the other end.
        let (mut host, _) = host.comes_back(Leave::Detached).await;
        let launcher = host.launcher();
        host.running("a", "while ! [ -e $WORK/go ]; do sleep 0.01; done; exit 7").await;
        host.running("b", "trap '' TERM; echo $$ > $WORK/main; while :; do sleep 1; done").await;
        host.process("main").await;
        host.containers.kill(container("b"), Duration::from_millis(700));
        for n in 0..50 {
            host.run(&format!("c{n}"), "sleep 1000");
        }
        Host::started(host.event().await);
        cut(launcher);
        let (mut answered, mut ended) = (1, 0);
        while answered < 50 || ended < 1 {
            match host.event().await {
                ContainerEvent::Started { .. } => answered += 1,
                ContainerEvent::LaunchFailed { message, .. } => {
                    assert_eq!(message, "the launcher was lost before it started");
                    answered += 1;
                }
                end => {
                    let end = Host::exited(end);
                    assert_eq!(end, ("b".to_owned(), WaitStatus::Signaled(9), false));
                    ended += 1;
                }
            }
        }
        assert_eq!(host.launcher(), launcher);
        fs::write(host.work.path().join("go"), "").expect("writable");
        let end = Host::exited(host.event().await);
        assert_eq!(end, ("a".to_owned(), WaitStatus::Exited(7), false));
        host.stop().await;
    }
}

fn terminate(pid: i32) {
    let pid = rustix::process::Pid::from_raw(pid).expect("not 0");
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).expect("it lives");
}

#[tokio::test]
async fn a_launcher_that_is_told_to_end_ends_its_tasks_and_is_replaced() {
    for mut host in Host::all().await {
        host.running("a", "sleep 1000").await;
        let launcher = host.launcher();
        terminate(launcher);
        let end = Host::exited(host.event().await);
        assert_eq!(end, ("a".to_owned(), WaitStatus::Signaled(15), false));
        another_launcher(&host, launcher).await;
        host.running("b", "exit 1").await;
        Host::exited(host.event().await);
        host.stop().await;
    }
}

#[tokio::test]
async fn an_agent_that_comes_back_while_its_launcher_is_ending_hears_it_to_the_end() {
    for mut host in Host::all().await {
        host.running("a", "trap '' TERM; echo $$ > $WORK/main; while :; do sleep 1; done").await;
        host.process("main").await;
        let launcher = host.launcher();
        let meanwhile = async |_: &Path| {
            terminate(launcher);
            tokio::time::sleep(Duration::from_millis(100)).await;
        };
        let (mut host, found) = host.replaced(Leave::Killed, meanwhile, |_| {}).await;
        let status = WaitStatus::Signaled(9);
        let (container, oom, mem_peak_bytes) = (container("a"), false, None);
        assert_eq!(found, [Found::Exited { container, status, oom, mem_peak_bytes }]);
        assert_ne!(host.launcher(), launcher);
        host.running("b", "exit 1").await;
        Host::exited(host.event().await);
        host.stop().await;
    }
}

#[tokio::test]
async fn an_agent_that_can_get_no_launcher_says_so_once_and_leaves_nothing() {
    let mut host = Host::start_with(|config| {
        // The first start succeeds, later ones don't.
        let once = config.work_dir.join("once");
        let exe = config.launcher_exe.display().to_string();
        config.launcher_exe = "/bin/sh".into();
        config.launcher_args = vec![
            "-c".to_owned(),
            format!("mkdir {} || exit 9; exec {exe} \"$@\"", once.display()),
            "launcher".to_owned(),
        ];
    })
    .await;
    host.running("a", "echo $$ > $WORK/main; sleep 1000").await;
    let main = host.process("main").await;
    kill(host.launcher());
    assert_eq!(host.event().await, ContainerEvent::LauncherLost);
    assert!(!is_alive(main));
    assert_eq!(host.events.recv().await, None);
    // Nothing is there to be stopped, which takes no time.
    host.containers.stop().await;
    let instance = crate::fixture::instance(host.work.path());
    assert_eq!(crate::fixture::left_of(&instance), Vec::<String>::new());
}
