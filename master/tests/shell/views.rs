//! What tools read.

use std::io::Read;

use serde_json::json;

use crate::agent::FakeAgent;
use crate::http::{self, subscribe};
use crate::master::TestMaster;

#[tokio::test]
async fn the_state_stands_under_all_its_old_paths() {
    let master = TestMaster::start().await;
    let mut stream = subscribe(master.address, json!({"user": "u", "name": "fw"})).await;
    let id = stream.framework_id().await;
    for path in ["/state", "/state.json", "/master/state", "/master/state.json", "/master/state/"] {
        let answer = http::get(master.address, path).await;
        assert_eq!(answer.status, 200, "{path}");
        assert_eq!(answer.headers["content-type"], "application/json", "{path}");
        let state = answer.json();
        assert_eq!(state["version"], "1.11.0");
        assert_eq!(state["cluster"], "test");
        assert_eq!(state["leader"], format!("master@{}", master.address));
        assert_eq!(state["frameworks"][0]["id"], id.as_str());
        assert_eq!(state["frameworks"][0]["role"], "*");
        for list in ["slaves", "completed_frameworks", "orphan_tasks", "unregistered_frameworks"] {
            assert_eq!(state[list], json!([]), "{list}");
        }
    }
    for path in ["/frameworks", "/master/frameworks/", "/state-summary"] {
        let answer = http::get(master.address, path).await.json();
        assert_eq!(answer["frameworks"][0]["name"], "fw", "{path}");
    }
    let none = http::get(master.address, "/frameworks?framework_id=nobody").await.json();
    assert_eq!(none["frameworks"], json!([]));
    let roles = http::get(master.address, "/roles").await.json();
    assert_eq!(roles["roles"][0]["name"], "*");
    assert_eq!(roles["roles"][0]["frameworks"], json!([id]));
    master.stop().await;
}

#[tokio::test]
async fn metrics_are_flat_numbers_and_text_for_prometheus() {
    let master = TestMaster::start().await;
    let (_agent, _) = FakeAgent::register(master.address, "cpus:4;mem:1024").await;
    let metrics = http::get(master.address, "/metrics/snapshot?timeout=10secs").await.json();
    let metrics = metrics.as_object().expect("an object");
    assert!(metrics.values().all(serde_json::Value::is_number));
    for (key, value) in [
        ("master/elected", 1.0),
        ("master/slaves_active", 1.0),
        ("master/slaves_connected", 1.0),
        ("master/frameworks_active", 0.0),
        ("master/cpus_total", 4.0),
        ("master/cpus_used", 0.0),
        ("master/mem_percent", 0.0),
        ("master/gpus_revocable_total", 0.0),
        ("master/tasks_gone_by_operator", 0.0),
        ("master/slave_registrations", 1.0),
        ("registrar/log/recovered", 1.0),
    ] {
        assert_eq!(metrics.get(key), Some(&json!(value)), "{key}");
    }
    let answer = http::get(master.address, "/metrics").await;
    assert!(answer.headers["content-type"].starts_with("text/plain; version=0.0.4"));
    assert!(answer.text().contains("\nmeros_master_slaves_active 1\n"), "{}", answer.text());
    master.stop().await;
}

#[tokio::test]
async fn large_answers_are_compressed_for_those_who_ask() {
    let master = TestMaster::start().await;
    let gzip = [("Accept-Encoding", "gzip")];
    let answer = http::send(master.address, "GET", "/metrics/snapshot", &gzip, b"").await;
    assert_eq!(answer.headers["content-encoding"], "gzip");
    let mut text = String::new();
    flate2::read::GzDecoder::new(&answer.body[..]).read_to_string(&mut text).expect("it is gzip");
    assert!(text.contains("master/elected"));
    let small = http::send(master.address, "GET", "/version", &gzip, b"").await;
    assert!(!small.headers.contains_key("content-encoding"));
    master.stop().await;
}

