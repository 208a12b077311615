//! An agent or its launcher may die at any instant: no task dies with it, and no end is lost.

use std::fs;
use std::path::Path;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;

use crate::cluster::{Role, Roles, registered};
use crate::framework::user;
use crate::http::{list, text};
use crate::leftovers::processes_of_task;
use crate::marathon::{deploy, deployed, ids, running, sleeper};
use crate::scheduler::Scheduler;
use crate::wait::until;

/// What a killed agent's absence, or its launcher's, may make others log.
const AWAY: &[&str] = &["the agent's link", "lost the master", "launcher"];

/// Kills the first agent, and says what has to be said to start it again.
async fn kill_agent(roles: &mut Roles) -> String {
    let mut agent = roles.agents.remove(0);
    let port = agent.api.address.port().to_string();
    agent.process.signal(Signal::KILL);
    agent.process.ended().await;
    port
}

/// Starts the first agent again as it was before.
async fn start_again(roles: &mut Roles, port: &str) {
    let agent = roles.agent(1, &["--port", port]).await;
    roles.agents.insert(0, agent);
    registered(&roles.master.api, roles.agents.len()).await;
}

/// The launcher's process of the first agent.
fn launcher(roles: &Roles) -> Pid {
    launcher_now(roles).expect("a running launcher has a pid file")
}

/// The same while there may be none.
fn launcher_now(roles: &Roles) -> Option<Pid> {
    let file = Path::new(&roles.home.join("agent-1")).join("launcher.pid");
    let text = fs::read_to_string(file).ok()?;
    text.split_whitespace().next()?.parse().ok().and_then(Pid::from_raw)
}

fn framework() -> serde_json::Value {
    json!({"user": user(), "name": "foreign", "failover_timeout": 1000, "checkpoint": true})
}

async fn end(mut roles: Roles, scheduler: Scheduler) {
    scheduler.accepted(json!({"type": "TEARDOWN"})).await;
    for agent in std::mem::take(&mut roles.agents) {
        agent.stop_allowing(AWAY).await;
    }
    roles.stop_allowing(AWAY).await;
}

#[tokio::test]
async fn the_tasks_of_a_killed_agent_run_on_and_are_its_own_when_it_is_back() {
    let mut roles = Roles::start(1).await;
    let marathon = roles.marathon().await;
    let before = ids(&deploy(&marathon.api, &sleeper("/sleeper", 2)).await);
    let pids = |ids: &[String]| -> Vec<i32> {
        ids.iter().flat_map(|id| processes_of_task(id)).map(|found| found.pid).collect()
    };
    let processes = pids(&before);
    assert_eq!(processes.len(), 2);
    let agents = roles.master.api.get("/slaves").await;
    let agent = text(&agents["slaves"][0]["id"]).to_owned();

    for _ in 0..3 {
        let port = kill_agent(&mut roles).await;
        assert_eq!(pids(&before), processes, "they don't notice");
        start_again(&mut roles, &port).await;
        let agents = roles.master.api.get("/slaves").await;
        assert_eq!(agents["slaves"][0]["id"], *agent, "the same agent");
        assert_eq!(ids(&running(&marathon.api, "sleeper", 2).await), before, "the same tasks");
        assert_eq!(pids(&before), processes, "the same processes");
    }
    // It starts and ends tasks as before.
    let scaled = marathon.api.put("/v2/apps/sleeper", &json!({"instances": 3})).await;
    deployed(&marathon.api, &scaled).await;
    running(&marathon.api, "sleeper", 3).await;
    let removed = marathon.api.delete("/v2/apps/sleeper").await;
    deployed(&marathon.api, &removed).await;
    assert_eq!(pids(&before), [] as [i32; 0], "a kill reaches those of its earlier life");
    marathon.stop_allowing(AWAY).await;
    roles.stop_allowing(AWAY).await;
}

#[tokio::test]
async fn how_a_task_ended_while_its_agent_was_away_is_told_when_it_is_back() {
    let mut roles = Roles::start(1).await;
    let mut scheduler = Scheduler::subscribe(roles.master.api.address, framework()).await;
    let go = roles.home.join("go");
    for (task, code) in [("seven", 7), ("zero", 0)] {
        let offer = scheduler.offer().await;
        let command = format!("while ! test -e {go}; do sleep 0.05; done; exit {code}");
        scheduler.launch(&offer, task, &command).await;
        scheduler.status_of("TASK_RUNNING").await;
    }
    let port = kill_agent(&mut roles).await;
    fs::write(&go, "").expect("the folder is ours");
    until("the end of both", async || {
        let left = scheduler.processes_of("seven").len() + scheduler.processes_of("zero").len();
        if left == 0 { Ok(()) } else { Err(left) }
    })
    .await;
    start_again(&mut roles, &port).await;
    let mut ends = Vec::new();
    while ends.len() < 2 {
        let status = scheduler.status().await;
        // A crash may have lost the note that this was heard: then it is said again.
        if status["state"] == "TASK_RUNNING" {
            continue;
        }
        ends.push((
            text(&status["task_id"]["value"]).to_owned(),
            text(&status["state"]).to_owned(),
            text(&status["message"]).to_owned(),
        ));
    }
    ends.sort();
    let told = |task: &str, state: &str, code: u8| {
        (task.to_owned(), state.to_owned(), format!("Command exited with status {code}"))
    };
    assert_eq!(ends, [told("seven", "TASK_FAILED", 7), told("zero", "TASK_FINISHED", 0)]);
    end(roles, scheduler).await;
}

