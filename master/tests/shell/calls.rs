//! The status codes of the scheduler API, in the order in which they are checked.

use serde_json::json;

use crate::http::{self, Answer, subscribe};
use crate::master::TestMaster;

const JSON: (&str, &str) = ("Content-Type", "application/json");
const SUBSCRIBE: &str =
    r#"{"type":"SUBSCRIBE","subscribe":{"framework_info":{"user":"u","name":"n"}}}"#;

async fn post(master: &TestMaster, headers: &[(&str, &str)], body: &str) -> Answer {
    http::send(master.address, "POST", "/api/v1/scheduler", headers, body.as_bytes()).await
}

#[tokio::test]
async fn what_is_wrong_with_a_request_is_told_in_the_order_of_mesos() {
    let master = TestMaster::start().await;
    let unknown = r#"{"type":"REVIVE","framework_id":{"value":"nobody"}}"#;
    for (headers, body, status, text) in [
        (&[][..], "", 400, "Expecting 'Content-Type' to be present"),
        (
            &[("Content-Type", "text/plain")],
            "",
            415,
            "Expecting 'Content-Type' of application/json",
        ),
        (&[JSON], "not json", 400, "Failed to parse body into JSON"),
        (&[JSON], r#"{"type":5}"#, 400, "Failed to convert JSON into Call protobuf"),
        (
            &[JSON],
            r#"{"type":"SUBSCRIBE","subscribe":{"framework_info":{"user":"u"}}}"#,
            400,
            "Failed to convert JSON into Call protobuf: Missing required fields: subscribe.framework_info.name",
        ),
        (
            &[("Content-Type", "application/x-protobuf")],
            "\u{1}",
            400,
            "Failed to parse body into Call protobuf",
        ),
        (&[JSON], "{}", 400, "Failed to validate scheduler::Call: Expecting 'type' to be present"),
        (
            &[JSON],
            r#"{"type":"KILL","kill":{"task_id":{"value":"t"}}}"#,
            400,
            "Failed to validate scheduler::Call: Expecting 'framework_id' to be present",
        ),
        (&[JSON, ("Accept", "text/html")], SUBSCRIBE, 406, "Expecting 'Accept' to allow"),
        (&[JSON, ("Accept", "*/*;q=0"), ("Mesos-Stream-Id", "x")], SUBSCRIBE, 406, "Expecting"),
        (
            &[JSON, ("Mesos-Stream-Id", "x")],
            SUBSCRIBE,
            400,
            "Subscribe calls should not include the 'Mesos-Stream-Id' header",
        ),
        (&[JSON], unknown, 400, "Framework cannot be found"),
        (&[JSON, ("Accept", "text/html")], unknown, 400, "Framework cannot be found"),
        (
            &[JSON],
            r#"{"type":"REVIVE","framework_id":{"value":"a/b"}}"#,
            400,
            "Framework cannot be found",
        ),
    ] {
        let answer = post(&master, headers, body).await;
        assert_eq!(answer.status, status, "{headers:?} {body}: {}", answer.text());
        assert!(answer.text().starts_with(text), "{headers:?} {body}: {}", answer.text());
        assert_eq!(answer.headers["server"], "Meros/0.1.0");
    }
    let answer = http::get(master.address, "/api/v1/scheduler").await;
    assert_eq!((answer.status, answer.headers["allow"].as_str()), (405, "POST"));
    master.stop().await;
}

#[tokio::test]
async fn a_call_belongs_to_a_subscribed_framework_and_its_stream() {
    let master = TestMaster::start().await;
    let mut stream = subscribe(master.address, json!({"user": "u", "name": "n"})).await;
    let id = stream.framework_id().await;
    let of = |kind: &str| json!({"type": kind, "framework_id": {"value": id}});
    let live = stream.stream_id().to_owned();
    for (stream_id, call, status, text) in [
        (None, of("REVIVE"), 400, "All non-subscribe calls should include"),
        (Some("another"), of("REVIVE"), 400, "The stream ID 'another' included in this request"),
        (Some(live.as_str()), of("UNKNOWN"), 501, "UNKNOWN is not implemented"),
        (None, of("UNKNOWN"), 400, "All non-subscribe calls should include"),
        (Some(live.as_str()), of("REVIVE"), 202, ""),
        (Some(live.as_str()), of("SUPPRESS"), 202, ""),
    ] {
        let answer = http::call(master.address, stream_id, &call).await;
        assert_eq!(answer.status, status, "{call}: {}", answer.text());
        assert!(answer.text().starts_with(text), "{call}: {}", answer.text());
    }
    let mut unbuilt = of("RECONCILE_OPERATIONS");
    unbuilt["reconcile_operations"] = json!({});
    let answer = http::call(master.address, Some(&live), &unbuilt).await;
    assert_eq!(answer.status, 501, "{}", answer.text());
    master.stop().await;
}

#[tokio::test]
async fn a_framework_whose_stream_broke_is_not_subscribed() {
    let master = TestMaster::start().await;
    let info = json!({"user": "u", "name": "n", "failover_timeout": 3600});
    let mut stream = subscribe(master.address, info).await;
    let id = stream.framework_id().await;
    let stream_id = stream.stream_id().to_owned();
    drop(stream);
    let call = json!({"type": "REVIVE", "framework_id": {"value": id}});
    let refused = crate::master::eventually("the hang-up is noticed", async || {
        let answer = http::call(master.address, Some(&stream_id), &call).await;
        (answer.status != 202).then_some(answer)
    });
    let refused = refused.await;
    assert_eq!((refused.status, refused.text().as_str()), (403, "Framework is not subscribed"));
    master.stop().await;
}

#[tokio::test]
async fn a_body_over_the_limit_is_refused() {
    let master = TestMaster::start().await;
    let body = " ".repeat((64 << 20) + 1);
    let answer = post(&master, &[JSON], &body).await;
    assert_eq!(answer.status, 413);
    assert_eq!(http::get(master.address, "/health").await.status, 200);
    master.stop().await;
}
