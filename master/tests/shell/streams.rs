//! Event streams: how they look on the wire, how they end, and a task's way over them.

use meros_proto::v1;
use meros_proto::v1::scheduler::{Call, call};
use meros_proto::wire::{self, Encoding};
use serde_json::json;

use crate::agent::FakeAgent;
use crate::http::{self, subscribe, subscribe_with};
use crate::master::TestMaster;

#[tokio::test]
async fn a_subscription_is_chunked_in_the_encoding_that_was_asked_for() {
    let master = TestMaster::start().await;
    let info = v1::FrameworkInfo {
        user: Some("u".to_owned()),
        name: Some("n".to_owned()),
        ..Default::default()
    };
    let call = Call {
        r#type: Some(call::Type::Subscribe.into()),
        subscribe: Some(call::Subscribe { framework_info: Some(info), ..Default::default() }),
        ..Default::default()
    };
    // Request and answer are independent of each other, and mesos-go sends Accept twice.
    for (sent, accept, answered) in [
        (Encoding::Json, &[][..], Encoding::Json),
        (Encoding::Json, &["application/x-protobuf"], Encoding::Protobuf),
        (
            Encoding::Protobuf,
            &["application/x-protobuf", "application/x-protobuf"],
            Encoding::Protobuf,
        ),
        (Encoding::Protobuf, &["*/*"], Encoding::Json),
    ] {
        let mut headers = vec![("Content-Type", sent.media_type())];
        headers.extend(accept.iter().map(|accept| ("Accept", *accept)));
        let body = wire::encode(sent, &call);
        let mut stream = subscribe_with(master.address, &headers, &body, answered).await;
        assert_eq!(stream.head.status, 200, "{sent:?} {accept:?}");
        assert_eq!(stream.head.headers["content-type"], answered.media_type());
        assert_eq!(stream.head.headers["transfer-encoding"], "chunked");
        assert_eq!(stream.stream_id().len(), 36);
        let subscribed = stream.event().await.expect("SUBSCRIBED comes first");
        assert_eq!(subscribed.r#type().as_str_name(), "SUBSCRIBED");
        let subscribed = subscribed.subscribed.expect("it has a body");
        assert_eq!(subscribed.heartbeat_interval_seconds, Some(15.0));
        let info = subscribed.master_info.expect("it names the master");
        assert_eq!(info.version.as_deref(), Some("1.11.0"));
        assert_eq!(info.port, Some(u32::from(master.address.port())));
        let heartbeat = stream.event().await.expect("a heartbeat follows at once");
        assert_eq!(heartbeat.r#type().as_str_name(), "HEARTBEAT");
    }
    master.stop().await;
}

#[tokio::test]
async fn a_refused_subscription_is_an_error_on_a_stream_that_ends() {
    let master = TestMaster::start().await;
    for info in [
        json!({"user": "u", "name": "n", "role": "a//b"}),
        json!({"user": "u", "name": "n", "id": {"value": "a/b"}}),
    ] {
        let mut stream = subscribe(master.address, info.clone()).await;
        assert_eq!(stream.head.status, 200, "{info}");
        let error = stream.event().await.expect("an event");
        assert_eq!(error.r#type().as_str_name(), "ERROR", "{info}");
        assert!(stream.event().await.is_none(), "{info}");
    }
    master.stop().await;
}

#[tokio::test]
async fn pymesos_finds_what_it_rests_on() {
    let master = TestMaster::start().await;
    let version = http::get(master.address, "/version").await.json();
    let version = version["version"].as_str().expect("a text").to_owned();
    assert_eq!(version.split('.').filter(|part| part.parse::<u32>().is_ok()).count(), 3);

    let info = json!({
        "user": "u", "name": "n", "failover_timeout": 100,
        "webui_url": null, "principal": null, "capabilities": null, "offer_filters": null,
    });
    let mut first = subscribe(master.address, info.clone()).await;
    let record = first.record().await.expect("SUBSCRIBED");
    let subscribed: serde_json::Value = serde_json::from_slice(&record).expect("it is JSON");
    assert_eq!(subscribed["type"], "SUBSCRIBED");
    let id = subscribed["subscribed"]["framework_id"]["value"].clone();

    // Failover: the id stands in both places.
    let mut again = info;
    again["id"] = json!({"value": id});
    let mut second = subscribe(master.address, again).await;
    assert_eq!(json!(second.framework_id().await), id);
    let error = first.wait_for("ERROR").await.error.expect("it has a body");
    assert_eq!(error.message.as_deref(), Some("Framework failed over"));
    assert!(first.event().await.is_none(), "the old stream ends");

    // Calls of the old stream are not those of the new one.
    let call = json!({"type": "REVIVE", "framework_id": {"value": id}});
    let (old, new) = (first.stream_id().to_owned(), second.stream_id().to_owned());
    assert_ne!(old, new);
    assert_eq!(http::call(master.address, Some(&old), &call).await.status, 400);
    assert_eq!(http::call(master.address, Some(&new), &call).await.status, 202);
    master.stop().await;
}

#[tokio::test]
async fn a_task_goes_to_its_agent_and_its_states_come_back() {
    let master = TestMaster::start().await;
    let (mut agent, agent_id) = FakeAgent::register(master.address, "cpus:4;mem:1024").await;
    let info = json!({"user": "u", "name": "n", "failover_timeout": 3600});
    let mut stream = subscribe(master.address, info).await;
    let id = stream.framework_id().await;
    let stream_id = stream.stream_id().to_owned();

    let offers = stream.wait_for("OFFERS").await.offers.expect("it has a body").offers;
    let [offer] = offers.as_slice() else { panic!("one agent makes one offer: {offers:?}") };
    assert_eq!(offer.hostname(), "agent.example");
    assert_eq!(offer.attributes.len(), 1);
    let url = offer.url.as_ref().expect("it says where the agent is");
    assert_eq!(url.path(), "/slave(1)");
    assert_eq!(url.address.as_ref().and_then(|address| address.ip.as_deref()), Some("127.0.0.1"));

    let resources = json!([{"name": "cpus", "type": "SCALAR", "scalar": {"value": 1}}]);
    let task = json!({
        "name": "t", "task_id": {"value": "t-1"}, "agent_id": {"value": agent_id},
        "resources": resources, "command": {"value": "true"},
    });
    let accept = json!({
        "type": "ACCEPT", "framework_id": {"value": id},
        "accept": {
            "offer_ids": [{"value": offer.id.as_ref().map(|id| id.value())}],
            "operations": [{"type": "LAUNCH", "launch": {"task_infos": [task]}}],
        },
    });
    let answer = http::call(master.address, Some(&stream_id), &accept).await;
    assert_eq!((answer.status, answer.body.len()), (202, 0), "{}", answer.text());

    let (framework, task) = agent.task().await;
    assert_eq!(framework, id);
    let allocation = task.resources[0].allocation_info.as_ref().expect("the role is filled in");
    assert_eq!(allocation.role(), "*");

    agent.update(&framework, &task, v1::TaskState::TaskRunning).await;
    let update = stream.wait_for("UPDATE").await.update.expect("it has a body");
    let status = update.status.expect("it has a status");
    assert_eq!(status.state(), v1::TaskState::TaskRunning);
    assert_eq!(status.uuid.as_deref(), Some(&[7; 16][..]));

    let acknowledge = json!({
        "type": "ACKNOWLEDGE", "framework_id": {"value": id},
        "acknowledge": {
            "agent_id": {"value": agent_id}, "task_id": {"value": "t-1"},
            "uuid": "BwcHBwcHBwcHBwcHBwcHBw==",
        },
    });
    let answer = http::call(master.address, Some(&stream_id), &acknowledge).await;
    assert_eq!(answer.status, 202, "{}", answer.text());
    loop {
        use meros_proto::link::from_master::Message;
        if let Message::Acknowledge(acknowledged) = agent.heard().await {
            assert_eq!(acknowledged.task_id, "t-1");
            assert_eq!(acknowledged.uuid, [7; 16].as_slice());
            break;
        }
    }
    let tasks = http::get(master.address, "/tasks?limit=-1&order=asc").await.json();
    assert_eq!(tasks["tasks"][0]["state"], "TASK_RUNNING");
    assert_eq!(tasks["tasks"][0]["executor_id"], "");
    assert_eq!(tasks["tasks"][0]["resources"]["cpus"], 1.0);
    assert_eq!(tasks["tasks"][0]["statuses"][0]["timestamp"], 1.5);
    master.stop().await;
}
