//! The roles apart, as operators run them.

use meros_sdk::http::Method;
use serde_json::json;

use crate::cluster::{Role, Roles, answers, registered, subscribed};
use crate::home::Home;
use crate::http::{list, text};
use crate::leftovers::{cgroups_of, processes_of_task};
use crate::marathon::{deploy, deployed, ids, running, sleeper};
use crate::process::Process;
use crate::wait::until;

#[tokio::test]
async fn each_role_is_a_process_of_its_own_and_a_signal_stops_each_in_order() {
    let mut roles = Roles::start(2).await;
    let marathon = roles.marathon().await;
    let tasks = ids(&deploy(&marathon.api, &sleeper("/sleeper", 2)).await);
    for (api, path, status) in [
        (&roles.master.api, "/health", 200),
        (&roles.master.api, "/metrics/snapshot", 200),
        (&roles.agents[0].api, "/health", 200),
        (&marathon.api, "/ping", 200),
    ] {
        let answer = api.send(Method::GET, path, "").await;
        assert_eq!(answer.status, status, "{path}: {}", answer.text);
        assert!(answer.header("server").starts_with("Meros/"), "{path}");
    }
    // Marathon goes: its tasks don't.
    let address = marathon.address();
    marathon.stop().await;
    assert!(!answers(&format!("http://{address}/ping")).await);
    for task in &tasks {
        assert_eq!(processes_of_task(task).len(), 1, "{task} runs on");
    }
    // An agent goes: it ends what it runs, and says goodbye.
    for left in [1, 0] {
        let agent = roles.agents.remove(0);
        let mut groups = cgroups_of(agent.api.address.port());
        agent.stop().await;
        registered(&roles.master.api, left).await;
        groups.retain(|group| group.exists());
        assert!(groups.is_empty(), "{groups:?}");
    }
    for task in &tasks {
        assert!(processes_of_task(task).is_empty(), "{task} has ended");
    }
    roles.stop().await;
}

#[tokio::test]
async fn resources_and_attributes_are_what_the_flags_say() {
    let mut roles = Roles::start(0).await;
    let arguments = [
        "--resources",
        "cpus:4;mem:2048;disk:1000;ports:[31000-31005,31010-31010];cpus(web):1.5",
        "--attributes",
        "rack:r1;zone:a;size:4",
    ];
    let agent = roles.agent(7, &arguments).await;
    roles.agents.push(agent);
    registered(&roles.master.api, 1).await;
    let state = roles.master.api.get("/state").await;
    let shown = &state["slaves"][0];
    assert_eq!(shown["hostname"], "127.0.0.7");
    assert_eq!(shown["attributes"], json!({"rack": "r1", "zone": "a", "size": 4.0}));
    for (name, value) in [
        ("cpus", json!(5.5)),
        ("mem", json!(2048.0)),
        ("disk", json!(1000.0)),
        ("gpus", json!(0.0)),
        ("ports", json!("[31000-31005, 31010-31010]")),
    ] {
        assert_eq!(shown["resources"][name].as_f64(), value.as_f64(), "{name} of {shown}");
        assert_eq!(shown["resources"][name].as_str(), value.as_str(), "{name} of {shown}");
    }
    assert_eq!(shown["reserved_resources"]["web"]["cpus"].as_f64(), Some(1.5), "{shown}");
    assert_eq!(shown["unreserved_resources"]["cpus"].as_f64(), Some(4.0), "{shown}");
    let own = roles.agents[0].api.get("/state").await;
    assert_eq!((&own["id"], &own["hostname"]), (&shown["id"], &shown["hostname"]));
    assert_eq!(own["attributes"], shown["attributes"]);
    roles.stop().await;
}

#[tokio::test]
async fn every_flag_can_be_a_variable_and_the_flag_wins() {
    let home = Home::new();
    let (master_dir, agent_dir, marathon_dir) =
        (home.join("master"), home.join("agent"), home.join("marathon"));
    let common = [("MEROS_IP", "127.0.0.1"), ("MEROS_PORT", "0")];
    let start = |verb: &str, arguments: &[&str], more: &[(&str, &str)]| {
        let variables = [&common[..], more].concat();
        Role::listening(Process::start_with(&home, &[&[verb], arguments].concat(), &variables))
    };
    let master =
        start("master", &[], &[("MEROS_WORK_DIR", &master_dir), ("MEROS_CLUSTER", "mine")]).await;
    let address = master.address();
    let of_agent = [
        ("MEROS_MASTER", &*address),
        ("MEROS_WORK_DIR", &*agent_dir),
        ("MEROS_RESOURCES", "cpus:3;mem:512;disk:1000;ports:[]"),
        ("MEROS_ATTRIBUTES", "rack:of-the-variable"),
        ("MEROS_HOSTNAME", "127.0.0.9"),
    ];
    let agent = start("agent", &["--attributes", "rack:of-the-flag"], &of_agent).await;
    let of_marathon = [
        ("MEROS_MASTER", &*address),
        ("MEROS_WORK_DIR", &*marathon_dir),
        ("MEROS_FRAMEWORK_NAME", "of-the-variable"),
    ];
    let marathon = start("marathon", &[], &of_marathon).await;
    registered(&master.api, 1).await;
    subscribed(&master.api).await;
    let state = master.api.get("/state").await;
    assert_eq!(state["cluster"], "mine");
    let shown = &state["slaves"][0];
    assert_eq!(shown["hostname"], "127.0.0.9");
    assert_eq!(shown["attributes"], json!({"rack": "of-the-flag"}));
    assert_eq!(shown["resources"]["cpus"].as_f64(), Some(3.0));
    assert_eq!(state["frameworks"][0]["name"], "of-the-variable");
    let verb = Process::start_with(&home, &["agents", "--json"], &[("MEROS_MASTER", &address)]);
    let mut verb = verb;
    let ended = verb.ended().await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(ended.stdout.contains("127.0.0.9"), "{ended:?}");
    for role in [marathon, agent, master] {
        role.stop().await;
    }
}

