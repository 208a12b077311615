//! Agents that can't be reached: their tasks are waited for, or replaced, as each app says.

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::cluster::{Role, Roles, registered};
use crate::home::Home;
use crate::http::{Api, text};
use crate::marathon::{deploy, ids, running, sleeper, tasks};
use crate::wait::until;

/// A master that gives up on a silent agent after half a second, and one agent.
async fn impatient() -> Roles {
    let home = Home::new();
    let work_dir = home.join("master");
    let line = ["--work-dir", &work_dir, "--agent-ping-timeout", "250ms"];
    let line = [&line[..], &["--max-agent-ping-timeouts", "2"]].concat();
    let master = Role::start(&home, "master", &line).await;
    let mut roles = Roles { agents: Vec::new(), master, home };
    let agent = roles.agent(1, &[]).await;
    roles.agents.push(agent);
    registered(&roles.master.api, 1).await;
    roles
}

/// Waits until the tasks of an app are, in any order, in these states on these hosts.
async fn become_so(marathon: &Api, app: &str, wanted: &[(&str, &str)]) -> Vec<Value> {
    until(&format!("{wanted:?} of {app}"), async || {
        let tasks = tasks(marathon, app).await;
        let mut found: Vec<(&str, &str)> =
            tasks.iter().map(|task| (text(&task["state"]), text(&task["host"]))).collect();
        found.sort_unstable();
        if found == wanted { Ok(tasks.clone()) } else { Err(json!(tasks)) }
    })
    .await
}

#[tokio::test]
async fn tasks_of_a_silent_agent_are_waited_for_or_replaced_and_the_surplus_goes_when_it_is_back() {
    let mut roles = impatient().await;
    let marathon = roles.marathon().await;
    let with = |id: &str, strategy: Value| {
        let mut app = sleeper(id, 1);
        app["unreachableStrategy"] = strategy;
        app
    };
    let waiting = deploy(&marathon.api, &with("/waits", json!("disabled"))).await;
    let after = json!({"inactiveAfterSeconds": 1, "expungeAfterSeconds": 3600});
    let replaced = deploy(&marathon.api, &with("/replaced", after)).await;
    let at_once = json!({"inactiveAfterSeconds": 0, "expungeAfterSeconds": 0});
    let dropped = deploy(&marathon.api, &with("/dropped", at_once)).await;
    let second = roles.agent(2, &[]).await;
    roles.agents.push(second);
    registered(&roles.master.api, 2).await;

    roles.agents[0].process.signal(Signal::STOP);
    let (lost, there) = (("TASK_UNREACHABLE", "127.0.0.1"), ("TASK_RUNNING", "127.0.0.2"));
    let elsewhere = become_so(&marathon.api, "dropped", &[there]).await;
    assert_ne!(ids(&elsewhere), ids(&dropped));
    become_so(&marathon.api, "replaced", &[there, lost]).await;
    become_so(&marathon.api, "waits", &[lost]).await;
    let shown = &marathon.api.get("/v2/apps/waits").await["app"];
    assert_eq!((&shown["tasksRunning"], &shown["deployments"]), (&json!(0), &json!([])));

    roles.agents[0].process.signal(Signal::CONT);
    registered(&roles.master.api, 2).await;
    let back = running(&marathon.api, "waits", 1).await;
    assert_eq!(ids(&back), ids(&waiting), "the same task");
    // One too many ran: which of the two goes is the app's kill selection.
    let left = running(&marathon.api, "replaced", 1).await;
    assert_eq!(ids(&left), ids(&replaced), "the youngest goes first");
    let still = running(&marathon.api, "dropped", 1).await;
    assert_eq!(ids(&still), ids(&elsewhere), "what was given up is killed");
    until("three tasks in all", async || {
        let all = roles.master.api.get("/tasks").await;
        let live = all["tasks"].as_array().expect("a list").iter();
        let count = live.filter(|task| task["state"] == "TASK_RUNNING").count();
        if count == 3 { Ok(()) } else { Err(all) }
    })
    .await;
    marathon.stop().await;
    // It was told nothing by the master either.
    roles.agents.remove(0).stop_allowing(&["lost the master; connecting again"]).await;
    roles.stop_allowing(&["is unreachable"]).await;
}