#[tokio::test]
async fn paths_and_methods_that_are_not_there_are_told_apart() {
    let master = TestMaster::start().await;
    for (method, path, status) in [
        ("GET", "/health", 200),
        ("GET", "/version", 200),
        ("GET", "/flags", 200),
        ("GET", "/weights", 200),
        ("GET", "/redirect", 307),
        ("GET", "/master/redirect", 307),
        ("GET", "/nothing", 404),
        ("GET", "/", 404),
        ("GET", "/master", 404),
        ("POST", "/state", 405),
        ("DELETE", "/health", 405),
        ("GET", "/teardown", 405),
        ("GET", "/api/v1", 405),
        ("GET", "/tasks?limit=many", 400),
        ("GET", "/tasks?order=up", 400),
        ("GET", "/state?jsonp=alert(1)", 400),
    ] {
        let answer = http::send(master.address, method, path, &[], b"").await;
        assert_eq!(answer.status, status, "{method} {path}: {}", answer.text());
        assert_eq!(answer.headers["server"], "Meros/0.1.0");
        if status == 405 {
            assert!(answer.headers.contains_key("allow"), "{method} {path}");
        }
    }
    let redirect = http::get(master.address, "/redirect").await;
    assert_eq!(redirect.headers["location"], format!("//{}", master.address));
    let script = http::get(master.address, "/version?jsonp=show").await.text();
    assert!(script.starts_with("show({") && script.ends_with("});"), "{script}");
    master.stop().await;
}

#[tokio::test]
async fn operators_calls_are_answered_or_said_to_be_missing() {
    let master = TestMaster::start().await;
    let json_type = [("Content-Type", "application/json")];
    for (call, status, field) in [
        (r#"{"type":"GET_HEALTH"}"#, 200, "get_health"),
        (r#"{"type":"GET_VERSION"}"#, 200, "get_version"),
        (r#"{"type":"GET_FLAGS"}"#, 200, "get_flags"),
        (r#"{"type":"GET_MASTER"}"#, 200, "get_master"),
        (r#"{"type":"GET_METRICS","get_metrics":{}}"#, 200, "get_metrics"),
        (r#"{"type":"GET_QUOTA"}"#, 501, ""),
        (r#"{"type":"SUBSCRIBE"}"#, 501, ""),
        (r#"{"type":"NO_SUCH_CALL"}"#, 400, ""),
        ("{}", 400, ""),
        (r#"{"type":"TEARDOWN","teardown":{"framework_id":{"value":"nobody"}}}"#, 400, ""),
    ] {
        let answer =
            http::send(master.address, "POST", "/api/v1", &json_type, call.as_bytes()).await;
        assert_eq!(answer.status, status, "{call}: {}", answer.text());
        if !field.is_empty() {
            assert!(answer.json()[field].is_object(), "{call}: {}", answer.text());
        }
    }
    master.stop().await;
}

#[tokio::test]
async fn an_operator_removes_a_framework_and_sets_weights() {
    let master = TestMaster::start().await;
    let mut stream = subscribe(master.address, json!({"user": "u", "name": "fw"})).await;
    let id = stream.framework_id().await;
    let weights = br#"[{"role": "web", "weight": 2.5}]"#;
    let answer = http::send(master.address, "PUT", "/weights", &[], weights).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let weights = http::get(master.address, "/weights").await.json();
    assert_eq!(weights, json!([{"role": "web", "weight": 2.5}]));

    let form = format!("frameworkId={id}");
    for (body, status) in
        [("", 400), ("frameworkId=nobody", 400), (form.as_str(), 200), (&form, 400)]
    {
        let answer =
            http::send(master.address, "POST", "/master/teardown", &[], body.as_bytes()).await;
        assert_eq!(answer.status, status, "{body}: {}", answer.text());
    }
    while stream.event().await.is_some() {}
    let state = http::get(master.address, "/state").await.json();
    assert_eq!(state["frameworks"], json!([]));
    assert_eq!(state["completed_frameworks"][0]["id"], id.as_str());
    master.stop().await;
}
