//! Limits by cgroups. Where the host has none, or we are not root, the agent says so instead.

use std::{fs, path::PathBuf, time::Duration};

use meros_agent::containerizer::{ContainerEvent, Limits, WaitStatus};

use crate::fixture::{Host, container, instance, is_root, shell};

/// Where a controller's files of a task are, v1 or v2.
fn group(host: &Host, controller: &str, task: &str) -> Option<PathBuf> {
    let below = format!("meros/{}/{task}", instance(host.work.path()));
    let found = [format!("/sys/fs/cgroup/{controller}"), "/sys/fs/cgroup".to_owned()];
    found.iter().map(|mount| PathBuf::from(mount).join(&below)).find(|dir| dir.exists())
}

#[tokio::test]
async fn without_cgroups_the_agent_says_what_it_can_not_isolate() {
    let host = Host::start_with(|config| config.cgroups = false).await;
    let notices = host.containers.isolation_notices();
    assert_eq!(notices.len(), 1, "{notices:?}");
    assert!(notices[0].contains("not limited in CPU and memory"));
    host.stop().await;
}

#[tokio::test]
async fn a_task_gets_its_share_of_cpu_and_its_memory_limit() {
    let mut host = Host::start_with(|config| config.cfs_quota = true).await;
    if !is_root() || !host.containers.isolation_notices().is_empty() {
        return host.stop().await;
    }
    let mut spec = host.spec("a", shell("cat /proc/self/cgroup; sleep 1000"));
    spec.limits = Limits { cpus: Some(0.5), mem_bytes: Some(64 << 20) };
    host.containers.launch(spec);
    Host::started(host.event().await);
    let (cpu, memory) = (group(&host, "cpu", "a"), group(&host, "memory", "a"));
    let (cpu, memory) = (cpu.expect("a cpu group"), memory.expect("a memory group"));
    let read = |dir: &PathBuf, file: &str| {
        fs::read_to_string(dir.join(file)).map(|text| text.trim().to_owned()).ok()
    };
    if let Some(shares) = read(&cpu, "cpu.shares") {
        assert_eq!(shares, "512");
        assert_eq!(read(&cpu, "cpu.cfs_quota_us").as_deref(), Some("50000"));
    } else {
        assert_eq!(read(&cpu, "cpu.max").as_deref(), Some("50000 100000"));
    }
    let limit = read(&memory, "memory.limit_in_bytes").or(read(&memory, "memory.max"));
    assert_eq!(limit, Some((64_u64 << 20).to_string()));
    host.containers.kill(container("a"), Duration::ZERO);
    Host::exited(host.event().await);
    assert!(!cpu.exists() && !memory.exists());
    host.stop().await;
}

#[tokio::test]
async fn a_task_over_its_memory_is_ended_and_the_reason_is_told() {
    let mut host = Host::start().await;
    if !is_root() || !host.containers.isolation_notices().is_empty() {
        return host.stop().await;
    }
    // The kernel kills the greedy child; the task, which only waits for it, goes with it.
    let greedy = "sh -c 'x=0123456789abcdef; while :; do x=$x$x; done'; echo survived; sleep 1000";
    let mut spec = host.spec("a", shell(greedy));
    spec.limits.mem_bytes = Some(48 << 20);
    host.containers.launch(spec);
    host.run("b", "sleep 1000");
    Host::started(host.event().await);
    Host::started(host.event().await);
    match host.event().await {
        ContainerEvent::Exited { container, status, oom, mem_peak_bytes } => {
            assert_eq!((container.as_str(), status), ("a", WaitStatus::Signaled(9)));
            assert!(oom);
            assert!(mem_peak_bytes.is_some_and(|peak| peak >= 40 << 20), "{mem_peak_bytes:?}");
        }
        other => panic!("{other:?}"),
    }
    host.containers.kill(container("b"), Duration::ZERO);
    assert_eq!(Host::exited(host.event().await).1, WaitStatus::Signaled(9));
    host.stop().await;
}

