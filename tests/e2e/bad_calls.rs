//! What the master answers to scheduler calls that can't be: status and words, in Mesos's order.

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::cluster::Roles;
use crate::framework::user;
use crate::scheduler::{Scheduler, Stream, exchange, header, post, resubscription};
use crate::wait::{until, within_patience};

const JSON: &str = "Content-Type: application/json\r\n";

fn subscribe() -> Value {
    json!({"type": "SUBSCRIBE", "subscribe": {"framework_info": {"user": user(), "name": "foreign"}}})
}

#[tokio::test]
async fn a_call_that_cannot_be_read_is_refused_by_the_first_thing_that_is_wrong() {
    let roles = Roles::start(0).await;
    let master = roles.master.api.address;
    let subscribe = subscribe().to_string();
    for (headers, body, status, says) in [
        ("", &*subscribe, 400, "Expecting 'Content-Type' to be present"),
        ("Content-Type: text/plain\r\n", &subscribe, 415, "Expecting 'Content-Type' of"),
        (JSON, "", 400, "Failed to parse body into JSON"),
        (JSON, "{", 400, "Failed to parse body into JSON"),
        (JSON, "[]", 400, "Failed to convert JSON into Call protobuf"),
        (
            JSON,
            r#"{"type": "SUBSCRIBE", "subscribe": {"framework_info": {"user": 1}}}"#,
            400,
            "Failed to convert JSON into Call protobuf",
        ),
        (
            JSON,
            r#"{"type": "SUBSCRIBE", "subscribe": {"framework_info": {"user": "u"}}}"#,
            400,
            "Missing required fields",
        ),
        (
            "Content-Type: application/x-protobuf\r\n",
            "{}",
            400,
            "Failed to parse body into Call protobuf",
        ),
        (JSON, "{}", 400, "Failed to validate scheduler::Call: Expecting 'type' to be present"),
        (
            JSON,
            r#"{"type": "SUBSCRIBE"}"#,
            400,
            "Failed to validate scheduler::Call: Expecting 'subscribe' to be present",
        ),
        (
            JSON,
            r#"{"type": "REVIVE"}"#,
            400,
            "Failed to validate scheduler::Call: Expecting 'framework_id' to be present",
        ),
        (&format!("{JSON}Accept: text/html\r\n"), &subscribe, 406, "Expecting 'Accept' to allow"),
        (
            &format!("{JSON}Mesos-Stream-Id: x\r\n"),
            &subscribe,
            400,
            "Subscribe calls should not include the 'Mesos-Stream-Id' header",
        ),
    ] {
        let answer = post(master, headers, body).await;
        assert_eq!(answer.status, status, "{headers:?} {body}: {answer:?}");
        assert!(answer.body.contains(says), "{headers:?} {body}: no {says:?} in {answer:?}");
    }
    let get =
        format!("GET /api/v1/scheduler HTTP/1.1\r\nHost: {master}\r\nConnection: close\r\n\r\n");
    let answer = exchange(master, get.as_bytes()).await;
    assert_eq!((answer.status, header(&answer.head, "Allow")), (405, Some("POST")), "{answer:?}");
    assert_eq!(roles.master.api.get("/frameworks").await["frameworks"], json!([]));
    roles.stop().await;
}

#[tokio::test]
async fn a_call_belongs_to_a_framework_that_is_subscribed_on_its_present_stream() {
    let roles = Roles::start(0).await;
    let master = roles.master.api.address;
    let mut info = json!({"user": user(), "name": "foreign", "failover_timeout": 1000});
    let revive = |id: &str| json!({"type": "REVIVE", "framework_id": {"value": id}}).to_string();
    let unknown = post(master, JSON, &revive("never-was")).await;
    assert_eq!(
        (unknown.status, &*unknown.body),
        (400, "Framework cannot be found"),
        "before any SUBSCRIBE"
    );

    let scheduler = Scheduler::subscribe(master, info.clone()).await;
    let id = scheduler.framework.clone();
    let missing = post(master, JSON, &revive(&id)).await;
    assert_eq!(missing.status, 400, "{missing:?}");
    assert_eq!(missing.body, "All non-subscribe calls should include the 'Mesos-Stream-Id' header");
    let other = format!("{JSON}Mesos-Stream-Id: 00000000-0000-4000-8000-000000000000\r\n");
    let wrong = post(master, &other, &revive(&id)).await;
    assert_eq!(wrong.status, 400, "{wrong:?}");
    assert!(wrong.body.contains("didn't match the stream ID currently associated"), "{wrong:?}");
    let unbuilt = scheduler.call(json!({"type": "UNKNOWN"})).await;
    assert_eq!(unbuilt.status, 501, "{unbuilt:?}");
    let mismatch = {
        info["id"] = json!({"value": "another"});
        json!({"type": "SUBSCRIBE", "framework_id": {"value": id}, "subscribe": {"framework_info": info}})
    };
    let mismatch = post(master, JSON, &mismatch.to_string()).await;
    assert_eq!(mismatch.status, 400, "{mismatch:?}");
    assert!(mismatch.body.starts_with("Failed to validate scheduler::Call: "), "{mismatch:?}");
    scheduler.accepted(json!({"type": "REVIVE"})).await;

    let (stream_id, master_api) = (scheduler.stream_id.clone(), roles.master.api.clone());
    drop(scheduler);
    until("that it is disconnected", async || {
        let frameworks = master_api.get("/frameworks").await;
        let connected = frameworks["frameworks"][0]["connected"].clone();
        if connected == false { Ok(()) } else { Err(frameworks) }
    })
    .await;
    let late = post(master, &format!("{JSON}Mesos-Stream-Id: {stream_id}\r\n"), &revive(&id)).await;
    assert_eq!((late.status, &*late.body), (403, "Framework is not subscribed"));
    roles.stop().await;
}

