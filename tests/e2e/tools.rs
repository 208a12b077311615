//! What tools in the field read: the paths that they ask for, in their spellings, and the fields.

use meros_sdk::http::Method;
use serde_json::{Value, json};

use crate::cluster::Dev;
use crate::http::{Api, list, text};
use crate::marathon::{deploy, sleeper};
use crate::wait::until;

/// GET, which must be answered with 200 and have something at each of the JSON pointers.
async fn has(api: &Api, path: &str, pointers: &[&str]) -> Value {
    let answer = api.get(path).await;
    for pointer in pointers {
        assert!(answer.pointer(pointer).is_some(), "no {pointer} at {path}: {answer}");
    }
    answer
}

#[tokio::test]
async fn the_masters_older_endpoints_answer_under_all_their_names() {
    let dev = Dev::start(&["--agents", "1"]).await;
    dev.is_whole().await;
    let id = text(&deploy(&dev.marathon, &sleeper("/sleeper", 1)).await[0]["id"]).to_owned();
    for path in ["/state", "/state.json", "/master/state", "/master/state.json", "/state/"] {
        let state = has(
            &dev.master,
            path,
            &[
                "/version",
                "/start_time",
                "/elected_time",
                "/pid",
                "/leader",
                "/leader_info/port",
                "/flags",
                "/slaves/0/pid",
                "/slaves/0/resources/cpus",
                "/slaves/0/attributes/rack",
                "/frameworks/0/tasks/0/statuses/0/state",
                "/frameworks/0/used_resources/mem",
                "/completed_frameworks",
                "/orphan_tasks",
                "/unregistered_frameworks",
            ],
        )
        .await;
        assert_eq!(state["frameworks"][0]["tasks"][0]["id"], *id, "{path}");
        assert_eq!(text(&state["leader"]), format!("master@{}", dev.master.address), "{path}");
        assert_eq!(text(&state["slaves"][0]["pid"]), format!("slave(1)@{}", dev.agents[0].address));
    }
    let version = has(&dev.master, "/version", &["/version"]).await;
    let numbers: Vec<&str> = text(&version["version"]).split('.').collect();
    assert!(numbers.len() == 3 && numbers.iter().all(|n| n.parse::<u32>().is_ok()), "{version}");
    let slaves =
        has(&dev.master, "/slaves", &["/slaves/0/used_resources_full", "/recovered_slaves"]).await;
    let agent = text(&slaves["slaves"][0]["id"]);
    let one = dev.master.get(&format!("/slaves?slave_id={agent}")).await;
    assert_eq!(list(&one["slaves"]).len(), 1);
    assert_eq!(dev.master.get("/slaves?slave_id=none").await["slaves"], json!([]));
    for path in ["/tasks?order=asc&limit=-1", "/master/tasks.json", "/tasks?limit=1&offset=0"] {
        assert_eq!(
            has(&dev.master, path, &["/tasks/0/slave_id"]).await["tasks"][0]["id"],
            *id,
            "{path}"
        );
    }
    assert_eq!(dev.master.get("/tasks?limit=1&offset=1").await["tasks"], json!([]));
    has(&dev.master, "/master/frameworks/", &["/frameworks/0/id"]).await;
    has(&dev.master, "/roles", &["/roles/0/name", "/roles/0/weight"]).await;
    has(&dev.master, "/state-summary", &["/slaves/0/TASK_RUNNING", "/frameworks/0/TASK_RUNNING"])
        .await;
    has(&dev.master, "/flags", &["/flags/work_dir"]).await;
    let metrics = dev.master.get("/metrics/snapshot").await;
    for (name, value) in [
        ("master/elected", 1.0),
        ("master/slaves_active", 1.0),
        ("master/frameworks_active", 1.0),
        ("master/tasks_running", 1.0),
        ("master/tasks_lost", 0.0),
    ] {
        assert_eq!(metrics[name].as_f64(), Some(value), "{name}");
    }
    let redirect = dev.master.send(Method::GET, "/master/redirect", "").await;
    assert_eq!(redirect.status, 307);
    assert!(redirect.header("location").ends_with(&dev.master.address.to_string()), "{redirect:?}");
    let scripted = dev.master.send(Method::GET, "/version?jsonp=f", "").await;
    assert!(scripted.text.starts_with("f({") && scripted.text.ends_with(");"), "{}", scripted.text);
    let prometheus = dev.master.send(Method::GET, "/metrics", "").await;
    assert!(prometheus.text.contains("\n# TYPE "), "{}", prometheus.text);
    dev.stop().await;
}