#[tokio::test]
async fn a_task_that_was_told_to_end_still_does_when_the_agent_dies_before_it_has() {
    let mut roles = Roles::start(1).await;
    let mut scheduler = Scheduler::subscribe(roles.master.api.address, framework()).await;
    let offer = scheduler.offer().await;
    scheduler.launch(&offer, "deaf", "trap '' TERM; while :; do sleep 0.1; done").await;
    scheduler.status_of("TASK_RUNNING").await;
    let grace = json!({"grace_period": {"nanoseconds": 2_000_000_000_u64}});
    let kill =
        json!({"type": "KILL", "kill": {"task_id": {"value": "deaf"}, "kill_policy": grace}});
    scheduler.accepted(kill).await;
    tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    let port = kill_agent(&mut roles).await;
    start_again(&mut roles, &port).await;
    let status = scheduler.status_of("TASK_KILLED").await;
    assert_eq!(status["task_id"]["value"], "deaf");
    end(roles, scheduler).await;
}

#[tokio::test]
async fn a_killed_launcher_takes_no_task_with_it_and_their_ends_are_told_as_they_were() {
    let roles = Roles::start(1).await;
    let mut scheduler = Scheduler::subscribe(roles.master.api.address, framework()).await;
    let go = roles.home.join("go");
    let waits = format!("while ! test -e {go}; do sleep 0.05; done");
    for (task, command) in [
        ("seven", format!("{waits}; exit 7")),
        ("zero", waits),
        ("killed", "exec sleep 1000".to_owned()),
    ] {
        let offer = scheduler.offer().await;
        scheduler.launch(&offer, task, &command).await;
        scheduler.status_of("TASK_RUNNING").await;
    }
    let first = launcher(&roles);
    kill_process(first, Signal::KILL).expect("it runs");
    until("another launcher", async || match launcher_now(&roles) {
        Some(pid) if pid != first => Ok(()),
        now => Err(format!("{now:?}")),
    })
    .await;
    // What comes now is started, and what there was can be ended.
    let offer = scheduler.offer().await;
    scheduler.launch(&offer, "after", "exit 3").await;
    let status = scheduler.status_of("TASK_FAILED").await;
    assert_eq!(status["message"], "Command exited with status 3", "{status}");
    let kill = json!({"type": "KILL", "kill": {"task_id": {"value": "killed"}}});
    scheduler.accepted(kill).await;
    let status = scheduler.status_of("TASK_KILLED").await;
    assert_eq!(status["task_id"]["value"], "killed", "{status}");
    assert!(scheduler.processes_of("killed").is_empty());
    fs::write(&go, "").expect("the folder is ours");
    let mut ends = Vec::new();
    while ends.len() < 2 {
        let status = scheduler.status().await;
        ends.push((
            text(&status["task_id"]["value"]).to_owned(),
            text(&status["state"]).to_owned(),
        ));
    }
    ends.sort();
    let told = |task: &str, state: &str| (task.to_owned(), state.to_owned());
    assert_eq!(ends, [told("seven", "TASK_FAILED"), told("zero", "TASK_FINISHED")]);
    end(roles, scheduler).await;
}

#[tokio::test]
async fn tasks_outlive_their_agent_and_its_launcher_both() {
    let mut roles = Roles::start(1).await;
    let mut scheduler = Scheduler::subscribe(roles.master.api.address, framework()).await;
    let offer = scheduler.offer().await;
    scheduler.launch(&offer, "lasting", "exec sleep 1000").await;
    scheduler.status_of("TASK_RUNNING").await;
    let before = scheduler.processes_of("lasting")[0].pid;
    let launcher = launcher(&roles);
    let port = kill_agent(&mut roles).await;
    kill_process(launcher, Signal::KILL).expect("it runs");
    start_again(&mut roles, &port).await;
    assert_eq!(scheduler.processes_of("lasting")[0].pid, before, "it runs on");
    let kill = json!({"type": "KILL", "kill": {"task_id": {"value": "lasting"}}});
    scheduler.accepted(kill).await;
    let status = scheduler.status_of("TASK_KILLED").await;
    assert_eq!(status["task_id"]["value"], "lasting");
    end(roles, scheduler).await;
}