#[tokio::test]
async fn a_subscription_that_breaks_a_rule_is_an_error_on_its_stream_which_ends() {
    let roles = Roles::start(0).await;
    let master = roles.master.api.address;
    for (change, says) in [
        (json!({"roles": ["a"]}), "must not be set when the framework is not MULTI_ROLE"),
        (
            json!({"role": "a", "capabilities": [{"type": "MULTI_ROLE"}]}),
            "must not be set when the framework is MULTI_ROLE",
        ),
        (json!({"roles": ["a", "a"], "capabilities": [{"type": "MULTI_ROLE"}]}), "duplicate"),
        (json!({"role": "a b"}), "role"),
        (json!({"role": "/a"}), "role"),
        (json!({"failover_timeout": -1}), "failover_timeout"),
    ] {
        let mut call = subscribe();
        for (field, value) in change.as_object().expect("fields") {
            call["subscribe"]["framework_info"][field] = value.clone();
        }
        let mut stream = Stream::open(master, &call).await;
        let event = stream.next().await.expect("an event");
        assert_eq!(event["type"], "ERROR", "{change}: {event}");
        let message = event["error"]["message"].to_string();
        assert!(message.contains(says), "{change}: no {says:?} in {message}");
        assert_eq!(stream.next().await, None, "{change}: the stream ends");
    }
    let call = resubscription("a/b", &json!({"user": user(), "name": "foreign"}));
    let mut stream = Stream::open(master, &call).await;
    assert_eq!(stream.next().await.expect("an event")["type"], "ERROR");
    assert_eq!(roles.master.api.get("/frameworks").await["frameworks"], json!([]));
    roles.stop_allowing(&["refused the subscription of"]).await;
}

#[tokio::test]
async fn protobuf_and_json_may_differ_between_a_call_and_its_answer() {
    let roles = Roles::start(0).await;
    let master = roles.master.api.address;
    let body = subscribe().to_string();
    let request = format!(
        "POST /api/v1/scheduler HTTP/1.1\r\nHost: {master}\r\n{JSON}\
         Accept: application/x-protobuf\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let mut stream = TcpStream::connect(master).await.expect("it listens");
    stream.write_all(request.as_bytes()).await.expect("it is read");
    let mut answer = Vec::new();
    let mut piece = [0; 4096];
    let end = b"\r\n\r\n";
    // The head, and the first record behind it: SUBSCRIBED begins with its type, field 1.
    let found = within_patience("the first record", async {
        loop {
            let length = stream.read(&mut piece).await.expect("it is sent");
            answer.extend_from_slice(&piece[..length]);
            let head = answer.windows(end.len()).position(|window| window == end);
            if let Some(head) = head.filter(|head| answer.len() > head + 100) {
                break head;
            }
        }
    })
    .await;
    let (head, records) = answer.split_at(found + end.len());
    let head = String::from_utf8_lossy(head);
    assert_eq!(header(&head, "Content-Type"), Some("application/x-protobuf"), "{head}");
    let lines: Vec<&[u8]> = records.splitn(3, |byte| *byte == b'\n').collect();
    assert_eq!(lines[2][..2], [0x08, 0x01], "type: SUBSCRIBED: {records:?}");
    drop(stream);
    roles.stop().await;
}
