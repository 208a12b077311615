//! Runs the machine: reads the clock, opens streams, hands out events.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use meros_proto::machine::{Core, Outputs};
use rand::SeedableRng;
use rand::rngs::StdRng;
use tokio::sync::{mpsc, watch};
use tokio::task::{AbortHandle, JoinSet};
use tokio_util::sync::{CancellationToken, DropGuard};
use tracing::Instrument;

use super::address::AddressError;
use super::calls::{Calls, Link, Shared};
use super::event::Event;
use super::lane::Lane;
use super::machine::{Effect, Input, Machine};
use super::options::Options;
use super::subscription::{self, Attempt};
use crate::clock::Clock;
use crate::http::HttpClient;

/// Inputs that may wait for the machine; streams and lanes wait when it is full.
const INBOX: usize = 256;
/// Inputs that are handled between two looks at the timers.
const BATCH: usize = 64;
/// How long calls that are queued may take to be sent after a stop.
const STOP_WITHIN: Duration = Duration::from_secs(2);

/// Keeps a subscription up. See the [module](super).
#[derive(Debug)]
pub struct Driver;

impl Driver {
    /// Starts to look for a leader, in a task of the current tokio runtime.
    ///
    /// The driver ends when a terminal event was told, after [`Calls::stop`] or a TEARDOWN that the
    /// master took, and when [`Events`] is dropped.
    ///
    /// # Errors
    /// When `options` name no master, or one by what isn't an address.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub fn start(options: Options) -> Result<(Calls, Events), AddressError> {
        let clock = Clock::start();
        let seed = options.seed.unwrap_or_else(|| uuid::Uuid::new_v4().as_u64_pair().1);
        let machine = Machine::new(options.clone(), clock.now(), seed)?;

        let (ordered, ordered_queue) = mpsc::channel(options.call_queue.max(1));
        let (acknowledgements, acknowledgement_queue) = mpsc::channel(options.call_queue.max(1));
        let (link, link_reader) = watch::channel(None);
        let (events, event_queue) = mpsc::channel(options.event_queue.max(1));
        let (inbox, inputs) = mpsc::channel(INBOX);
        let stop = CancellationToken::new();
        let unanswered = Arc::new(AtomicUsize::new(0));

        let authorization = options.credential.as_ref().map(subscription::authorization);
        let mut lanes = JoinSet::new();
        for (number, queue) in (1..).zip([ordered_queue, acknowledgement_queue]) {
            let lane = Lane {
                client: HttpClient::new(),
                encoding: options.encoding,
                authorization: authorization.clone(),
                link: link_reader.clone(),
                unanswered: Arc::clone(&unanswered),
                inbox: inbox.clone(),
                rng: StdRng::seed_from_u64(seed.wrapping_add(number)),
            };
            lanes.spawn(lane.run(queue, stop.clone()).in_current_span());
        }
        let shell = Shell {
            machine,
            clock,
            options,
            authorization,
            inbox,
            events,
            link,
            unanswered: Arc::clone(&unanswered),
            stop: stop.clone(),
            streams: JoinSet::new(),
            open: BTreeMap::new(),
        };
        let span = tracing::info_span!("driver");
        tokio::spawn(shell.run(inputs, lanes).instrument(span));

        let shared =
            Shared { ordered, acknowledgements, link: link_reader, unanswered, stop: stop.clone() };
        let events = Events { queue: event_queue, _stop: stop.drop_guard() };
        Ok((Calls { shared: Arc::new(shared) }, events))
    }
}

/// What happens, in order. Dropping it ends the driver.
#[derive(Debug)]
pub struct Events {
    queue: mpsc::Receiver<Event>,
    _stop: DropGuard,
}

impl Events {
    /// The next event; `None` when the driver has ended. Nothing is lost when the future is dropped.
    pub async fn next(&mut self) -> Option<Event> {
        self.queue.recv().await
    }

    /// The next event if one waits already.
    pub fn next_now(&mut self) -> Option<Event> {
        self.queue.try_recv().ok()
    }
}

struct Shell {
    machine: Machine,
    clock: Clock,
    options: Options,
    authorization: Option<String>,
    inbox: mpsc::Sender<Input>,
    events: mpsc::Sender<Event>,
    link: watch::Sender<Option<Link>>,
    unanswered: Arc<AtomicUsize>,
    stop: CancellationToken,
    /// The tasks of all attempts and streams; those of `open` can still be closed.
    streams: JoinSet<()>,
    open: BTreeMap<u64, AbortHandle>,
}

impl Shell {
    async fn run(mut self, mut inputs: mpsc::Receiver<Input>, mut lanes: JoinSet<()>) {
        let mut batch = Vec::with_capacity(BATCH);
        loop {
            self.step(&mut batch).await;
            if self.machine.is_ended() || self.stop.is_cancelled() {
                break;
            }
            let deadline = self.machine.deadline();
            tokio::select! {
                biased;
                _ = inputs.recv_many(&mut batch, BATCH) => {}
                () = self.clock.sleep_until(deadline) => {}
                () = self.stop.cancelled() => {}
            }
            while self.streams.try_join_next().is_some() {}
        }
        // Queued calls go out before the stream closes, unless nobody would take them.
        if self.link.borrow().is_some() {
            let drained = async { while lanes.join_next().await.is_some() {} };
            let swallowed = async { while inputs.recv().await.is_some() {} };
            tokio::select! {
                () = drained => {}
                () = swallowed => {}
                () = tokio::time::sleep(STOP_WITHIN) => {}
            }
        }
        batch.push(Input::Stop);
        self.step(&mut batch).await;
        self.link.send_replace(None);
        lanes.shutdown().await;
        self.streams.shutdown().await;
    }

    /// Handles a batch, then the timers, and carries out what comes of it.
    async fn step(&mut self, batch: &mut Vec<Input>) {
        let now = self.clock.now();
        let mut out = Outputs::default();
        for input in batch.drain(..) {
            self.machine.handle(now, input, &mut out);
        }
        self.machine.round(now, &mut out);
        for effect in out.effects {
            self.perform(effect).await;
        }
    }

    async fn perform(&mut self, effect: Effect) {
        match effect {
            Effect::Subscribe { attempt, master, call, within } => {
                let task = subscription::subscribe(
                    Attempt {
                        number: attempt,
                        master,
                        call,
                        within,
                        encoding: self.options.encoding,
                        authorization: self.authorization.clone(),
                    },
                    self.inbox.clone(),
                );
                self.open.insert(attempt, self.streams.spawn(task.in_current_span()));
            }
            Effect::Close { attempt } => {
                if let Some(task) = self.open.remove(&attempt) {
                    task.abort();
                }
            }
            Effect::Link(link) => {
                self.link.send_replace(link);
            }
            Effect::Disconnected { why, renewing } => {
                let unanswered_calls = self.unanswered.load(Ordering::Relaxed);
                self.tell(Event::Disconnected { why, renewing, unanswered_calls }).await;
            }
            Effect::Tell(event) => self.tell(*event).await,
        }
    }

    /// Waits when the framework is slow: then the stream isn't read on, and the master sees it.
    async fn tell(&mut self, event: Event) {
        tokio::select! {
            biased;
            // It fails when the framework dropped its end, which has stopped the driver by that.
            _ = self.events.send(event) => {}
            () = self.stop.cancelled() => {}
        }
    }
}
