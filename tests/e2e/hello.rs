//! The first thing that anyone does with it: `meros dev examples/hello.json`.

use std::time::Duration;

use rustix::process::Signal;
use serde_json::json;

use crate::cluster::Dev;
use crate::home::Home;
use crate::leftovers::processes_of;
use crate::marathon::{deploy, running, sleeper};
use crate::process::Process;
use crate::wait::until;

/// A file or folder of the examples.
fn example(name: &str) -> String {
    format!("{}/examples/{name}", env!("CARGO_MANIFEST_DIR"))
}

#[tokio::test]
async fn dev_deploys_the_hello_app_shows_how_it_goes_and_every_instance_answers() {
    let mut dev = Dev::start(&[&example("hello.json")]).await;
    dev.process.says("Ctrl-C ends the tasks").await;
    let shown = dev.process.stdout();
    for part in
        ["deploying /hello\n", "  step 1/", "    TASK_RUNNING  hello.instance-", " done in "]
    {
        assert!(shown.contains(part), "no {part:?} in {shown}");
    }
    let (_, table) = shown.split_once("\nAPP ").expect("a table of instances");
    let mut lines = table.lines();
    let headings: Vec<&str> = lines.next().expect("headings").split_whitespace().collect();
    assert_eq!(headings, ["INSTANCE", "AGENT", "ADDRESS", "STATE"]);
    let rows: Vec<Vec<&str>> = lines
        .map_while(|line| line.starts_with("/hello").then(|| line.split_whitespace().collect()))
        .collect();
    assert_eq!(rows.len(), 3, "{shown}");
    for row in rows {
        let [app, task, agent, address, state] = row[..] else { panic!("five cells: {row:?}") };
        assert_eq!((app, state), ("/hello", "TASK_RUNNING"));
        assert!(agent.starts_with('S'), "{agent}");
        let answer = dev.marathon.http.get(&format!("{address}/")).await.expect("it listens");
        assert_eq!(answer.text(), format!("hello from {task}\n"));
    }
    assert!(!shown.contains('\x1b'), "escape codes in a pipe: {shown:?}");
    dev.stop().await;
}

#[tokio::test]
async fn dev_without_a_file_says_how_to_submit_and_submitting_so_works() {
    let mut dev = Dev::start(&["--agents", "1"]).await;
    dev.process.says("no apps yet").await;
    let deploys = format!("  meros app deploy --marathon {} ", dev.marathon.address);
    assert_eq!(dev.process.says(&deploys).await, "examples/hello.json");
    let posts = dev.process.says("  curl -X POST -H 'Content-Type: application/json' ").await;
    assert!(posts.starts_with(&format!("http://{}/v2/apps ", dev.marathon.address)), "{posts}");
    let file = dev.home.write("app.json", sleeper("/mine", 2));
    let deployed = dev.verb(&["app", "deploy", &file]).await;
    assert_eq!(deployed.code, Some(0), "{deployed:?}");
    running(&dev.marathon, "mine", 2).await;
    dev.stop().await;
}

#[tokio::test]
async fn dev_takes_several_files_and_folders_as_one_deployment() {
    let home = Home::new();
    std::fs::create_dir(home.path().join("apps")).expect("it is new");
    home.write("apps/b.json", json!([sleeper("/b/one", 1), sleeper("/b/two", 1)]));
    let (folder, file) = (home.join("apps"), home.write("a.json", sleeper("a", 1)));
    let mut dev = Dev::start_in(home, &["--agents", "2", &folder, &file]).await;
    dev.process.says("Ctrl-C ends the tasks").await;
    let shown = dev.process.stdout();
    assert!(shown.contains("deploying /b/one, /b/two, /a\n"), "{shown}");
    assert_eq!(shown.matches(" done in ").count(), 1, "{shown}");
    for app in ["a", "b/one", "b/two"] {
        running(&dev.marathon, app, 1).await;
    }
    dev.stop().await;
}

#[tokio::test]
async fn ctrl_c_while_a_deployment_waits_stops_in_order_too() {
    let home = Home::new();
    let mut app = sleeper("/too-large", 1);
    app["cpus"] = json!(1_000_000);
    let file = home.write("app.json", app);
    let mut dev = Dev::start_in(home, &["--agents", "1", &file]).await;
    dev.process.says("  step 1/").await;
    dev.stop().await;
}

/// Runs a task that ignores SIGTERM, as its children do.
async fn stubborn_task(dev: &Dev) {
    let mut app = sleeper("/stubborn", 1);
    let ready = dev.home.join("ready");
    app["cmd"] = json!(format!("trap '' TERM; (while :; do sleep 1; done) & touch {ready}; wait"));
    deploy(&dev.marathon, &app).await;
    until("the trap", async || std::fs::metadata(&ready).map(drop)).await;
}

#[tokio::test]
async fn ctrl_c_ends_tasks_that_do_not_want_to_end() {
    let dev = Dev::start(&["--agents", "1"]).await;
    stubborn_task(&dev).await;
    dev.stop().await;
}

#[tokio::test]
async fn a_second_ctrl_c_ends_dev_at_once_and_its_tasks_do_not_outlive_it_for_long() {
    let mut dev = Dev::start(&["--agents", "1"]).await;
    stubborn_task(&dev).await;
    dev.process.signal(Signal::INT);
    dev.process.says("stopping: tasks are being ended").await;
    // Within a second the two would be one: a terminal and an init system may both send it.
    tokio::time::sleep(Duration::from_millis(1200)).await;
    dev.process.signal(Signal::INT);
    let ended = dev.process.ended().await;
    assert_eq!(ended.code, Some(130), "{ended:?}");
    until("the tasks' end", async || {
        let left = processes_of(dev.home.path());
        if left.is_empty() { Ok(()) } else { Err(format!("{left:?}")) }
    })
    .await;
}

#[tokio::test]
async fn an_app_that_is_refused_ends_dev_with_the_reason() {
    let home = Home::new();
    let file = home.write("app.json", json!({"id": "/no-command", "cpus": 0.1}));
    let arguments =
        ["dev", "--master-port", "0", "--marathon-port", "0", "--agents", "1", file.as_str()];
    let ended = Process::run(&home, &arguments).await;
    assert_eq!(ended.code, Some(1), "{ended:?}");
    let reason = &ended.stderr;
    assert!(reason.contains("error: Object is not valid\n"), "{reason}");
    assert!(reason.contains("must either contain one of 'cmd' or 'args'"), "{reason}");
    home.assert_nothing_left(Vec::new());
}
