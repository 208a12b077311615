//! What the agent answers over HTTP.

use serde_json::json;

use crate::host::Host;

#[tokio::test]
async fn the_usual_endpoints_answer_under_their_old_names_too() {
    let (host, mut master, _dir) = Host::registered().await;
    for path in ["/health", "/slave(1)/health"] {
        let answer = host.get(path).await;
        assert_eq!((answer.status, answer.body.as_str()), (200, ""), "{path}");
        assert!(answer.head.contains("server: meros/"), "{}", answer.head);
    }
    assert_eq!(host.get("/version").await.json()["version"], "1.11.0");
    for path in ["/state", "/state.json", "/slave(1)/state", "/slave(1)/state/"] {
        let state = host.get(path).await.json();
        assert_eq!(state["id"], "m-S0", "{path}");
        assert_eq!(state["pid"], format!("slave(1)@{}", host.address));
        assert_eq!(state["hostname"], "host-1");
        assert_eq!(state["attributes"], json!({ "rack": "r1" }));
        assert_eq!(state["resources"]["ports"], "[31000-31010]");
        assert_eq!(state["flags"]["hostname"], "host-1");
    }
    let wrapped = host.get("/version?jsonp=show").await;
    assert!(wrapped.body.starts_with("show({") && wrapped.body.ends_with("});"), "{wrapped:?}");
    let metrics = host.get("/metrics/snapshot").await.json();
    assert_eq!(metrics["slave/registered"], 1.0);
    assert_eq!(metrics["slave/cpus_total"], 2.0);
    let text = host.get("/metrics").await.body;
    assert!(text.contains("\nmeros_agent_cpus_total 2\n"), "{text}");
    assert_eq!(host.get("/flags").await.json()["flags"]["default_role"], "*");
    assert_eq!(host.get("/containers").await.json(), json!([]));
    host.leave(&mut master).await;
}

#[tokio::test]
async fn what_is_unknown_or_not_built_is_refused() {
    let (host, mut master, _dir) = Host::registered().await;
    for path in ["/", "/nothing", "/state/more", "/api/v2", "/files", "/files/delete"] {
        assert_eq!(host.get(path).await.status, 404, "{path}");
    }
    let post = |path: &str, media: &str, body: &str| {
        format!(
            "POST {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{media}Content-Length: {}\r\n\r\n{body}",
            body.len()
        )
    };
    let json = "Content-Type: application/json\r\n";
    for (path, media, body, status) in [
        ("/state", json, "", 405),
        ("/api/v1", json, r#"{"type":"GET_HEALTH"}"#, 200),
        ("/api/v1", json, r#"{"type":"GET_CONTAINERS"}"#, 501),
        ("/api/v1", json, r#"{"type":"NO_SUCH_CALL"}"#, 400),
        ("/api/v1", json, "{}", 400),
        ("/api/v1", json, "{", 400),
        ("/api/v1", "", "{}", 400),
        ("/api/v1", "Content-Type: text/plain\r\n", "{}", 415),
        ("/api/v1/executor", json, r#"{"type":"SUBSCRIBE"}"#, 501),
    ] {
        let answer = host.ask(&post(path, media, body)).await;
        assert_eq!(answer.status, status, "{path} {body}: {answer:?}");
    }
    let version = host.ask(&post("/api/v1", json, r#"{"type":"GET_VERSION"}"#)).await.json();
    assert_eq!(version["get_version"]["version_info"]["version"], "1.11.0");
    assert_eq!(host.get("/api/v1").await.status, 405);
    host.leave(&mut master).await;
}
