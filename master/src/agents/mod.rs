//! The agents' end of the master: one gRPC stream for each agent.
//!
//! Both sides say Hello first. After it the stream is a pipe between the agent and the core:
//! [`incoming`] takes apart what the agent says, [`outgoing`] puts together what the core says to
//! it. Whatever can't be taken apart ends the stream with a line in the log; the agent comes back
//! and says everything again.

mod incoming;
mod outgoing;

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{Stream, StreamExt, stream};
use meros_master_core::{AgentMessage, Input, LinkRef};
use meros_plugin_api::authz::{Action, Object};
use meros_proto::caller::Caller;
use meros_proto::link::agent_link_server::AgentLink;
use meros_proto::link::{FromAgent, FromMaster, Hello, from_agent, from_master};
use meros_proto::versions::{self, MEROS_VERSION, PROTOCOL_MAX, PROTOCOL_MIN};
use meros_shell::server::Connection;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status, Streaming};
use tracing::{Instrument, debug, info, info_span, warn};

use crate::agents::incoming::{Garbage, Said};
use crate::api::Api;
use crate::api::request::caller;
use crate::metrics::Counter;
use crate::outlets::Outlet;

/// How long an agent may take to say who it is.
const HELLO_WITHIN: Duration = Duration::from_secs(30);

/// How long an agent that was too slow has to notice that its link is dropped.
const LAST_WORDS_WITHIN: Duration = Duration::from_secs(10);

/// The service `meros.agent.v1.AgentLink`.
pub(crate) struct Links {
    api: Arc<Api>,
}

impl Links {
    pub(crate) fn new(api: Arc<Api>) -> Self {
        Self { api }
    }
}

#[tonic::async_trait]
impl AgentLink for Links {
    type ConnectStream = Pin<Box<dyn Stream<Item = Result<FromMaster, Status>> + Send>>;

    async fn connect(
        &self,
        request: Request<Streaming<FromAgent>>,
    ) -> Result<Response<Self::ConnectStream>, Status> {
        let connection = request.extensions().get::<Connection>().cloned();
        let connection = connection.ok_or_else(|| Status::internal("unknown connection"))?;
        let (link, outlet) = self.api.outlets.open_link();
        let span = info_span!("link", link = link.0, peer = %connection.peer);
        let session = Session {
            api: Arc::clone(&self.api),
            link,
            caller: caller(connection.peer),
            connection,
            overflown: outlet.overflown.clone(),
            ended: CancellationToken::new(),
        };
        let answers = answers(outlet, session.ended.clone());
        self.api.tasks.spawn(session.attend(request.into_inner()).instrument(span));
        Ok(Response::new(answers))
    }
}

/// What goes to the agent: our Hello, then what is queued for it, until `ended` or an overflow.
fn answers(
    outlet: Outlet<Box<AgentMessage>>,
    ended: CancellationToken,
) -> Pin<Box<dyn Stream<Item = Result<FromMaster, Status>> + Send>> {
    let overflown = outlet.overflown;
    let messages = ReceiverStream::new(outlet.queue).map(|message| Ok(outgoing::message(*message)));
    let last = stream::once(async move {
        // The agent's side of the stream ends with ours.
        ended.cancel();
        overflown.is_cancelled().then(|| Status::resource_exhausted("too many messages waited"))
    });
    let last = last.filter_map(|status| async move { status.map(Err) });
    Box::pin(stream::iter([Ok(hello())]).chain(messages).chain(last))
}

fn hello() -> FromMaster {
    let hello = Hello {
        protocol_min: PROTOCOL_MIN,
        protocol_max: PROTOCOL_MAX,
        version: MEROS_VERSION.to_owned(),
        features: Vec::new(),
    };
    FromMaster { message: Some(from_master::Message::Hello(hello)) }
}

/// One agent's stream, as the task that reads it sees it.
struct Session {
    api: Arc<Api>,
    link: LinkRef,
    caller: Caller,
    connection: Connection,
    overflown: CancellationToken,
    /// Cancelled when our side of the stream has ended.
    ended: CancellationToken,
}