#[tokio::test]
async fn an_agent_and_a_marathon_that_find_no_master_say_so_and_go_on_trying() {
    let home = Home::new();
    // The master's port, known before there is a master.
    let mut master = Role::start(&home, "master", &["--work-dir", &home.join("master")]).await;
    let address = master.address();
    let port = master.api.address.port().to_string();
    master.process.terminated().await;

    let line = ["--master", &address, "--work-dir", &home.join("agent"), "--hostname", "127.0.0.1"];
    let mut agent = Role::start(&home, "agent", &line).await;
    let line =
        ["--master", &address, "--work-dir", &home.join("marathon"), "--hostname", "127.0.0.1"];
    let mut marathon = Role::start(&home, "marathon", &line).await;
    let said = agent.process.logs("can't register with the master; trying until it is there").await;
    assert!(said.contains(&address), "{said}");
    let said = marathon.process.logs("no master takes the subscription: trying on").await;
    assert!(said.contains(&address), "{said}");
    // It serves all the same.
    assert_eq!(marathon.api.get("/v2/apps").await, json!({"apps": []}));

    let line = ["--port", &port, "--work-dir", &home.join("master")];
    let master = Role::start(&home, "master", &line).await;
    registered(&master.api, 1).await;
    subscribed(&master.api).await;
    deploy(&marathon.api, &sleeper("/sleeper", 1)).await;
    // A long outage is said once.
    let said = agent.process.stderr().matches("can't register with the master").count();
    assert_eq!(said, 1, "{}", agent.process.stderr());
    let away = ["can't register with the master", "no master takes the subscription"];
    marathon.stop_allowing(&away).await;
    agent.stop_allowing(&away).await;
    master.stop().await;
    home.assert_nothing_left(Vec::new());
}

#[tokio::test]
async fn an_agent_whose_process_dies_leaves_no_task_for_long_and_its_tasks_go_elsewhere() {
    let mut roles = Roles::start(1).await;
    let marathon = roles.marathon().await;
    let tasks = ids(&deploy(&marathon.api, &sleeper("/sleeper", 1)).await);
    let mut agent = roles.agents.remove(0);
    agent.process.signal(rustix::process::Signal::KILL);
    agent.process.ended().await;
    // It was started with a recovery time-out of 2 s.
    until("the end of its task", async || {
        let left = processes_of_task(&tasks[0]);
        if left.is_empty() { Ok(()) } else { Err(format!("{left:?}")) }
    })
    .await;
    // The same agent, back in its folder: it knows that its task is gone.
    let agent = roles.agent(1, &[]).await;
    roles.agents.push(agent);
    registered(&roles.master.api, 1).await;
    until("another task", async || {
        let answer = marathon.api.get("/v2/apps/sleeper/tasks").await;
        let found = list(&answer["tasks"])
            .iter()
            .any(|task| text(&task["id"]) != tasks[0] && task["state"] == "TASK_RUNNING");
        if found { Ok(()) } else { Err(answer) }
    })
    .await;
    marathon.stop().await;
    roles.stop().await;
}

#[tokio::test]
async fn an_agent_that_is_stopped_leaves_its_tasks_to_the_next() {
    let mut roles = Roles::start(1).await;
    let marathon = roles.marathon().await;
    let tasks = ids(&deploy(&marathon.api, &sleeper("/sleeper", 2)).await);
    let pids = |tasks: &[String]| -> Vec<i32> {
        tasks.iter().flat_map(|id| processes_of_task(id)).map(|found| found.pid).collect()
    };
    let processes = pids(&tasks);
    let mut agent = roles.agents.remove(0);
    let ended = agent.process.terminated().await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_eq!(pids(&tasks), processes, "they run on without it");

    let agent = roles.agent(1, &[]).await;
    roles.agents.push(agent);
    registered(&roles.master.api, 1).await;
    assert_eq!(ids(&running(&marathon.api, "sleeper", 2).await), tasks);
    assert_eq!(pids(&tasks), processes);
    let removed = marathon.api.delete("/v2/apps/sleeper").await;
    deployed(&marathon.api, &removed).await;
    assert_eq!(pids(&tasks), [] as [i32; 0], "a kill reaches them");
    marathon.stop().await;
    roles.stop().await;
}