#[tokio::test]
async fn another_build_of_the_agent_brings_its_launcher_up_to_date_under_running_tasks() {
    let mut roles = Roles::start(1).await;
    let mut scheduler = Scheduler::subscribe(roles.master.api.address, framework()).await;
    let offer = scheduler.offer().await;
    let go = roles.home.join("go");
    let command = format!("while ! test -e {go}; do sleep 0.05; done; exit 5");
    scheduler.launch(&offer, "old", &command).await;
    scheduler.status_of("TASK_RUNNING").await;
    let before = launcher(&roles);
    let program = |pid: Pid| fs::read_link(format!("/proc/{}/exe", pid.as_raw_nonzero()));
    let first = program(before).expect("it runs");

    let port = kill_agent(&mut roles).await;
    // The same program in another file, a byte longer: what an update leaves.
    let other = Path::new(&roles.home.join("meros")).to_owned();
    let mut bytes = fs::read(env!("CARGO_BIN_EXE_meros")).expect("it was built");
    bytes.push(0);
    fs::write(&other, bytes).expect("room on the disk");
    fs::set_permissions(&other, std::os::unix::fs::PermissionsExt::from_mode(0o755))
        .expect("the file is ours");
    let (master, work_dir) = (roles.master.address(), roles.home.join("agent-1"));
    let line = [
        "agent",
        "--ip",
        "127.0.0.1",
        "--port",
        &port,
        "--master",
        &master,
        "--work-dir",
        &work_dir,
        "--hostname",
        "127.0.0.1",
        "--recovery-timeout",
        "2secs",
        "--resources",
        "cpus:4;mem:2048;disk:4096;ports:[21000-22000]",
    ];
    let process = crate::process::Process::start_program(&roles.home, &other, &line);
    roles.agents.insert(0, Role::listening(process).await);
    registered(&roles.master.api, 1).await;
    until("the launcher's update", async || {
        let now = program(before).expect("the same process");
        if now != first { Ok(()) } else { Err(now.display().to_string()) }
    })
    .await;
    assert_eq!(launcher(&roles), before, "it is the same process");
    fs::write(&go, "").expect("the folder is ours");
    let status = scheduler.status_of("TASK_FAILED").await;
    assert_eq!(status["message"], "Command exited with status 5", "{status}");
    let offer = scheduler.offer().await;
    scheduler.launch(&offer, "new", "true").await;
    scheduler.status_of("TASK_FINISHED").await;
    end(roles, scheduler).await;
}

#[tokio::test]
async fn a_reboot_is_told_once_for_each_task_that_was_lost_with_it() {
    if !rustix::process::geteuid().is_root() {
        eprintln!("skipped: only root can give an agent another boot id");
        return;
    }
    let mut roles = Roles::start(0).await;
    let boots: Vec<String> = ["11111111", "22222222"]
        .iter()
        .map(|id| roles.home.write(id, format!("{id}-1111-4111-8111-111111111111\n")))
        .collect();
    let port = {
        let agent = booted(&roles, &boots[0], "0").await;
        let port = agent.api.address.port().to_string();
        roles.agents.push(agent);
        port
    };
    registered(&roles.master.api, 1).await;
    let mut scheduler = Scheduler::subscribe(roles.master.api.address, framework()).await;
    let offer = scheduler.offer().await;
    scheduler.launch(&offer, "lost", "exec sleep 1000").await;
    scheduler.status_of("TASK_RUNNING").await;
    // The power goes.
    let pids = [scheduler.processes_of("lost")[0].pid, launcher(&roles).as_raw_nonzero().get()];
    kill_agent(&mut roles).await;
    for pid in pids.into_iter().rev().filter_map(Pid::from_raw) {
        kill_process(pid, Signal::KILL).expect("it runs");
    }
    until("the end of all", async || {
        let left = scheduler.processes_of("lost").len();
        if left == 0 { Ok(()) } else { Err(left) }
    })
    .await;
    let agent = booted(&roles, &boots[1], &port).await;
    roles.agents.insert(0, agent);
    registered(&roles.master.api, 1).await;
    let status = scheduler.status_of("TASK_LOST").await;
    assert_eq!(status["task_id"]["value"], "lost");
    let agents = roles.master.api.get("/slaves").await;
    assert_eq!(list(&agents["slaves"]).len(), 1, "the same agent: {agents}");
    // It is not told again: what comes next is about the next task.
    let offer = scheduler.offer().await;
    scheduler.launch(&offer, "next", "true").await;
    let status = scheduler.status_of("TASK_FINISHED").await;
    assert_eq!(status["task_id"]["value"], "next");
    end(roles, scheduler).await;
}

/// The first agent, on a host that was booted under the id in this file.
async fn booted(roles: &Roles, boot: &str, port: &str) -> Role {
    let (master, work_dir) = (roles.master.address(), roles.home.join("agent-1"));
    let script = "mount --bind \"$0\" /proc/sys/kernel/random/boot_id && exec \"$@\"";
    let line = [
        "--mount",
        "sh",
        "-c",
        script,
        boot,
        env!("CARGO_BIN_EXE_meros"),
        "agent",
        "--ip",
        "127.0.0.1",
        "--port",
        port,
        "--master",
        &master,
        "--work-dir",
        &work_dir,
        "--hostname",
        "127.0.0.1",
        "--recovery-timeout",
        "2secs",
        "--resources",
        "cpus:4;mem:2048;disk:4096",
    ];
    let unshare = Path::new("unshare");
    let process = crate::process::Process::start_program(&roles.home, unshare, &line);
    Role::listening(process).await
}
