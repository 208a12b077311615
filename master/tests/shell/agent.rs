//! An agent that runs nothing and says what a test tells it to.

use std::net::SocketAddr;

use bytes::Bytes;
use meros_proto::link::agent_link_client::AgentLinkClient;
use meros_proto::link::{self, FromAgent, FromMaster, from_agent, from_master};
use meros_proto::resources::{ReservationFormat, Resources, Role};
use meros_proto::v1;
use meros_proto::wire::{self, Encoding};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Channel;

use crate::master::PATIENCE;

/// A link to a master.
pub(crate) struct FakeAgent {
    say: mpsc::Sender<FromAgent>,
    hear: tonic::Streaming<FromMaster>,
}

impl FakeAgent {
    /// Connects, and says nothing yet.
    pub(crate) async fn connect(address: SocketAddr) -> Self {
        let channel = Channel::from_shared(format!("http://{address}"))
            .expect("a valid address")
            .connect()
            .await
            .expect("the master listens");
        let (say, said) = mpsc::channel(64);
        let mut client = AgentLinkClient::new(channel);
        let hear = client.connect(ReceiverStream::new(said)).await.expect("the master answers");
        Self { say, hear: hear.into_inner() }
    }

    /// Connects, says hello and registers; returns the agent's id too.
    pub(crate) async fn register(address: SocketAddr, resources: &str) -> (Self, String) {
        Self::register_as(address, registration(resources)).await
    }

    /// The same with all that is to be said.
    pub(crate) async fn register_as(address: SocketAddr, said: link::Register) -> (Self, String) {
        let mut agent = Self::connect(address).await;
        agent.hello(1, 1).await;
        agent.say(from_agent::Message::Register(said)).await;
        loop {
            if let from_master::Message::Registered(registered) = agent.heard().await {
                return (agent, registered.agent_id);
            }
        }
    }

    pub(crate) async fn hello(&self, protocol_min: u32, protocol_max: u32) {
        self.say(from_agent::Message::Hello(link::Hello {
            protocol_min,
            protocol_max,
            version: "test".to_owned(),
            features: Vec::new(),
        }))
        .await;
    }

    pub(crate) async fn say(&self, message: from_agent::Message) {
        self.say.send(FromAgent { message: Some(message) }).await.expect("the link is open");
    }

    /// The next message; fails when the link ends.
    pub(crate) async fn heard(&mut self) -> from_master::Message {
        self.next().await.expect("the link is open")
    }

    /// The next message; `None` when the link has ended.
    pub(crate) async fn next(&mut self) -> Option<from_master::Message> {
        let heard = tokio::time::timeout(PATIENCE, self.hear.message()).await.expect("in time");
        heard.ok().flatten().and_then(|message| message.message)
    }

    /// The next task that is to be run.
    pub(crate) async fn task(&mut self) -> (String, v1::TaskInfo) {
        loop {
            if let from_master::Message::RunTask(run) = self.heard().await {
                let task = wire::decode(Encoding::Protobuf, &run.task).expect("a complete task");
                return (run.framework_id, task);
            }
        }
    }

    /// Reports a state of a task, with a uuid.
    pub(crate) async fn update(&self, framework: &str, task: &v1::TaskInfo, state: v1::TaskState) {
        let status = v1::TaskStatus {
            task_id: task.task_id.clone(),
            agent_id: task.agent_id.clone(),
            state: Some(state.into()),
            source: Some(v1::task_status::Source::Executor.into()),
            timestamp: Some(1.5),
            uuid: Some(Bytes::from_static(&[7; 16])),
            ..Default::default()
        };
        self.say(from_agent::Message::Update(link::StatusUpdate {
            framework_id: framework.to_owned(),
            status: Bytes::from(wire::encode(Encoding::Protobuf, &status)),
            latest_state: state.into(),
        }))
        .await;
    }
}

/// What an agent with these resources says of itself.
pub(crate) fn registration(resources: &str) -> link::Register {
    let resources = Resources::parse(resources, &Role::star()).expect("valid resources");
    let info = v1::AgentInfo {
        hostname: Some("agent.example".to_owned()),
        port: Some(5051),
        resources: resources.to_protos(ReservationFormat::Refined),
        attributes: vec![v1::Attribute {
            name: Some("rack".to_owned()),
            r#type: Some(v1::value::Type::Text.into()),
            text: Some(v1::value::Text { value: Some("r1".to_owned()) }),
            ..Default::default()
        }],
        ..Default::default()
    };
    link::Register {
        agent_info: Bytes::from(wire::encode(Encoding::Protobuf, &info)),
        boot_id: "boot".to_owned(),
        pid: "slave(1)@127.0.0.1:5051".to_owned(),
        version: "1.11.0".to_owned(),
        capabilities: vec!["MULTI_ROLE".to_owned(), "HIERARCHICAL_ROLE".to_owned()],
        incarnation: "first".to_owned(),
        ..Default::default()
    }
}
