//! A master that takes every agent in, acknowledges every update, and shows what was said.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::pin::Pin;
use std::time::Duration;

use bytes::Bytes;
use futures_util::Stream;
use meros_proto::link::agent_link_server::{AgentLink, AgentLinkServer};
use meros_proto::link::{self, from_agent, from_master};
use meros_proto::v1;
use meros_proto::wire::{self, Encoding};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tonic::{Request, Response, Status, Streaming};

/// Longer than anything here takes on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

type ToAgent = mpsc::Sender<Result<link::FromMaster, Status>>;
/// What was said, and the way back to who said it.
type Said = (from_agent::Message, ToAgent);

pub(crate) struct Master {
    pub(crate) address: SocketAddr,
    said: mpsc::UnboundedReceiver<Said>,
    /// By number, the N of `slave(N)`.
    agents: BTreeMap<u32, ToAgent>,
    server: JoinHandle<()>,
}

struct Service(mpsc::UnboundedSender<Said>);

impl Master {
    pub(crate) async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("bound");
        let (to_test, said) = mpsc::unbounded_channel();
        let serving = Server::builder()
            .add_service(AgentLinkServer::new(Service(to_test)))
            .serve_with_incoming(TcpIncoming::from(listener));
        let server = tokio::spawn(async move { serving.await.expect("the server runs") });
        Self { address, said, agents: BTreeMap::new(), server }
    }

    /// Takes in so many agents; what they said of themselves, by number.
    pub(crate) async fn admit(&mut self, count: usize) -> BTreeMap<u32, link::Register> {
        let mut registered = BTreeMap::new();
        while registered.len() < count {
            let (message, to_agent) = self.heard().await;
            let from_agent::Message::Register(register) = message else {
                panic!("before the registration: {message:?}")
            };
            let number = register.pid.strip_prefix("slave(").and_then(|rest| rest.split_once(')'));
            let number = number.expect("a pid").0.parse().expect("a number");
            self.agents.insert(number, to_agent);
            let admitted = link::Registered {
                agent_id: format!("m-S{number}"),
                master_id: "m".to_owned(),
                ping_interval_ms: 15_000,
                ping_timeouts: 5,
                removed_frameworks: Vec::new(),
            };
            self.say(number, from_master::Message::Registered(admitted)).await;
            registered.insert(number, register);
        }
        registered
    }

    /// The next update, acknowledged.
    pub(crate) async fn status(&mut self) -> v1::TaskStatus {
        let (message, to_agent) = self.heard().await;
        let from_agent::Message::Update(update) = message else {
            panic!("not an update: {message:?}")
        };
        let status: v1::TaskStatus =
            wire::decode(Encoding::Protobuf, &update.status).expect("a status");
        let acknowledge = from_master::Message::Acknowledge(link::AcknowledgeUpdate {
            framework_id: update.framework_id,
            task_id: status.task_id.clone().unwrap_or_default().value().to_owned(),
            uuid: status.uuid.clone().expect("an agent's update has a uuid"),
        });
        let message = link::FromMaster { message: Some(acknowledge) };
        to_agent.send(Ok(message)).await.expect("the agent reads");
        status
    }

    /// The next update that is a task's last, and all before it, acknowledged.
    pub(crate) async fn end(&mut self) -> v1::TaskStatus {
        loop {
            let status = self.status().await;
            if meros_proto::task_state::is_terminal(status.state()) {
                return status;
            }
        }
    }

    /// Runs a task with these labels on an agent.
    pub(crate) async fn run(&self, number: u32, id: &str, labels: &[(&str, &str)]) {
        let labels = labels.iter().map(|(key, value)| v1::Label {
            key: Some(format!("MEROS_SIMULATE_{key}")),
            value: Some((*value).to_owned()),
        });
        let command = v1::CommandInfo { value: Some("x".to_owned()), ..Default::default() };
        let task = v1::TaskInfo {
            name: Some(id.to_owned()),
            task_id: Some(v1::TaskId { value: Some(id.to_owned()) }),
            agent_id: Some(v1::AgentId { value: Some(format!("m-S{number}")) }),
            command: Some(command),
            labels: Some(v1::Labels { labels: labels.collect() }),
            ..v1::TaskInfo::default()
        };
        let framework = v1::FrameworkInfo {
            user: Some("root".to_owned()),
            name: Some("test".to_owned()),
            ..v1::FrameworkInfo::default()
        };
        let run = link::RunTask {
            framework_id: "m-0000".to_owned(),
            framework_info: Bytes::from(wire::encode(Encoding::Protobuf, &framework)),
            task: Bytes::from(wire::encode(Encoding::Protobuf, &task)),
        };
        self.say(number, from_master::Message::RunTask(run)).await;
    }

    pub(crate) async fn kill(&self, number: u32, task: &str, grace: Duration) {
        let kill = link::KillTask {
            framework_id: "m-0000".to_owned(),
            task_id: task.to_owned(),
            grace_period_ms: Some(grace.as_millis().try_into().expect("a short time")),
        };
        self.say(number, from_master::Message::KillTask(kill)).await;
    }

    /// Waits until so many agents have said goodbye.
    pub(crate) async fn farewells(&mut self, count: usize) {
        let mut gone = 0;
        while gone < count {
            match self.heard().await {
                (from_agent::Message::Unregister(_), _) => gone += 1,
                (other, _) => panic!("not a goodbye: {other:?}"),
            }
        }
        // Ends all streams: only these are left of their ways back.
        self.agents.clear();
    }

    async fn say(&self, number: u32, message: from_master::Message) {
        let message = link::FromMaster { message: Some(message) };
        self.agents[&number].send(Ok(message)).await.expect("the agent reads");
    }

    async fn heard(&mut self) -> Said {
        let said = timeout(PATIENCE, self.said.recv()).await.expect("an agent says something");
        said.expect("the server runs")
    }
}

impl Drop for Master {
    fn drop(&mut self) {
        self.server.abort();
    }
}

#[tonic::async_trait]
impl AgentLink for Service {
    type ConnectStream = Pin<Box<dyn Stream<Item = Result<link::FromMaster, Status>> + Send>>;

    async fn connect(
        &self,
        request: Request<Streaming<link::FromAgent>>,
    ) -> Result<Response<Self::ConnectStream>, Status> {
        let (to_agent, queued) = mpsc::channel(64);
        let said = self.0.clone();
        let mut from_agent = request.into_inner();
        tokio::spawn(async move {
            while let Ok(Some(link::FromAgent { message: Some(message) })) =
                from_agent.message().await
            {
                if let from_agent::Message::Hello(_) = message {
                    let hello =
                        link::Hello { protocol_min: 1, protocol_max: 1, ..Default::default() };
                    let hello = from_master::Message::Hello(hello);
                    let _ = to_agent.send(Ok(link::FromMaster { message: Some(hello) })).await;
                } else {
                    // The test may be over.
                    let _ = said.send((message, to_agent.clone()));
                }
            }
        });
        Ok(Response::new(Box::pin(ReceiverStream::new(queued))))
    }
}
