//! What Marathon answers to what it can't take, status and body.

use meros_sdk::http::Method;
use serde_json::{Value, json};

use crate::cluster::Dev;
use crate::marathon::{deploy, deployed, ids, running, sleeper};

/// 422 for JSON of the wrong shape.
fn wrong_shape(path: &str, error: &str) -> (u16, Value) {
    (422, json!({"message": "Invalid JSON", "details": [{"path": path, "errors": [error]}]}))
}

/// 422 for an object that breaks a rule.
fn not_valid(path: &str, error: &str) -> (u16, Value) {
    (422, json!({"message": "Object is not valid", "details": [{"path": path, "errors": [error]}]}))
}

#[tokio::test]
async fn an_app_that_cannot_be_is_refused_with_every_path_that_is_wrong() {
    let dev = Dev::start(&["--agents", "1"]).await;
    deploy(&dev.marathon, &sleeper("/taken", 1)).await;
    let with = |field: &str, value: Value| {
        let mut app = sleeper("/x", 1);
        app[field] = value;
        app
    };
    let neither = "AppDefinition must either contain one of 'cmd' or 'args', and/or a 'container'.";
    let segment = r"must fully match regular expression '^(([a-z0-9]|[a-z0-9][a-z0-9\-]*[a-z0-9])\.)*([a-z0-9]|[a-z0-9][a-z0-9\-]*[a-z0-9])|(\.|\.\.)$'";
    for (app, (status, body)) in [
        (json!({"cmd": "sleep 1"}), wrong_shape("/id", "error.path.missing")),
        (json!([]), wrong_shape("/", "error.expected.jsobject")),
        (with("cpus", json!("two")), wrong_shape("/cpus", "error.expected.jsnumber")),
        (with("cpus", json!(0)), wrong_shape("/cpus", "error.min")),
        (with("instances", json!(-1)), wrong_shape("/instances", "error.min")),
        (with("cmd", json!(["a"])), wrong_shape("/cmd", "error.expected.jsstring")),
        (with("env", json!([])), wrong_shape("/env", "error.expected.jsobject")),
        (
            with("constraints", json!([["hostname"]])),
            wrong_shape("/constraints(0)", "error.minLength"),
        ),
        (
            with("portDefinitions", json!([{"port": 0}, {"port": 70000}])),
            wrong_shape("/portDefinitions(1)/port", "error.max"),
        ),
        (
            with("killSelection", json!("NEWEST")),
            wrong_shape("/killSelection", "error.unknown.enum.literal"),
        ),
        (with("id", json!("/Capital")), wrong_shape("/id", "error.pattern")),
        (with("id", json!("/a--b/-c")), wrong_shape("/id", "error.pattern")),
        (with("id", json!("/a..b")), not_valid("/id", segment)),
        (with("cmd", json!("x")), not_valid("/cmd", "must not be an empty string")),
        (json!({"id": "/x"}), not_valid("/", neither)),
        (with("args", json!(["a"])), not_valid("/", neither)),
        (
            with("portDefinitions", json!([{"port": 80}, {"port": 80}])),
            not_valid("/portDefinitions", "Ports must be unique."),
        ),
        (
            with("container", json!({"type": "DOCKER", "docker": {"image": "x"}})),
            not_valid("/container", "is not supported by this version"),
        ),
        (
            json!({"id": "/taken", "cmd": "sleep 1"}),
            (409, json!({"message": "An app with id [/taken] already exists."})),
        ),
    ] {
        let answer = dev.marathon.post("/v2/apps", &app).await;
        assert_eq!((answer.status, answer.json()), (status, body), "POST {app}");
    }
    let several = json!({"id": "/x", "cmd": 1, "cpus": "a", "mem": -1});
    let details = json!([
        {"path": "/cmd", "errors": ["error.expected.jsstring"]},
        {"path": "/cpus", "errors": ["error.expected.jsnumber"]},
        {"path": "/mem", "errors": ["error.min"]},
    ]);
    let answer = dev.marathon.post("/v2/apps", &several).await.expect(422);
    assert_eq!(answer, json!({"message": "Invalid JSON", "details": details}));
    assert_eq!(dev.marathon.get("/v2/deployments").await, json!([]), "nothing was begun");
    dev.stop().await;
}

