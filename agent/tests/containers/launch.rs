//! Starts and ends, and what a task finds when it starts.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::{MetadataExt, PermissionsExt},
    time::Duration,
};

use meros_agent::containerizer::{ContainerEvent, WaitStatus};

use crate::fixture::{Host, container, exec, is_root, shell};

#[tokio::test]
async fn fifty_short_tasks_each_start_once_and_end_once() {
    for mut host in Host::all().await {
        for n in 0..50 {
            host.run(&format!("c{n}"), &format!("echo {n}; exit {}", n % 7));
        }
        let mut seen: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for _ in 0..100 {
            match host.event().await {
                ContainerEvent::Started { container, pid } => {
                    assert!(pid > 0);
                    seen.entry(container.to_string()).or_default().push("started".to_owned());
                }
                ContainerEvent::Exited { container, status, oom, .. } => {
                    assert!(!oom);
                    seen.entry(container.to_string()).or_default().push(format!("{status:?}"));
                }
                other => panic!("{other:?}"),
            }
        }
        for n in 0..50 {
            let expected = ["started".to_owned(), format!("Exited({})", n % 7)];
            assert_eq!(seen[&format!("c{n}")], expected);
            assert_eq!(host.output(&format!("c{n}")), format!("{n}\n"));
        }
        host.stop().await;
    }
}

#[tokio::test]
async fn an_end_by_signal_is_told_from_an_exit() {
    let mut host = Host::start().await;
    for (name, line, status) in [
        ("a", "kill -9 $$", WaitStatus::Signaled(9)),
        ("b", "kill -SEGV $$", WaitStatus::Signaled(11)),
        ("c", "exit 137", WaitStatus::Exited(137)),
    ] {
        host.run(name, line);
        assert_eq!(Host::started(host.event().await).0, name);
        assert_eq!(Host::exited(host.event().await), (name.to_owned(), status, false));
    }
    host.stop().await;
}

#[tokio::test]
async fn what_can_not_be_executed_is_named_with_the_reason() {
    let mut host = Host::start().await;
    fs::write(host.work.path().join("script"), "no program").expect("writable");
    let script = host.work.path().join("script").display().to_string();
    let denied = format!("exec {script}: Permission denied");
    for (name, command, message) in [
        ("a", exec(&["/nope"]), "exec /nope: No such file or directory"),
        ("b", exec(&["nope"]), "exec nope: No such file or directory"),
        ("c", exec(&[&script]), denied.as_str()),
        ("d", exec(&[]), "executable is not specified"),
    ] {
        host.containers.launch(host.spec(name, command));
        assert_eq!(Host::failed(host.event().await), (name.to_owned(), message.to_owned()));
    }
    host.stop().await;
}

#[tokio::test]
async fn a_sandbox_that_can_not_be_made_fails_the_launch() {
    let mut host = Host::start().await;
    let mut spec = host.spec("a", shell("true"));
    spec.sandbox = host.work.path().join("launcher.log/x");
    host.containers.launch(spec);
    let (_, message) = Host::failed(host.event().await);
    assert!(message.starts_with("make the sandbox ") && message.contains("Not a directory"));
    host.stop().await;
}

#[tokio::test]
async fn a_task_starts_in_its_sandbox_with_its_environment_and_nothing_else() {
    let mut host = Host::start().await;
    let mut spec = host.spec(
        "a",
        shell(
            "pwd; echo $NAME; echo err >&2; ls /proc/self/fd; umask; \
             grep -E 'SigBlk|SigIgn' /proc/self/status; cat /proc/self/oom_score_adj; \
             cut -d' ' -f1,5,6 /proc/$$/stat; readlink /proc/$$/fd/0",
        ),
    );
    spec.env.push(("NAME".to_owned(), "first".to_owned()));
    spec.env.push(("NAME".to_owned(), "last".to_owned()));
    host.containers.launch(spec);
    let (_, pid) = Host::started(host.event().await);
    assert!(Host::exited(host.event().await).1.success());
    let sandbox = host.sandbox("a").canonicalize().expect("it exists");
    let own_score = fs::read_to_string("/proc/self/oom_score_adj").expect("readable");
    let expected = format!(
        "{}\nlast\n0\n1\n2\n3\n0022\nSigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n\
         {own_score}{pid} {pid} {pid}\n/dev/null\n",
        sandbox.display()
    );
    // The fourth descriptor is that of `ls` itself.
    assert_eq!(host.output("a"), expected);
    assert_eq!(fs::read_to_string(sandbox.join("stderr")).expect("there"), "err\n");
    host.stop().await;
}