#[tokio::test]
async fn an_agents_older_endpoints_show_its_tasks_and_their_sandboxes() {
    let dev = Dev::start(&["--agents", "1"]).await;
    let mut app = sleeper("/sleeper", 1);
    app["cmd"] = json!("echo 12345; ln -s /etc/passwd leak; exec sleep 1000");
    deploy(&dev.marathon, &app).await;
    let agent = &dev.agents[0];
    let mut directory = String::new();
    for path in ["/state", "/state.json", "/slave(1)/state", "/slave%281%29/state.json"] {
        let state = has(
            agent,
            path,
            &[
                "/id",
                "/pid",
                "/resources/cpus",
                "/attributes/rack",
                "/flags",
                "/frameworks/0/executors/0/directory",
                "/frameworks/0/executors/0/tasks/0/id",
            ],
        )
        .await;
        directory = text(&state["frameworks"][0]["executors"][0]["directory"]).to_owned();
    }
    let read = |query: &str| format!("/files/read?path={directory}/{query}");
    until("its output", async || {
        let size = agent.get(&read("stdout&offset=-1")).await;
        if size == json!({"data": "", "offset": 6}) { Ok(()) } else { Err(size) }
    })
    .await;
    for (query, data, offset) in [
        ("stdout&offset=0", "12345\n", 0),
        ("stdout&offset=2&length=2", "34", 2),
        ("stdout&offset=6", "", 6),
    ] {
        assert_eq!(
            agent.get(&read(query)).await,
            json!({"data": data, "offset": offset}),
            "{query}"
        );
    }
    let listed = agent.get(&format!("/files/browse?path={directory}")).await;
    let mut names: Vec<&str> =
        list(&listed).iter().filter_map(|entry| text(&entry["path"]).rsplit('/').next()).collect();
    names.sort_unstable();
    assert!(names.contains(&"stdout") && names.contains(&"stderr"), "{listed}");
    let whole =
        agent.send(Method::GET, &format!("/files/download?path={directory}/stdout"), "").await;
    assert_eq!((whole.status, whole.text.as_str()), (200, "12345\n"));
    assert!(whole.header("content-disposition").starts_with("attachment"), "{whole:?}");

    // Nothing outside of the sandboxes can be read, whatever the way there.
    for path in [
        "/etc/passwd".to_owned(),
        format!("{directory}/leak"),
        format!("{directory}/../../../../../../../../../../../../etc/passwd"),
        format!("{directory}/%2e%2e/%2e%2e/%2e%2e/%2e%2e/%2e%2e/%2e%2e/agent.log"),
        "/framework/../../agent.log".to_owned(),
    ] {
        for verb in ["read", "download"] {
            let answer =
                agent.send(Method::GET, &format!("/files/{verb}?offset=0&path={path}"), "").await;
            assert!([400, 403, 404].contains(&answer.status), "{verb} {path}: {answer:?}");
            assert!(!answer.text.contains("root:"), "{verb} {path}: {answer:?}");
        }
    }
    for (path, status) in [
        ("/files/read", 400),
        (&format!("/files/read?path={directory}"), 400),
        (&format!("/files/read?path={directory}/stdout&offset=x"), 400),
        (&format!("/files/read?path={directory}/none&offset=0"), 404),
        ("/nothing", 404),
    ] {
        let answer = agent.send(Method::GET, path, "").await;
        assert_eq!(answer.status, status, "{path}: {answer:?}");
    }
    dev.stop().await;
}