#[tokio::test]
async fn text_that_is_no_json_is_told_from_json_of_the_wrong_shape() {
    let dev = Dev::start(&["--agents", "1"]).await;
    for (method, path) in [
        (Method::POST, "/v2/apps"),
        (Method::PUT, "/v2/apps"),
        (Method::PUT, "/v2/apps/x"),
        (Method::PATCH, "/v2/apps/x"),
        (Method::POST, "/v2/tasks/delete"),
    ] {
        for text in ["{", "", "{\"id\": \"/x\",}", "\u{fffd}"] {
            let answer = dev.marathon.send(method.clone(), path, text).await;
            let body = answer.json();
            assert_eq!(
                (answer.status, &body["message"]),
                (400, &json!("Invalid JSON")),
                "{method} {path} {text:?}"
            );
            assert!(body["details"].is_string(), "the parser's words: {body}");
        }
    }
    let ids = dev.marathon.post("/v2/tasks/delete", &json!({"ids": "x"})).await;
    assert_eq!((ids.status, ids.json()), wrong_shape("/ids", "error.expected.jsarray"));
    dev.stop().await;
}

#[tokio::test]
async fn what_is_not_there_is_404_with_its_name_and_never_5xx() {
    let dev = Dev::start(&["--agents", "1"]).await;
    deploy(&dev.marathon, &sleeper("/here", 1)).await;
    let no_app = "App '/gone' does not exist";
    let change = json!({"instances": 1}).to_string();
    for (method, path, message) in [
        (Method::GET, "/v2/apps/gone", no_app),
        (Method::GET, "/v2/apps//gone", no_app),
        (Method::GET, "/v2/apps/gone/tasks", no_app),
        (Method::GET, "/v2/apps/gone/versions", no_app),
        (
            Method::GET,
            "/v2/apps/here/versions/2015-01-01T00:00:00.000Z",
            "App '/here' does not exist in version 2015-01-01T00:00:00.000Z",
        ),
        (Method::PATCH, "/v2/apps/gone", no_app),
        (Method::DELETE, "/v2/apps/gone", no_app),
        (Method::POST, "/v2/apps/gone/restart", no_app),
        (Method::DELETE, "/v2/apps/gone/tasks", no_app),
        (Method::DELETE, "/v2/apps/gone/tasks/gone.instance-x._app.1", no_app),
        (
            Method::DELETE,
            "/v2/apps/here/tasks/here.instance-x._app.1",
            "Task 'here.instance-x._app.1' does not exist",
        ),
        (Method::GET, "/v2/apps/gone/*", "Group '/gone' does not exist"),
        (Method::GET, "/v2/groups/gone", "Group '/gone' does not exist"),
        (Method::DELETE, "/v2/deployments/gone", "DeploymentPlan gone does not exist"),
        (Method::DELETE, "/v2/queue/gone/delay", "Application /gone not found in tasks queue."),
    ] {
        let answer = dev.marathon.send(method.clone(), path, &change).await;
        let wanted = (404, json!({"message": message}));
        assert_eq!((answer.status, answer.json()), wanted, "{method} {path}");
    }
    for (method, path, status) in [
        (Method::GET, "/v2/nothing", 404),
        (Method::GET, "/v3/apps", 404),
        (Method::DELETE, "/v2/apps", 405),
        (Method::POST, "/v2/info", 405),
        (Method::POST, "/v2/groups", 404),
        (Method::GET, "/v2/pods", 404),
        (Method::GET, "/v2/apps?label=a%20in%20(", 422),
        (Method::POST, "/v2/tasks/delete", 422),
    ] {
        let answer = dev.marathon.send(method.clone(), path, "{}").await;
        assert_eq!(answer.status, status, "{method} {path}: {}", answer.text);
        assert!(answer.json()["message"].is_string(), "{method} {path}: {}", answer.text);
    }
    let ids = dev.marathon.post("/v2/tasks/delete", &json!({"ids": ["no task"]})).await;
    assert_eq!(ids.status, 400, "{}", ids.text);
    dev.stop().await;
}

#[tokio::test]
async fn what_clients_send_that_means_nothing_is_let_pass() {
    let dev = Dev::start(&["--agents", "1"]).await;
    // Explicit nulls, fields of other releases, and what a client read and sends back.
    let mut app = sleeper("x", 1);
    for field in ["ports", "dependencies", "container", "user", "storeUrls", "taskRateLimit"] {
        app[field] = Value::Null;
    }
    app["fetch"] = json!([]);
    app["storeUrls"] = json!(["a"]);
    app["gpus"] = json!(0);
    let created = dev.marathon.post("/v2/apps?unknown=1", &app).await;
    assert_eq!(created.status, 201, "{}", created.text);
    deployed(&dev.marathon, &created).await;
    let mut read = dev.marathon.get("/v2/apps/x").await["app"].clone();
    let fields = read.as_object_mut().expect("an app");
    for field in ["version", "versionInfo"] {
        fields.remove(field);
    }
    let before = ids(&running(&dev.marathon, "x", 1).await);
    let back = dev.marathon.put("/v2/apps/x", &read).await;
    assert_eq!(back.status, 200, "{}", back.text);
    deployed(&dev.marathon, &back).await;
    let after = ids(&running(&dev.marathon, "x", 1).await);
    assert_eq!(after, before, "it is the same app");
    dev.stop().await;
}