#[tokio::test]
async fn output_is_appended_and_never_follows_a_link() {
    let mut host = Host::start().await;
    let sandbox = host.sandbox("a");
    fs::create_dir_all(&sandbox).expect("writable");
    fs::write(sandbox.join("stdout"), "before\n").expect("writable");
    host.run("a", "echo after");
    Host::started(host.event().await);
    Host::exited(host.event().await);
    assert_eq!(host.output("a"), "before\nafter\n");

    let target = host.work.path().join("target");
    fs::create_dir_all(host.sandbox("b")).expect("writable");
    std::os::unix::fs::symlink(&target, host.sandbox("b").join("stderr")).expect("a link");
    host.run("b", "echo secret >&2");
    let (_, message) = Host::failed(host.event().await);
    assert!(message.ends_with("stderr: Too many levels of symbolic links"), "{message}");
    assert!(!target.exists());
    host.stop().await;
}

#[tokio::test]
async fn a_task_runs_as_the_user_that_it_names() {
    if !is_root() {
        return;
    }
    let mut host = Host::start().await;
    // A sandbox of somebody else is reached through a work directory that all may enter.
    let open = PermissionsExt::from_mode(0o755);
    fs::set_permissions(host.work.path(), open).expect("ours");
    let mut spec = host.spec("a", shell("id -un; id -u; touch made; cat /proc/self/oom_score_adj"));
    spec.user = Some("nobody".to_owned());
    host.containers.launch(spec);
    Host::started(host.event().await);
    assert!(Host::exited(host.event().await).1.success());
    assert!(host.output("a").starts_with("nobody\n65534\n"), "{}", host.output("a"));
    for file in ["", "stdout", "made"] {
        let owner = fs::metadata(host.sandbox("a").join(file)).expect("it exists").uid();
        assert_eq!(owner, 65534, "{file}");
    }
    let mut spec = host.spec("b", shell("true"));
    spec.user = Some("no-such-user-here".to_owned());
    host.containers.launch(spec);
    let failure = ("b".to_owned(), "no such user: no-such-user-here".to_owned());
    assert_eq!(Host::failed(host.event().await), failure);
    host.stop().await;
}

#[tokio::test]
async fn a_start_that_takes_too_long_is_given_up_and_does_not_hold_up_others() {
    let mut host = Host::start_with(|config| {
        config.start_deadline = Duration::from_millis(300);
    })
    .await;
    // Nobody reads this FIFO, so opening it to write waits for ever.
    let stdout = |name: &str| host.sandbox(name).join("stdout");
    for name in ["a", "b"] {
        fs::create_dir_all(host.sandbox(name)).expect("writable");
        let made = std::process::Command::new("mkfifo").arg(stdout(name)).status();
        assert!(made.expect("mkfifo").success());
        host.run(name, "true");
    }
    host.run("c", "true");
    for _ in 0..2 {
        let (_, message) = Host::failed(host.event().await);
        assert_eq!(message, "start in time: Connection timed out");
    }
    assert_eq!(Host::started(host.event().await).0, "c");
    assert_eq!(Host::exited(host.event().await).0, "c");
    // What gets unstuck afterwards is ended without a word.
    for name in ["a", "b"] {
        drop(fs::File::open(host.sandbox(name).join("stdout")).expect("a writer waits"));
    }
    host.run("d", "true");
    assert_eq!(Host::started(host.event().await).0, "d");
    assert_eq!(Host::exited(host.event().await).0, "d");
    host.stop().await;
}

#[tokio::test]
async fn a_container_that_runs_is_not_launched_again() {
    let mut host = Host::start().await;
    host.run("a", "sleep 1000");
    Host::started(host.event().await);
    host.run("a", "true");
    host.containers.kill(container("a"), Duration::ZERO);
    let end = Host::exited(host.event().await);
    assert_eq!(end, ("a".to_owned(), WaitStatus::Signaled(9), false));
    host.stop().await;
}
