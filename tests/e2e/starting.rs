//! A role that can't start says why in one line and ends with 3.

use std::net::TcpListener;

use serde_json::json;

use crate::cluster::Roles;
use crate::home::Home;
use crate::marathon::{deploy, sleeper};
use crate::process::{Ended, Process};

/// The one line that a role says when it can't start. The log may stand around it.
#[track_caller]
fn refusal(line: &[&str], ended: &Ended) -> String {
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(3), ""), "{line:?}: {ended:?}");
    let is_log = |line: &&str| line.contains(" INFO ") || line.contains(" WARN ");
    let said: Vec<&str> = ended.stderr.lines().filter(|line| !is_log(line)).collect();
    assert_eq!(said.len(), 1, "one line: {line:?}: {ended:?}");
    said[0].to_owned()
}

#[tokio::test]
async fn a_port_in_use_is_one_line() {
    let home = Home::new();
    let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = taken.local_addr().expect("it is bound").port();
    let in_use = format!("error: port {port} on 127.0.0.1 is in use");
    let (port, work_dir) = (port.to_string(), home.join("role"));
    let common = ["--ip", "127.0.0.1", "--port", &port, "--work-dir", &work_dir];
    for (verb, more) in [
        ("master", &[][..]),
        ("agent", &["--master", "127.0.0.1:9"]),
        ("marathon", &["--master", "127.0.0.1:9"]),
    ] {
        let line = [&[verb], &common[..], more].concat();
        let said = refusal(&line, &Process::run(&home, &line).await);
        assert!(said.starts_with(&in_use), "{verb}: {said}");
    }
    for flag in ["--master-port", "--marathon-port"] {
        let line = ["dev", flag, &port];
        let said = refusal(&line, &Process::run(&home, &line).await);
        assert!(said.starts_with(&format!("error: port {port} is in use")), "{flag}: {said}");
    }
    home.assert_nothing_left(Vec::new());
}

#[tokio::test]
async fn a_work_directory_in_use_is_one_line_and_whoever_uses_it_goes_on() {
    let roles = Roles::start(1).await;
    let marathon = roles.marathon().await;
    let address = roles.master.address();
    for (verb, dir) in [("master", "master"), ("agent", "agent-1"), ("marathon", "marathon")] {
        let work_dir = roles.home.join(dir);
        let mut line = vec![verb, "--ip", "127.0.0.1", "--port", "0", "--work-dir", &work_dir];
        if verb != "master" {
            line.extend(["--master", &address]);
        }
        let said = refusal(&line, &Process::run(&roles.home, &line).await);
        assert!(
            said.starts_with("error: ") && said.contains("in use by another"),
            "{verb}: {said}"
        );
        assert!(said.contains(&work_dir), "{verb}: {said}");
    }
    deploy(&marathon.api, &sleeper("/unharmed", 1)).await;
    marathon.stop().await;
    roles.stop().await;
}

#[tokio::test]
async fn a_flag_that_makes_no_sense_is_one_line_that_names_it() {
    let home = Home::new();
    let (work_dir, file) = (home.join("role"), home.write("file", ""));
    for (line, names) in [
        (&["agent", "--master", "127.0.0.1:9", "--resources", "cpus"][..], "--resources"),
        (&["agent", "--master", "127.0.0.1:9", "--resources", "cpus:-1"], "--resources"),
        (&["agent", "--master", "127.0.0.1:9", "--attributes", "rack"], "--attributes"),
        (&["agent", "--master", "nowhere"], "--master"),
        (&["marathon", "--master", "nowhere"], "--master"),
        (&["master", "--hostname", "a b"], "--hostname"),
        (&["master", "--work-dir", &file], &file),
    ] {
        let mut line = line.to_vec();
        if !line.contains(&"--work-dir") {
            line.extend(["--work-dir", &work_dir]);
        }
        line.extend(["--ip", "127.0.0.1", "--port", "0"]);
        let said = refusal(&line, &Process::run(&home, &line).await);
        assert!(said.starts_with("error: ") && said.contains(names), "{line:?}: {said}");
    }
}

#[tokio::test]
async fn dev_refuses_files_that_hold_no_apps_before_it_starts_anything() {
    let home = Home::new();
    let malformed = home.write("malformed.json", "{\"id\":");
    let unnamed = home.write("unnamed.json", json!([{"id": "a", "cmd": "x"}, {"cmd": "true"}]));
    std::fs::create_dir(home.path().join("empty")).expect("it is new");
    let empty = home.join("empty");
    for (file, says) in [
        ("gone.json", "gone.json: No such file"),
        (&*malformed, "malformed.json: EOF while parsing"),
        (&unnamed, "unnamed.json: app 2 has no id"),
        (&empty, "empty holds no .json file"),
    ] {
        let line = ["dev", file];
        let said = refusal(&line, &Process::run(&home, &line).await);
        assert!(said.starts_with("error: ") && said.contains(says), "{said}");
    }
    home.assert_nothing_left(Vec::new());
}