#[tokio::test]
async fn a_nested_container_shares_the_limits_of_the_one_around_it_and_ends_with_it() {
    let mut host = Host::start().await;
    if !is_root() || !host.containers.isolation_notices().is_empty() {
        return host.stop().await;
    }
    let limits = Limits { cpus: Some(1.0), mem_bytes: Some(64 << 20) };
    let mut spec = host.spec("a", shell("sleep 1000"));
    spec.limits = limits;
    host.containers.launch(spec);
    Host::started(host.event().await);
    let mut spec = host.spec("a.look", shell("sleep 1000"));
    spec.limits = limits;
    host.containers.launch(spec);
    let (_, pid) = Host::started(host.event().await);
    let groups = fs::read_to_string(format!("/proc/{pid}/cgroup")).expect("it runs");
    let nested = groups.lines().filter(|line| line.ends_with("/a/look")).count();
    assert!(nested >= 1, "{groups}");
    let memory = group(&host, "memory", "a/look").expect("a memory group");
    let read = |file: &str| fs::read_to_string(memory.join(file)).unwrap_or_default();
    let own = read("memory.limit_in_bytes") + &read("memory.max");
    assert_ne!(own.trim(), (64_u64 << 20).to_string(), "the limit is that of the group above");
    // Its processes go with those around it, whichever end is told first.
    host.containers.kill(container("a"), Duration::ZERO);
    let ends = [Host::exited(host.event().await), Host::exited(host.event().await)];
    assert!(ends.iter().all(|(_, status, _)| *status == WaitStatus::Signaled(9)), "{ends:?}");
    assert!(!memory.exists());
    host.stop().await;
}

#[tokio::test]
async fn groups_that_a_task_makes_below_its_own_go_with_it() {
    let mut host = Host::start().await;
    if !is_root() || !host.containers.isolation_notices().is_empty() {
        return host.stop().await;
    }
    let mut spec = host.spec(
        "a",
        shell(
            "g=$(grep ':memory:' /proc/self/cgroup | cut -d: -f3); \
             d=/sys/fs/cgroup/memory$g; mkdir -p $d/one/two && \
             (echo 0 > $d/one/two/cgroup.procs; exec sleep 1000) & sleep 0.2; exit 4",
        ),
    );
    spec.limits.mem_bytes = Some(64 << 20);
    host.containers.launch(spec);
    Host::started(host.event().await);
    assert_eq!(Host::exited(host.event().await).1, WaitStatus::Exited(4));
    host.stop().await;
}

#[tokio::test]
async fn the_launcher_is_in_a_group_of_its_own() {
    let host = Host::start().await;
    if !is_root() || !host.containers.isolation_notices().is_empty() {
        return host.stop().await;
    }
    let dir = group(&host, "memory", "launcher").expect("a group");
    let noted = fs::read_to_string(host.work.path().join("launcher.pid")).expect("it runs");
    let pid = noted.split(' ').next().expect("a number");
    let procs = fs::read_to_string(dir.join("cgroup.procs")).expect("readable");
    assert_eq!(procs.trim(), pid);
    host.stop().await;
}

#[tokio::test]
async fn the_launcher_is_spared_when_memory_runs_out_and_its_tasks_are_not() {
    let may = "echo -1000 > /proc/self/oom_score_adj";
    let may = std::process::Command::new("sh").args(["-c", may]).output().expect("a shell");
    if !may.status.success() {
        return;
    }
    let mut host = Host::start().await;
    let noted = fs::read_to_string(host.work.path().join("launcher.pid")).expect("it runs");
    let pid = noted.split(' ').next().expect("a number");
    let score = fs::read_to_string(format!("/proc/{pid}/oom_score_adj")).expect("readable");
    assert_eq!(score.trim(), "-1000");
    host.run("a", "cat /proc/self/oom_score_adj");
    Host::started(host.event().await);
    Host::exited(host.event().await);
    let own = fs::read_to_string("/proc/self/oom_score_adj").expect("readable");
    assert_eq!(host.output("a"), own);
    host.stop().await;
}