/// Why a session ended from the agent's side.
#[derive(Debug, thiserror::Error)]
enum Broken {
    #[error("it did not say hello within {} seconds", HELLO_WITHIN.as_secs())]
    Silent,
    #[error("its first message was not a hello")]
    NoHello,
    #[error(
        "it speaks protocol versions {min} to {max}, this master {PROTOCOL_MIN} to {PROTOCOL_MAX}"
    )]
    OtherProtocol { min: u32, max: u32 },
    #[error("agents from there may not register")]
    NotAuthorized,
    #[error(transparent)]
    Garbage(#[from] Garbage),
    #[error("the stream broke: {0}")]
    Stream(Box<Status>),
    #[error("the master is stopping")]
    Stopping,
}

impl Session {
    async fn attend(self, mut messages: Streaming<FromAgent>) {
        let end = tokio::select! {
            end = self.converse(&mut messages) => end,
            () = self.ended.cancelled() => Ok(()),
            () = self.overflown.cancelled() => {
                // If it doesn't read, it won't see the end of the stream either.
                if tokio::time::timeout(LAST_WORDS_WITHIN, self.ended.cancelled()).await.is_err() {
                    self.connection.cut.cancel();
                }
                Ok(())
            }
        };
        match end {
            Ok(()) | Err(Broken::Stopping) => debug!("link ended"),
            Err(Broken::Stream(error)) => info!(%error, "lost an agent's link"),
            Err(broken) => self.cut_off(&broken),
        }
        self.api.outlets.forget_link(self.link);
        // While the role stops nobody listens any more, and nothing is to be done about it.
        let _ = self.api.inbox.send(Input::AgentLinkClosed { link: self.link }).await;
    }

    fn cut_off(&self, broken: &Broken) {
        self.api.counters.add(Counter::LinksCutOff);
        warn!("cut an agent off: {broken}");
        // An agent that speaks nonsense now may be upgraded, or we may: it is to try again.
        let message = AgentMessage::Refused { reason: broken.to_string(), fatal: false };
        self.api.outlets.push_to_agent(self.link, message);
    }

    /// Reads until the agent ends the stream.
    async fn converse(&self, messages: &mut Streaming<FromAgent>) -> Result<(), Broken> {
        let first = tokio::time::timeout(HELLO_WITHIN, next(messages)).await;
        match first.map_err(|_| Broken::Silent)?? {
            None => return Ok(()),
            Some(from_agent::Message::Hello(hello)) => {
                let (min, max) = (hello.protocol_min, hello.protocol_max);
                versions::agree(min, max).ok_or(Broken::OtherProtocol { min, max })?;
            }
            Some(_) => return Err(Broken::NoHello),
        }
        if !self.api.authorization.authorize(&self.caller, Action::RegisterAgent, Object::Any) {
            return Err(Broken::NotAuthorized);
        }
        while let Some(message) = next(messages).await? {
            let said = incoming::parse(message, self.link, &self.caller)?;
            self.forward(said).await.map_err(|_| Broken::Stopping)?;
        }
        Ok(())
    }

    /// Hands one input to the core; waits while its queue is full, and the agent with it.
    async fn forward(&self, said: Said) -> Result<(), meros_shell::inbox::Refused> {
        self.api.counters.add(said.counter);
        // Nothing that an agent says may be lost, and nothing overtakes: a full urgent allowance
        // makes even a terminal update wait for an ordinary place.
        if said.urgent && self.api.inbox.send_urgent(said.input.clone()).is_ok() {
            return Ok(());
        }
        self.api.inbox.send(said.input).await
    }
}

async fn next(messages: &mut Streaming<FromAgent>) -> Result<Option<from_agent::Message>, Broken> {
    match messages.message().await {
        Ok(Some(FromAgent { message: Some(message) })) => Ok(Some(message)),
        Ok(Some(FromAgent { message: None })) => Err(Broken::Garbage(Garbage::Unknown)),
        Ok(None) => Ok(None),
        // Decoding failed on our side, or the connection did.
        Err(status) if status.code() == tonic::Code::Internal => {
            Err(Broken::Garbage(Garbage::Message(status.message().to_owned())))
        }
        Err(status) => Err(Broken::Stream(Box::new(status))),
    }
}
