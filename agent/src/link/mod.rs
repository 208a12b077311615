//! The agent's stream to the leading master.
//!
//! One task that connects, says Hello, and from then on carries messages between the stream and the
//! core until the stream breaks; then it begins again. What to say is the core's; here is only how,
//! to whom, and when to try again.
//!
//! Start at [`Link`]. One stream is a [`session`], the words are in [`translate`], the waits in
//! [`backoff`], where it comes from in [`dial`].

mod backoff;
mod dial;
mod session;
pub(crate) mod translate;

use std::sync::Arc;

use meros_agent_core::Input;
use meros_agent_core::effect::ToMaster;
use rand::rngs::StdRng;
use tokio::sync::{Notify, mpsc};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::host::Host;
use crate::mailbox::Mailbox;
use backoff::Backoff;
pub(crate) use dial::Dialling;
use session::{Ended, Session};

/// Messages that may wait for the stream: one in flight a task, and pongs. When there are more the
/// stream is stuck, and is given up.
const QUEUE: usize = 65_536;

/// What the link is asked to do.
#[derive(Debug)]
pub(crate) enum Order {
    /// Say this, over this stream or not at all.
    Say(u64, ToMaster),
    /// Give this stream up.
    Disconnect(u64, String),
}

/// The way to the link. Never blocks.
#[derive(Debug)]
pub(crate) struct LinkHandle {
    orders: mpsc::Sender<Order>,
    overflow: Arc<Notify>,
}

impl LinkHandle {
    /// Queues an order. When the queue is full the stream is given up: what it was to carry is said
    /// again over the next one.
    pub(crate) fn order(&self, order: Order) {
        if self.orders.try_send(order).is_err() {
            self.overflow.notify_one();
        }
    }
}

/// Keeps a stream to a master.
#[derive(Debug)]
pub(crate) struct Link {
    masters: Vec<String>,
    host: Arc<Host>,
    orders: mpsc::Receiver<Order>,
    overflow: Arc<Notify>,
    backoff: Backoff,
    dialling: Dialling,
    sessions: u64,
}

impl Link {
    /// A link that isn't running yet, and the way to it. `masters` must not be empty.
    pub(crate) fn new(masters: Vec<String>, host: Arc<Host>, rng: StdRng) -> (Self, LinkHandle) {
        let (sender, orders) = mpsc::channel(QUEUE);
        let overflow = Arc::new(Notify::new());
        let handle = LinkHandle { orders: sender, overflow: Arc::clone(&overflow) };
        let backoff = Backoff::new(masters.len(), rng);
        let dialling = Dialling::default();
        (Self { masters, host, orders, overflow, backoff, dialling, sessions: 0 }, handle)
    }

    /// The same link, which connects as `dialling` says.
    pub(crate) fn dialling(self, dialling: Dialling) -> Self {
        Self { dialling, ..self }
    }

    /// Runs until `done` is cancelled; what is queued by then is still sent. What comes goes to
    /// `inbox`.
    pub(crate) async fn run(mut self, inbox: impl Into<Mailbox>, done: CancellationToken) {
        let inbox = inbox.into();
        let mut said = false;
        for attempt in 0_usize.. {
            let master = self.masters[attempt % self.masters.len()].clone();
            match self.talk_to(&master, &inbox, &done).await {
                Ended::Asked => return,
                Ended::Lost { registered: true, why } => {
                    warn!(master, why, "lost the master; connecting again");
                    self.backoff.start_over();
                    said = false;
                }
                Ended::Lost { registered: false, why } if !said => {
                    // Once an outage: the wait may be long.
                    warn!(master, why, "can't register with the master; trying until it is there");
                    said = true;
                }
                Ended::Lost { .. } => {}
            }
            let wait = self.backoff.next_wait();
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                () = done.cancelled() => return,
            }
        }
    }

    async fn open(&self, master: &str) -> Result<Session, String> {
        let _turn = self.dialling.turn().await;
        Session::open(master, self.sessions + 1, &self.dialling).await
    }

    async fn talk_to(&mut self, master: &str, inbox: &Mailbox, done: &CancellationToken) -> Ended {
        let opened = tokio::select! {
            opened = self.open(master) => opened,
            () = done.cancelled() => return Ended::Asked,
        };
        let mut session = match opened {
            Ok(session) => session,
            Err(why) => return Ended::Lost { registered: false, why },
        };
        self.sessions += 1;
        let number = self.sessions;
        info!(master, session = number, "connected to the master");
        if inbox.send(Input::LinkUp { session: number }).await.is_err() {
            return Ended::Asked;
        }
        let ended = session.carry(&self.host, inbox, &mut self.orders, &self.overflow, done);
        let ended = ended.await;
        if inbox.send(Input::LinkDown { session: number }).await.is_err() {
            return Ended::Asked;
        }
        // They were for the stream that is gone; left here they would crowd out the next one's.
        while self.orders.try_recv().is_ok() {}
        ended
    }
}
