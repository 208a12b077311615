//! Another build takes the launcher's place, in its process, under running tasks.

use std::{collections::BTreeMap, fs, os::unix::fs::PermissionsExt, path::PathBuf, time::Duration};

use meros_agent::containerizer::{ContainerEvent, Found, WaitStatus};

use crate::fixture::{Host, Leave, container, eventually, exec, is_alive};

/// A copy of the launcher: to the agent another build.
fn copy_of_launcher(host: &Host) -> PathBuf {
    let copy = host.work.path().join("launcher-copy");
    fs::copy(env!("CARGO_BIN_EXE_meros-test-launcher"), &copy).expect("writable");
    copy
}

fn executable(pid: i32) -> PathBuf {
    fs::read_link(format!("/proc/{pid}/exe")).expect("it runs")
}

async fn upgraded(launcher: i32, exe: &PathBuf) {
    eventually(|| (executable(launcher) == *exe).then_some(())).await;
}

#[tokio::test]
async fn nothing_is_lost_or_told_twice_when_the_launcher_is_upgraded_under_its_tasks() {
    for mut host in Host::all().await {
        let wait = "while ! [ -e $WORK/go ]; do sleep 0.2; done";
        for n in 0..200 {
            host.run(&format!("c{n:03}"), &format!("{wait}; exit {}", n % 7));
        }
        let mut pids = BTreeMap::new();
        for _ in 0..200 {
            let (name, pid) = Host::started(host.event().await);
            pids.insert(name, pid);
        }
        host.running("over", "exit 9").await;
        Host::exited(host.event().await);
        host.containers.launch(host.spec("failed", exec(&["/nope"])));
        Host::failed(host.event().await);
        let (launcher, copy) = (host.launcher(), copy_of_launcher(&host));
        let to_copy = |config: &mut meros_agent::containerizer::ContainerizerConfig| {
            config.launcher_exe = copy.clone();
        };
        let (mut host, found) = host.replaced(Leave::Killed, async |_| {}, to_copy).await;
        assert_eq!(found.len(), 202);
        assert_eq!(host.launcher(), launcher);
        // While it is under way: launches, a kill, an end.
        for n in 0..60 {
            host.run(&format!("n{n:02}"), &format!("exit {}", n % 5));
        }
        host.containers.kill(container("c007"), Duration::from_secs(60));
        host.containers.forget(container("over"));
        let mut seen: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for _ in 0..121 {
            match host.event().await {
                ContainerEvent::Started { container, .. } => {
                    seen.entry(container.to_string()).or_default().push("started".to_owned());
                }
                ContainerEvent::Exited { container, status, .. } => {
                    seen.entry(container.to_string()).or_default().push(format!("{status:?}"));
                }
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(seen.remove("c007"), Some(vec!["Signaled(15)".to_owned()]));
        for n in 0..60 {
            let expected = ["started".to_owned(), format!("Exited({})", n % 5)];
            assert_eq!(seen[&format!("n{n:02}")], expected);
        }
        upgraded(launcher, &copy).await;
        assert!(pids.iter().all(|(name, pid)| name == "c007" || is_alive(*pid)));
        fs::write(host.work.path().join("go"), "").expect("writable");
        let mut ends = BTreeMap::new();
        for _ in 0..199 {
            let (name, status, _) = Host::exited(host.event().await);
            assert_eq!(ends.insert(name, status), None);
        }
        for n in (0..200).filter(|n| *n != 7) {
            assert_eq!(ends[&format!("c{n:03}")], WaitStatus::Exited(n % 7));
        }
        let (host, found) = host.comes_back(Leave::Detached).await;
        assert_eq!(found.len(), 261, "all but the one that was forgotten");
        host.stop().await;
    }
}

#[tokio::test]
async fn a_grace_goes_on_over_an_upgrade() {
    let mut host = Host::start().await;
    host.running("a", "trap '' TERM; echo $$ > $WORK/main; while :; do sleep 1; done").await;
    host.process("main").await;
    let (launcher, copy) = (host.launcher(), copy_of_launcher(&host));
    let asked = std::time::Instant::now();
    host.containers.kill(container("a"), Duration::from_millis(1500));
    let to_copy = |config: &mut meros_agent::containerizer::ContainerizerConfig| {
        config.launcher_exe = copy.clone();
    };
    let (mut host, found) = host.replaced(Leave::Detached, async |_| {}, to_copy).await;
    assert!(matches!(found.as_slice(), [Found::Running { .. }]), "{found:?}");
    upgraded(launcher, &copy).await;
    assert_eq!(Host::exited(host.event().await).1, WaitStatus::Signaled(9));
    assert!(asked.elapsed() >= Duration::from_millis(1400), "{:?}", asked.elapsed());
    host.stop().await;
}

#[tokio::test]
async fn the_memory_of_tasks_is_watched_after_an_upgrade_too() {
    let mut host = Host::start().await;
    if !crate::fixture::is_root() || !host.containers.isolation_notices().is_empty() {
        return host.stop().await;
    }
    let greedy = "while ! [ -e $WORK/go ]; do sleep 0.01; done; \
                  sh -c 'x=0123456789abcdef; while :; do x=$x$x; done'; sleep 1000";
    let mut spec = host.spec("a", crate::fixture::shell(greedy));
    spec.limits.mem_bytes = Some(48 << 20);
    host.containers.launch(spec);
    Host::started(host.event().await);
    let (launcher, copy) = (host.launcher(), copy_of_launcher(&host));
    let to_copy = |config: &mut meros_agent::containerizer::ContainerizerConfig| {
        config.launcher_exe = copy.clone();
    };
    let (mut host, _) = host.replaced(Leave::Killed, async |_| {}, to_copy).await;
    upgraded(launcher, &copy).await;
    let score = fs::read_to_string("/proc/self/oom_score_adj").expect("readable");
    host.run("b", "cat /proc/self/oom_score_adj");
    Host::started(host.event().await);
    Host::exited(host.event().await);
    assert_eq!(host.output("b"), score);
    fs::write(host.work.path().join("go"), "").expect("writable");
    let end = Host::exited(host.event().await);
    assert_eq!(end, ("a".to_owned(), WaitStatus::Signaled(9), true));
    host.stop().await;
}

#[tokio::test]
async fn a_program_that_can_not_take_its_place_leaves_the_launcher_as_it_is() {
    let mut host = Host::start().await;
    let a = host.running("a", "while ! [ -e $WORK/go ]; do sleep 0.01; done; exit 7").await;
    let (launcher, before) = (host.launcher(), executable(host.launcher()));
    let script = |name: &str, line: &str| {
        let path = host.work.path().join(name);
        fs::write(&path, format!("#!/bin/sh\n{line}\n")).expect("writable");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("ours");
        path
    };
    // One that can't read its state; and one that says it can, and can't be executed when it counts.
    let refuses = script("refuses", "exit 1");
    let vanishes = script("vanishes", "case $1 in --can-read) rm \"$0\"; exit 0; esac; exit 1");
    let mut host = host;
    for exe in [refuses, vanishes] {
        let change = |config: &mut meros_agent::containerizer::ContainerizerConfig| {
            config.launcher_exe = exe.clone();
        };
        let (again, found) = host.replaced(Leave::Detached, async |_| {}, change).await;
        host = again;
        assert_eq!(found, [Found::Running { container: container("a"), pid: a }]);
        assert_eq!((host.launcher(), executable(launcher)), (launcher, before.clone()));
        host.running(&format!("b-{}", exe.file_name().expect("a name").display()), "sleep 1000")
            .await;
        let named = format!("b-{}", exe.file_name().expect("a name").display());
        host.containers.kill(container(&named), Duration::ZERO);
        Host::exited(host.event().await);
        host.containers.forget(container(&named));
    }
    fs::write(host.work.path().join("go"), "").expect("writable");
    assert_eq!(Host::exited(host.event().await).1, WaitStatus::Exited(7));
    host.stop().await;
}

#[tokio::test]
async fn a_program_that_fails_in_its_place_is_a_launcher_that_died() {
    for mut host in Host::all().await {
        host.running("a", "while ! [ -e $WORK/go ]; do sleep 0.01; done; exit 7").await;
        let launcher = host.launcher();
        let path = host.work.path().join("fails");
        let exe = env!("CARGO_BIN_EXE_meros-test-launcher");
        let lines = format!(
            "#!/bin/sh\ncase \"$*\" in *--resume*) exit 1;; --can-read*) exit 0;; esac\nexec {exe} \"$@\"\n"
        );
        fs::write(&path, lines).expect("writable");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("ours");
        let change = |config: &mut meros_agent::containerizer::ContainerizerConfig| {
            config.launcher_exe = path.clone();
        };
        let (mut host, found) = host.replaced(Leave::Detached, async |_| {}, change).await;
        assert!(matches!(found.as_slice(), [Found::Running { .. }]), "{found:?}");
        eventually(|| (!is_alive(launcher)).then_some(())).await;
        host.running("b", "exit 2").await;
        assert_eq!(Host::exited(host.event().await).1, WaitStatus::Exited(2));
        fs::write(host.work.path().join("go"), "").expect("writable");
        let status = Host::exited(host.event().await).1;
        assert!([WaitStatus::Exited(7), WaitStatus::Unknown].contains(&status), "{status:?}");
        host.stop().await;
    }
}

#[tokio::test]
async fn a_start_that_is_stuck_puts_an_upgrade_off() {
    let mut host = Host::start_with(|config| {
        config.start_deadline = Duration::from_millis(500);
    })
    .await;
    let stdout = host.sandbox("a").join("stdout");
    fs::create_dir_all(host.sandbox("a")).expect("writable");
    assert!(std::process::Command::new("mkfifo").arg(&stdout).status().expect("runs").success());
    host.run("a", "true");
    let failed = Host::failed(host.event().await);
    assert_eq!(failed.1, "start in time: Connection timed out");
    host.containers.forget(container("a"));
    let (launcher, before) = (host.launcher(), executable(host.launcher()));
    let copy = copy_of_launcher(&host);
    let to_copy = |config: &mut meros_agent::containerizer::ContainerizerConfig| {
        config.launcher_exe = copy.clone();
    };
    let (mut host, found) = host.replaced(Leave::Detached, async |_| {}, to_copy).await;
    assert_eq!(found, []);
    host.running("b", "exit 1").await;
    Host::exited(host.event().await);
    assert_eq!(executable(launcher), before);
    drop(fs::File::open(&stdout).expect("a writer waits"));
    // The next agent asks again.
    let (host, _) = host.comes_back(Leave::Killed).await;
    upgraded(launcher, &copy).await;
    host.stop().await;
}
