//! One stream to one master, from Hello to its end.

use std::time::Duration;

use meros_agent_core::Input;
use meros_agent_core::effect::ToMaster;
use meros_agent_core::input::FromMaster;
use meros_proto::link::agent_link_client::AgentLinkClient;
use meros_proto::link::{self, from_master};
use meros_proto::versions;
use tokio::sync::{Notify, mpsc};
use tokio::time::timeout;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::Streaming;
use tonic::transport::Endpoint;

use super::{Dialling, Order, translate};
use crate::host::Host;
use crate::mailbox::Mailbox;

/// A master that takes longer is tried again later.
const CONNECT_WITHIN: Duration = Duration::from_secs(2);
/// From the open connection to the master's Hello.
const HELLO_WITHIN: Duration = Duration::from_secs(5);
/// How long the master has to take the last messages of an agent that leaves.
const FAREWELL: Duration = Duration::from_secs(1);
/// Messages that may wait for HTTP/2's flow control.
const WINDOW: usize = 256;
/// No message of the master's comes near.
const MESSAGE_MAX: usize = 64 << 20;

/// Why a stream is over.
#[derive(Debug)]
pub(super) enum Ended {
    /// This side is done.
    Asked,
    /// It broke, or was given up.
    Lost {
        /// Whether the agent had been taken in over it.
        registered: bool,
        /// For the log.
        why: String,
    },
}

/// An open stream over which both sides have said Hello.
#[derive(Debug)]
pub(super) struct Session {
    number: u64,
    to_master: mpsc::Sender<link::FromAgent>,
    from_master: Streaming<link::FromMaster>,
    registered: bool,
    /// Goodbye was said: the master ends the stream, which is no loss then.
    leaving: bool,
}

impl Session {
    /// Connects and exchanges Hello. The error is for the log.
    pub(super) async fn open(
        master: &str,
        number: u64,
        dialling: &Dialling,
    ) -> Result<Self, String> {
        let endpoint = Endpoint::from_shared(format!("http://{master}"))
            .map_err(|error| error.to_string())?
            .connect_timeout(CONNECT_WITHIN)
            .tcp_nodelay(true);
        // The name look-up is not part of connect_timeout.
        let channel = match timeout(HELLO_WITHIN, dialling.connect(endpoint)).await {
            Ok(connected) => connected.map_err(|error| causes(&error))?,
            Err(_) => return Err(format!("no connection within {HELLO_WITHIN:?}")),
        };
        match timeout(HELLO_WITHIN, Self::greet(channel, number)).await {
            Ok(greeted) => greeted,
            Err(_) => Err(format!("no greeting within {HELLO_WITHIN:?}")),
        }
    }

    async fn greet(channel: tonic::transport::Channel, number: u64) -> Result<Self, String> {
        let (to_master, queued) = mpsc::channel(WINDOW);
        let hello = translate::hello();
        to_master.try_send(hello).expect("the queue was made for more than one message");
        let answer = AgentLinkClient::new(channel)
            .max_decoding_message_size(MESSAGE_MAX)
            .connect(ReceiverStream::new(queued))
            .await
            .map_err(|status| status.message().to_owned())?;
        let mut from_master = answer.into_inner();
        let first = from_master.message().await.map_err(|status| status.message().to_owned())?;
        match first.and_then(|first| first.message) {
            Some(from_master::Message::Hello(hello)) => {
                if versions::agree(hello.protocol_min, hello.protocol_max).is_none() {
                    return Err(format!(
                        "it speaks versions {} to {} of the protocol, this agent {} to {}",
                        hello.protocol_min,
                        hello.protocol_max,
                        versions::PROTOCOL_MIN,
                        versions::PROTOCOL_MAX,
                    ));
                }
                Ok(Self { number, to_master, from_master, registered: false, leaving: false })
            }
            Some(from_master::Message::Refused(refused)) => Err(refused.reason),
            _ => Err("it did not begin with Hello".to_owned()),
        }
    }

    /// Carries messages both ways until the stream ends.
    pub(super) async fn carry(
        &mut self,
        host: &Host,
        inbox: &Mailbox,
        orders: &mut mpsc::Receiver<Order>,
        overflow: &Notify,
        done: &CancellationToken,
    ) -> Ended {
        // Taken and not yet sent. Reading goes on meanwhile: were both ends to wait for each other's
        // reader, neither would ever move.
        let mut unsent: Option<link::FromAgent> = None;
        let to_master = self.to_master.clone();
        loop {
            tokio::select! {
                order = orders.recv(), if unsent.is_none() => match order {
                    Some(Order::Say(number, message)) if number == self.number => {
                        self.leaving |= matches!(message, ToMaster::Unregister { .. });
                        unsent = Some(translate::to_master(host, message));
                    }
                    Some(Order::Disconnect(number, why)) if number == self.number => {
                        return self.lost(why);
                    }
                    // For a stream that is gone.
                    Some(_) => {}
                    None => return Ended::Asked,
                },
                permit = to_master.reserve(), if unsent.is_some() => match permit {
                    Ok(permit) => {
                        if let Some(message) = unsent.take() {
                            permit.send(message);
                        }
                    }
                    Err(_) => return self.lost("the connection broke".to_owned()),
                },
                message = self.from_master.message() => match message {
                    Ok(Some(message)) => {
                        if let Err(ended) = self.hear(inbox, message).await {
                            return ended;
                        }
                    }
                    Ok(None) => return self.lost("the master closed the stream".to_owned()),
                    Err(status) => return self.lost(status.message().to_owned()),
                },
                () = overflow.notified() => {
                    return self.lost("too many messages wait for the master".to_owned());
                }
                () = done.cancelled() => break,
            }
        }
        drop(to_master);
        // Whether it was heard in time or not: this side is done.
        let _ = timeout(FAREWELL, self.say_the_rest(host, orders, unsent)).await;
        Ended::Asked
    }

    async fn hear(&mut self, inbox: &Mailbox, message: link::FromMaster) -> Result<(), Ended> {
        let message = match translate::from_master(message) {
            Ok(Some(message)) => message,
            Ok(None) => return Ok(()),
            Err(why) => {
                return Err(self.lost(format!("what the master sent makes no sense: {why}")));
            }
        };
        self.registered |= matches!(message, FromMaster::Registered { .. });
        let input = Input::FromMaster { session: self.number, message };
        inbox.send(input).await.map_err(|_| Ended::Asked)
    }

    /// The last words; then waits for the master to close the stream, which says that it has them.
    async fn say_the_rest(
        &mut self,
        host: &Host,
        orders: &mut mpsc::Receiver<Order>,
        unsent: Option<link::FromAgent>,
    ) {
        let mut rest: Vec<link::FromAgent> = unsent.into_iter().collect();
        while let Ok(order) = orders.try_recv() {
            if let Order::Say(number, message) = order
                && number == self.number
            {
                rest.push(translate::to_master(host, message));
            }
        }
        for message in rest {
            if self.to_master.send(message).await.is_err() {
                return;
            }
        }
        // Ends this side's half: the only sender goes.
        self.to_master = mpsc::channel(1).0;
        while let Ok(Some(_)) = self.from_master.message().await {}
    }

    fn lost(&self, why: String) -> Ended {
        if self.leaving {
            return Ended::Asked;
        }
        Ended::Lost { registered: self.registered, why }
    }
}

/// An error with what caused it: tonic's own text is "transport error".
fn causes(error: &dyn std::error::Error) -> String {
    let mut root = error;
    while let Some(source) = root.source() {
        root = source;
    }
    root.to_string()
}
