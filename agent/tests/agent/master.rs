//! A master that takes any agent in and shows what it says.

use std::net::SocketAddr;
use std::pin::Pin;
use std::time::Duration;

use bytes::Bytes;
use futures_util::Stream;
use meros_proto::link::agent_link_server::{AgentLink, AgentLinkServer};
use meros_proto::link::{self, from_agent, from_master};
use meros_proto::v1;
use meros_proto::v1::TaskState;
use meros_proto::wire::{self, Encoding};
use tokio::sync::{broadcast, mpsc};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tonic::{Request, Response, Status, Streaming};

/// Longer than anything here takes on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

type ToAgent = mpsc::Sender<Result<link::FromMaster, Status>>;

pub(crate) struct Master {
    pub(crate) address: SocketAddr,
    said: mpsc::UnboundedReceiver<from_agent::Message>,
    streams: mpsc::UnboundedReceiver<ToAgent>,
    to_agent: Option<ToAgent>,
    server: JoinHandle<()>,
    cut: broadcast::Sender<()>,
}

struct Service {
    said: mpsc::UnboundedSender<from_agent::Message>,
    streams: mpsc::UnboundedSender<ToAgent>,
    cut: broadcast::Sender<()>,
}

impl Master {
    pub(crate) async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("bound");
        let (to_test, said) = mpsc::unbounded_channel();
        let (new_streams, streams) = mpsc::unbounded_channel();
        let cut = broadcast::channel(1).0;
        let service = Service { said: to_test, streams: new_streams, cut: cut.clone() };
        let serving = Server::builder()
            .add_service(AgentLinkServer::new(service))
            .serve_with_incoming(TcpIncoming::from(listener));
        let server = tokio::spawn(async move { serving.await.expect("the server runs") });
        Self { address, said, streams, to_agent: None, server, cut }
    }

    /// Waits for an agent's registration and takes it in.
    pub(crate) async fn admit(&mut self) -> link::Register {
        let register = self.registration().await;
        self.say(from_master::Message::Registered(link::Registered {
            agent_id: "m-S0".to_owned(),
            master_id: "m".to_owned(),
            ping_interval_ms: 15_000,
            ping_timeouts: 5,
            removed_frameworks: Vec::new(),
        }))
        .await;
        register
    }

    /// Waits for an agent's registration.
    pub(crate) async fn registration(&mut self) -> link::Register {
        let stream = timeout(PATIENCE, self.streams.recv()).await.expect("an agent comes");
        self.to_agent = stream;
        self.say(from_master::Message::Hello(link::Hello {
            protocol_min: 1,
            protocol_max: 1,
            ..link::Hello::default()
        }))
        .await;
        loop {
            match self.heard().await {
                from_agent::Message::Register(register) => return register,
                from_agent::Message::Hello(hello) => assert_eq!(hello.protocol_max, 1),
                other => panic!("before the registration: {other:?}"),
            }
        }
    }

    pub(crate) async fn say(&self, message: from_master::Message) {
        assert!(self.try_say(message).await, "the agent reads");
    }

    /// Says it if the agent still reads.
    pub(crate) async fn try_say(&self, message: from_master::Message) -> bool {
        let stream = self.to_agent.as_ref().expect("an agent is there");
        stream.send(Ok(link::FromMaster { message: Some(message) })).await.is_ok()
    }

    /// The next thing an agent says, pongs apart.
    pub(crate) async fn heard(&mut self) -> from_agent::Message {
        let said = timeout(PATIENCE, self.said.recv()).await.expect("the agent says something");
        said.expect("the server runs")
    }

    /// The next update of a task, acknowledged.
    pub(crate) async fn status(&mut self) -> v1::TaskStatus {
        let (framework, status) = self.unheard_status().await;
        self.say(from_master::Message::Acknowledge(link::AcknowledgeUpdate {
            framework_id: framework,
            task_id: status.task_id.clone().unwrap_or_default().value().to_owned(),
            uuid: status.uuid.clone().expect("an agent's update has a uuid"),
        }))
        .await;
        status
    }

    /// The next update of a task, which is not acknowledged.
    pub(crate) async fn unheard_status(&mut self) -> (String, v1::TaskStatus) {
        match self.heard().await {
            from_agent::Message::Update(update) => {
                let status = wire::decode(Encoding::Protobuf, &update.status).expect("a status");
                (update.framework_id, status)
            }
            other => panic!("not an update: {other:?}"),
        }
    }

    /// Takes updates until a task has ended; the last.
    pub(crate) async fn end_of(&mut self, task: &str) -> v1::TaskStatus {
        loop {
            let status = self.status().await;
            let of_task = status.task_id.as_ref().is_some_and(|id| id.value() == task);
            if of_task && meros_proto::task_state::is_terminal(status.state()) {
                return status;
            }
        }
    }

    /// Takes updates until a task is in a state.
    pub(crate) async fn until(&mut self, state: TaskState) -> v1::TaskStatus {
        loop {
            let status = self.status().await;
            if status.state() == state {
                return status;
            }
        }
    }

    pub(crate) async fn run(&self, task: v1::TaskInfo) {
        let framework = v1::FrameworkInfo {
            user: Some("root".to_owned()),
            name: Some("test".to_owned()),
            checkpoint: Some(true),
            ..v1::FrameworkInfo::default()
        };
        self.say(from_master::Message::RunTask(link::RunTask {
            framework_id: "m-0000".to_owned(),
            framework_info: Bytes::from(wire::encode(Encoding::Protobuf, &framework)),
            task: Bytes::from(wire::encode(Encoding::Protobuf, &task)),
        }))
        .await;
    }

    pub(crate) async fn kill(&self, task: &str) {
        self.say(from_master::Message::KillTask(link::KillTask {
            framework_id: "m-0000".to_owned(),
            task_id: task.to_owned(),
            grace_period_ms: Some(200),
        }))
        .await;
    }

    /// Breaks all streams.
    pub(crate) fn cut(&mut self) {
        self.to_agent = None;
        // Nobody listens when there is no stream.
        let _ = self.cut.send(());
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
        let said = self.said.clone();
        let mut cut = self.cut.subscribe();
        let mut from_agent = request.into_inner();
        let closing = to_agent.clone();
        tokio::spawn(async move {
            loop {
                tokio::select! {
                    message = from_agent.message() => match message {
                        Ok(Some(message)) => {
                            let message = message.message.expect("a message says something");
                            // The test may be over.
                            let _ = said.send(message);
                        }
                        Ok(None) | Err(_) => break,
                    },
                    _ = cut.recv() => {
                        let _ = closing.send(Err(Status::unavailable("cut"))).await;
                        break;
                    }
                }
            }
        });
        let _ = self.streams.send(to_agent);
        Ok(Response::new(Box::pin(ReceiverStream::new(queued))))
    }
}
