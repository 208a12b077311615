//! The verbs of users and operators: what they print, for people and for scripts, and how they end.

use serde_json::{Value, json};

use crate::cluster::Dev;
use crate::home::Home;
use crate::http::{list, text};
use crate::marathon::{deploy, ids, running, sleeper};
use crate::process::{Ended, Process};

/// The lines of a table, by cells. Columns are two spaces apart at least.
fn table(stdout: &str) -> Vec<Vec<&str>> {
    let cells =
        |line: &'_ str| line.split("  ").map(str::trim).filter(|cell| !cell.is_empty()).count();
    assert!(stdout.lines().all(|line| cells(line) > 0), "no empty lines: {stdout:?}");
    stdout
        .lines()
        .map(|line| line.split("  ").map(str::trim).filter(|cell| !cell.is_empty()).collect())
        .collect()
}

/// What a verb printed, if it went well and printed nothing that only a terminal understands.
#[track_caller]
fn printed(ended: &Ended) -> &str {
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""), "{ended:?}");
    assert!(!ended.stdout.contains('\x1b'), "escape codes in a pipe: {:?}", ended.stdout);
    &ended.stdout
}

fn parsed(ended: &Ended) -> Value {
    serde_json::from_str(printed(ended)).expect("--json prints JSON and nothing else")
}

#[tokio::test]
async fn apps_are_deployed_listed_shown_scaled_restarted_and_removed() {
    let dev = Dev::start(&["--agents", "2"]).await;
    dev.is_whole().await;
    assert_eq!(
        printed(&dev.verb(&["app", "list"]).await),
        "no apps; create one with `meros app deploy FILE`\n"
    );
    let file = dev.home.write("app.json", sleeper("/group/sleeper", 2));
    let deployed = dev.verb(&["app", "deploy", &file]).await;
    let shown = printed(&deployed);
    for part in [
        "  step 1/",
        "StartApplication /group/sleeper",
        "    TASK_RUNNING  group_sleeper.",
        " done in ",
    ] {
        assert!(shown.contains(part), "no {part:?} in {shown}");
    }
    let listed = dev.verb(&["app", "list"]).await;
    assert_eq!(
        table(printed(&listed)),
        [
            ["ID", "RUNNING", "STATE", "CPUS", "MEM", "COMMAND"],
            ["/group/sleeper", "2/2", "running", "0.1", "32", "exec sleep 1000"],
        ]
    );
    let before = ids(&running(&dev.marathon, "group/sleeper", 2).await);
    let shown = dev.verb(&["app", "show", "group/sleeper"]).await;
    for part in [
        "id         /group/sleeper\n",
        "instances  2 wanted, 2 running, 0 starting\n",
        &before[0],
        &before[1],
    ] {
        assert!(printed(&shown).contains(part), "no {part:?} in {}", shown.stdout);
    }
    printed(&dev.verb(&["app", "scale", "/group/sleeper", "3"]).await);
    let scaled = ids(&running(&dev.marathon, "group/sleeper", 3).await);
    printed(&dev.verb(&["app", "restart", "group/sleeper"]).await);
    let restarted = ids(&running(&dev.marathon, "group/sleeper", 3).await);
    assert!(scaled.iter().all(|task| !restarted.contains(task)), "{scaled:?} to {restarted:?}");
    printed(&dev.verb(&["app", "remove", "group/sleeper"]).await);
    assert_eq!(dev.marathon.get("/v2/apps").await, json!({"apps": []}));
    dev.stop().await;
}