#[tokio::test]
async fn marathon_says_what_it_is_and_lists_what_is_asked_for() {
    let dev = Dev::start(&["--agents", "1"]).await;
    dev.is_whole().await;
    let address = dev.marathon.address.to_string();
    let ping = dev.marathon.send(Method::GET, "/ping", "").await;
    assert_eq!((ping.status, ping.text.as_str()), (200, "pong"));
    assert_eq!(ping.header("x-marathon-leader"), format!("http://{address}"));
    assert_eq!(dev.marathon.get("/v2/leader").await, json!({"leader": address}));
    let info = has(
        &dev.marathon,
        "/v2/info",
        &[
            "/version",
            "/frameworkId",
            "/marathon_config/master",
            "/zookeeper_config/zk",
            "/http_config/http_port",
        ],
    )
    .await;
    assert_eq!(
        (&info["name"], &info["elected"], text(&info["leader"])),
        (&json!("marathon"), &json!(true), &*address)
    );

    for (id, cmd, tier) in
        [("/shop/web", "exec sleep 1001", "front"), ("/shop/db", "exec sleep 1002", "back")]
    {
        let mut app = sleeper(id, 1);
        app["cmd"] = json!(cmd);
        app["labels"] = json!({"tier": tier});
        deploy(&dev.marathon, &app).await;
    }
    deploy(&dev.marathon, &sleeper("/other", 1)).await;
    for (query, wanted) in [
        ("", &["/other", "/shop/db", "/shop/web"][..]),
        ("?cmd=SLEEP%201001", &["/shop/web"]),
        ("?id=shop", &["/shop/db", "/shop/web"]),
        ("?label=tier", &["/shop/db", "/shop/web"]),
        ("?label=tier%3D%3Dfront", &["/shop/web"]),
        ("?label=tier!%3Dfront", &["/shop/db"]),
        ("?label=tier%20in%20(front%2Cback)%2Ctier%20notin%20(back)", &["/shop/web"]),
        ("?label=none", &[]),
    ] {
        let answer = dev.marathon.get(&format!("/v2/apps{query}")).await;
        let found: Vec<&str> = list(&answer["apps"]).iter().map(|app| text(&app["id"])).collect();
        assert_eq!(found, wanted, "{query}");
    }
    // marathon-lb and Traefik read apps with their tasks in one request.
    for embed in ["embed=apps.tasks", "embed=app.tasks&embed=unknown", "embed=tasks"] {
        has(
            &dev.marathon,
            &format!("/v2/apps?{embed}&id=web"),
            &[
                "/apps/0/labels/tier",
                "/apps/0/tasks/0/host",
                "/apps/0/tasks/0/ports",
                "/apps/0/tasks/0/state",
                "/apps/0/tasks/0/healthCheckResults",
                "/apps/0/deployments",
                "/apps/0/tasksRunning",
            ],
        )
        .await;
    }
    let group = dev.marathon.get("/v2/apps/shop/*").await;
    assert_eq!(list(&group["*"]).len(), 2, "{group}");
    assert_eq!(list(&dev.marathon.get("/v2/apps/shop/*/tasks").await["tasks"]).len(), 2);
    let root =
        has(&dev.marathon, "/v2/groups", &["/id", "/apps/0/id", "/groups/0/apps/0/id", "/version"])
            .await;
    assert_eq!((&root["id"], &root["groups"][0]["id"]), (&json!("/"), &json!("/shop")));
    assert_eq!(list(&dev.marathon.get("/v2/tasks").await["tasks"]).len(), 3);
    assert_eq!(dev.marathon.get("/v2/tasks?status=staging").await, json!({"tasks": []}));
    dev.stop().await;
}
