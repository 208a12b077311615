//! Agents' links: the hello, and what becomes of nonsense.

use bytes::Bytes;
use meros_proto::link::{self, from_agent, from_master};

use crate::agent::{FakeAgent, registration};
use crate::http;
use crate::master::{TestMaster, eventually};

#[tokio::test]
async fn both_sides_say_hello_first() {
    let master = TestMaster::start().await;
    let mut agent = FakeAgent::connect(master.address).await;
    let from_master::Message::Hello(hello) = agent.heard().await else {
        panic!("the master says hello first");
    };
    assert_eq!((hello.protocol_min, hello.protocol_max), (1, 1));
    master.stop().await;
}

#[tokio::test]
async fn an_agent_that_talks_nonsense_is_cut_off_and_the_master_goes_on() {
    let master = TestMaster::start().await;
    let (good, _) = FakeAgent::register(master.address, "cpus:1;mem:128").await;
    let hello = || {
        from_agent::Message::Hello(link::Hello {
            protocol_min: 1,
            protocol_max: 1,
            ..Default::default()
        })
    };
    let garbage = Bytes::from_static(b"\xff\xff\xff");
    let register = |agent_info| link::Register { agent_info, ..registration("cpus:1") };
    for (said, reason) in [
        (vec![from_agent::Message::Pong(link::Pong { sequence: 1 })], "not a hello"),
        (
            vec![from_agent::Message::Hello(link::Hello {
                protocol_min: 9,
                protocol_max: 12,
                ..Default::default()
            })],
            "protocol versions 9 to 12",
        ),
        (vec![hello(), hello()], "hello twice"),
        (vec![hello(), from_agent::Message::Register(register(garbage.clone()))], "agent_info"),
        (vec![hello(), from_agent::Message::Register(register(Bytes::new()))], "agent_info"),
        (
            vec![
                hello(),
                from_agent::Message::Update(link::StatusUpdate {
                    framework_id: "f".to_owned(),
                    status: garbage.clone(),
                    latest_state: 1,
                }),
            ],
            "status of its status update",
        ),
    ] {
        let mut agent = FakeAgent::connect(master.address).await;
        for message in said {
            agent.say(message).await;
        }
        let refused = loop {
            match agent.next().await {
                Some(from_master::Message::Refused(refused)) => break refused,
                Some(_) => {}
                None => panic!("it was not told why: {reason}"),
            }
        };
        assert!(refused.reason.contains(reason), "{reason}: {}", refused.reason);
        assert!(agent.next().await.is_none(), "the link ends: {reason}");
    }
    let slaves = http::get(master.address, "/slaves").await.json();
    assert_eq!(slaves["slaves"].as_array().map(Vec::len), Some(1));
    good.say(from_agent::Message::Pong(link::Pong { sequence: 1 })).await;
    let metrics = http::get(master.address, "/metrics/snapshot").await.json();
    assert_eq!(metrics["master/invalid_agent_links"], 6.0);
    drop(good);
    master.stop().await;
}

#[tokio::test]
async fn bytes_that_are_no_grpc_end_the_request_and_nothing_else() {
    let master = TestMaster::start().await;
    let grpc = [("Content-Type", "application/grpc")];
    let path = "/meros.agent.v1.AgentLink/Connect";
    let mut connection = http::request(master.address, "POST", path, &grpc, &[0xff; 4096]).await;
    let head = connection.head().await;
    while connection.piece(&head).await.is_some() {}
    assert_eq!(http::get(master.address, "/health").await.status, 200);
    master.stop().await;
}

#[tokio::test]
async fn an_agent_that_hangs_up_is_disconnected() {
    let master = TestMaster::start().await;
    let (agent, id) = FakeAgent::register(master.address, "cpus:1;mem:128").await;
    let slaves = http::get(master.address, "/slaves").await.json();
    assert_eq!(slaves["slaves"][0]["id"], id.as_str());
    assert_eq!(slaves["slaves"][0]["attributes"]["rack"], "r1");
    assert_eq!(slaves["slaves"][0]["pid"], "slave(1)@127.0.0.1:5051");
    drop(agent);
    eventually("the hang-up is noticed", async || {
        let metrics = http::get(master.address, "/metrics/snapshot").await.json();
        (metrics["master/slaves_active"] == 0.0).then_some(())
    })
    .await;
    master.stop().await;
}