#[tokio::test]
async fn tasks_agents_frameworks_and_the_status_are_tables_for_people() {
    let dev = Dev::start(&["--agents", "2"]).await;
    dev.is_whole().await;
    assert_eq!(printed(&dev.verb(&["tasks"]).await), "no running tasks; --all shows ended ones\n");
    let before = ids(&deploy(&dev.marathon, &sleeper("/sleeper", 2)).await);
    let tasks = dev.verb(&["tasks"]).await;
    let rows = table(printed(&tasks));
    assert_eq!(rows[0], ["TASK", "STATE", "FRAMEWORK", "AGENT", "PORTS", "CPUS", "MEM"]);
    let mut shown: Vec<&str> = rows[1..].iter().map(|row| row[0]).collect();
    shown.sort_unstable();
    assert_eq!(shown, before);
    for row in &rows[1..] {
        assert_eq!(row[1..3], ["TASK_RUNNING", "marathon"], "{row:?}");
        assert!(row[3].starts_with("127.0.0."), "{row:?}");
        assert_eq!(row[4..], ["0.1", "32"], "no ports: {row:?}");
    }
    let one = dev.verb(&["tasks", &before[0]]).await;
    assert_eq!(table(printed(&one)).len(), 2, "{}", one.stdout);

    let agents = dev.verb(&["agents"]).await;
    let rows = table(printed(&agents));
    assert_eq!(rows.len(), 3, "{}", agents.stdout);
    assert_eq!(rows[0][..4], ["AGENT", "HOST", "ADDRESS", "STATE"]);
    for row in &rows[1..] {
        assert_eq!(row[3], "active");
        assert!(row[7] == "rack:r1" || row[7] == "rack:r2", "{row:?}");
        assert!(dev.agents.iter().any(|agent| row[2] == agent.address.to_string()), "{row:?}");
    }
    let frameworks = dev.verb(&["frameworks"]).await;
    let rows = table(printed(&frameworks));
    assert_eq!(
        rows[1][1..],
        ["marathon", "active", "*", "2", "0.2", "64"],
        "{}",
        frameworks.stdout
    );

    let status = dev.verb(&["status"]).await;
    for part in [
        "agents      2 active, 0 disconnected, 0 unreachable\n",
        "frameworks  1 active, 0 disconnected\n",
        "tasks       2 running, 0 staging, 0 starting, 0 failed, 0 lost\n",
        "used        cpus 0.2/",
        &format!("marathon    127.0.0.1:{}  active  version ", dev.marathon.address.port()),
    ] {
        assert!(printed(&status).contains(part), "no {part:?} in {}", status.stdout);
    }
    dev.stop().await;
}

#[tokio::test]
async fn every_list_is_json_for_scripts() {
    let dev = Dev::start(&["--agents", "1"]).await;
    dev.is_whole().await;
    let file = dev.home.write("app.json", sleeper("/sleeper", 2));
    let deployed = parsed(&dev.verb(&["app", "deploy", "--json", &file]).await);
    assert_eq!(text(&deployed["deploymentId"]).len(), 36, "{deployed}");
    for (verb, count) in [
        (&["app", "list", "--json"][..], 1),
        (&["tasks", "--json"], 2),
        (&["agents", "--json"], 1),
        (&["frameworks", "--json"], 1),
    ] {
        let answer = parsed(&dev.verb(verb).await);
        assert_eq!(list(&answer).len(), count, "{verb:?}: {answer}");
    }
    let app = parsed(&dev.verb(&["app", "show", "--json", "sleeper"]).await);
    assert_eq!((&app["id"], &app["tasksRunning"]), (&json!("/sleeper"), &json!(2)));
    let status = parsed(&dev.verb(&["status", "--json"]).await);
    assert_eq!(status["master"]["master/tasks_running"], 2.0, "{status}");
    assert_eq!(status["marathon"]["name"], "marathon");
    dev.stop().await;
}

#[tokio::test]
async fn what_goes_wrong_is_said_with_what_to_do_next_and_ends_with_1() {
    let dev = Dev::start(&["--agents", "1"]).await;
    let mut stuck = sleeper("/stuck", 1);
    stuck["cpus"] = json!(1_000_000);
    let created = dev.marathon.post("/v2/apps", &stuck).await;
    let deployment = created.header("marathon-deployment-id").to_owned();
    let invalid = dev.home.write("invalid.json", json!({"id": "/x", "cmd": "y", "cpus": "two"}));
    let malformed = dev.home.write("malformed.json", "{");
    let unnamed = dev.home.write("unnamed.json", json!({"cmd": "true"}));
    for (verb, says) in [
        (&["app", "show", "nothing"][..], vec!["App '/nothing' does not exist"]),
        (&["app", "scale", "nothing", "2"], vec!["App '/nothing' does not exist"]),
        (&["app", "remove", "nothing"], vec!["App '/nothing' does not exist"]),
        (&["app", "deploy", "gone.json"], vec!["gone.json: No such file"]),
        (&["app", "deploy", &malformed], vec!["malformed.json: EOF while parsing"]),
        (&["app", "deploy", &unnamed], vec!["unnamed.json: app 1 has no id"]),
        (&["app", "deploy", &invalid], vec!["Invalid JSON", "(0)/cpus: error.expected.jsnumber"]),
        (
            &["app", "scale", "stuck", "2"],
            vec!["App is locked by one or more", "hint: wait for ", &deployment, "--force"],
        ),
        (&["logs", "nothing"], vec!["no task's id holds \"nothing\"", "hint: `meros tasks --all`"]),
    ] {
        let ended = dev.verb(verb).await;
        assert_eq!((ended.code, ended.stdout.as_str()), (Some(1), ""), "{verb:?}: {ended:?}");
        assert!(ended.stderr.starts_with("error: "), "{verb:?}: {ended:?}");
        for part in says {
            assert!(ended.stderr.contains(part), "{verb:?}: no {part:?} in {}", ended.stderr);
        }
    }
    printed(&dev.verb(&["app", "scale", "stuck", "0", "--force"]).await);
    let under_way = dev.verb(&["app", "scale", "stuck", "1", "--no-wait"]).await;
    assert!(printed(&under_way).ends_with(" is under way\n"), "{under_way:?}");
    dev.stop().await;
}

#[tokio::test]
async fn a_cluster_that_is_not_there_is_said_so_and_how_to_start_one() {
    let home = Home::new();
    // Nobody listens on the discard port of this address.
    let nowhere = ["--master", "127.0.0.1:9", "--marathon", "127.0.0.1:9"];
    for verb in [
        &["tasks"][..],
        &["agents"],
        &["frameworks"],
        &["status"],
        &["logs", "x"],
        &["app", "list"],
    ] {
        let ended = Process::run(&home, &[verb, &nowhere].concat()).await;
        assert_eq!((ended.code, ended.stdout.as_str()), (Some(1), ""), "{verb:?}: {ended:?}");
        let mut lines = ended.stderr.lines();
        let (what, hint) = (lines.next().unwrap_or_default(), lines.next().unwrap_or_default());
        assert_eq!(what, "error: connect to 127.0.0.1:9: connection refused", "{verb:?}");
        assert!(hint.starts_with("  hint: start a cluster with `meros dev`"), "{verb:?}: {hint}");
        assert_eq!(lines.next(), None, "{verb:?}: {ended:?}");
    }
}

#[tokio::test]
async fn bad_usage_ends_with_2_and_says_what_is_there() {
    let home = Home::new();
    for (line, says) in [
        (&[][..], "Usage: meros <COMMAND>"),
        (&["nonsense"], "unrecognized subcommand 'nonsense'"),
        (&["app", "scale", "x", "many"], "invalid value 'many'"),
        (&["agent"], "--master"),
        (&["master", "--port", "70000"], "invalid value '70000'"),
        (&["dev", "--agents", "0"], "invalid value '0'"),
    ] {
        let ended = Process::run(&home, line).await;
        assert_eq!(ended.code, Some(2), "{line:?}: {ended:?}");
        assert!(ended.stderr.contains(says), "{line:?}: no {says:?} in {}", ended.stderr);
    }
    let version = Process::run(&home, &["--version"]).await;
    assert_eq!(printed(&version), concat!("meros ", env!("CARGO_PKG_VERSION"), "\n"));
    let help = Process::run(&home, &["--help"]).await;
    for verb in ["dev", "master", "agent", "marathon", "app", "tasks", "agents", "status", "logs"] {
        assert!(printed(&help).contains(&format!("\n  {verb} ")), "no {verb:?} in {}", help.stdout);
    }
}
