//! Where the core's effects go: every stream, link and waiting call, by its number.
//!
//! The shell numbers them before it tells the core; the thread that carries out effects finds them
//! here. Pushing never waits. A queue that is full is closed on the spot, logged and counted: its
//! reader is told so, and the task that serves it tells the core.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use meros_master_core::{
    AgentMessage, Answer, Effect, Level, LinkRef, Notice, ReplyTo, SchedulerEvent, StreamRef,
};
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::metrics::{Counter, Counters};

/// Events that may wait for a scheduler. An implicit reconciliation makes one for each of its tasks.
const STREAM_QUEUE: usize = 1 << 17;

/// Messages that may wait for an agent.
const LINK_QUEUE: usize = 1 << 14;

/// All open ends of one master.
pub(crate) struct Outlets {
    last_number: AtomicU64,
    streams: Board<StreamRef, SchedulerEvent>,
    /// Boxed: a queue sets places aside for a few dozen, and there are many links.
    links: Board<LinkRef, Box<AgentMessage>>,
    calls: Mutex<HashMap<ReplyTo, oneshot::Sender<Answer>>>,
    counters: Arc<Counters>,
}

impl Outlets {
    pub(crate) fn new(counters: Arc<Counters>) -> Self {
        Self {
            last_number: AtomicU64::new(0),
            streams: Board::new(STREAM_QUEUE),
            links: Board::new(LINK_QUEUE),
            calls: Mutex::default(),
            counters,
        }
    }

    /// Opens a scheduler's stream.
    pub(crate) fn open_stream(&self) -> (StreamRef, Outlet<SchedulerEvent>) {
        let stream = StreamRef(self.number());
        (stream, self.streams.open(stream))
    }

    /// Opens an agent's link.
    pub(crate) fn open_link(&self) -> (LinkRef, Outlet<Box<AgentMessage>>) {
        let link = LinkRef(self.number());
        (link, self.links.open(link))
    }

    /// Opens a place for the answer to one call.
    pub(crate) fn expect_answer(&self) -> (ReplyTo, oneshot::Receiver<Answer>) {
        let (to, (sender, receiver)) = (ReplyTo(self.number()), oneshot::channel());
        lock(&self.calls).insert(to, sender);
        (to, receiver)
    }

    /// Forgets a call that never reached the core.
    pub(crate) fn forget_call(&self, to: ReplyTo) {
        lock(&self.calls).remove(&to);
    }

    /// Forgets a stream: its reader is gone.
    pub(crate) fn forget_stream(&self, stream: StreamRef) {
        self.streams.close(stream);
    }

    /// Forgets a link: the agent is gone.
    pub(crate) fn forget_link(&self, link: LinkRef) {
        self.links.close(link);
    }

    /// Sends an agent a message that the core knows nothing of.
    pub(crate) fn push_to_agent(&self, link: LinkRef, message: AgentMessage) {
        if self.links.push(link, Box::new(message)) == Pushed::Overflown {
            self.counters.add(Counter::LinksOverflown);
            warn!(link = link.0, "dropped an agent's link: too many messages wait for it");
        }
    }

    /// Ends all streams and links, and lets all calls go unanswered: the role stops.
    pub(crate) fn close_all(&self) {
        self.streams.close_all();
        self.links.close_all();
        lock(&self.calls).clear();
    }

    /// Carries out one effect. Only queues.
    pub(crate) fn perform(&self, effect: Effect) {
        match effect {
            Effect::Reply { to, answer } => {
                if let Some(call) = lock(&self.calls).remove(&to) {
                    // Whoever called may have hung up meanwhile.
                    let _ = call.send(answer);
                }
            }
            Effect::Event { stream, event } => self.push_event(stream, event),
            Effect::CloseStream { stream } => self.streams.close(stream),
            Effect::ToAgent { link, message } => self.push_to_agent(link, message),
            Effect::CloseLink { link } => self.links.close(link),
            Effect::Notice(notice) => Self::report(&notice),
        }
    }

    fn push_event(&self, stream: StreamRef, event: SchedulerEvent) {
        if self.streams.push(stream, event) == Pushed::Overflown {
            self.counters.add(Counter::StreamsOverflown);
            warn!(stream = stream.0, "closed a scheduler's stream: it reads too slowly");
        }
    }

    fn report(notice: &Notice) {
        match notice.level() {
            Level::Info => info!("{notice}"),
            Level::Warn => warn!("{notice}"),
        }
    }

    fn number(&self) -> u64 {
        self.last_number.fetch_add(1, Ordering::Relaxed) + 1
    }
}

/// The reading end of a stream or link.
pub(crate) struct Outlet<T> {
    /// What is to be sent. Ends when the core or the shell closed it, or when it overflowed.
    pub(crate) queue: mpsc::Receiver<T>,
    /// Cancelled when the queue was full: what is in it goes out, then the end is told as an error.
    pub(crate) overflown: CancellationToken,
}

/// What became of something that was pushed.
#[derive(Debug, PartialEq, Eq)]
enum Pushed {
    /// It waits to be sent.
    Queued,
    /// There is no such queue (any more).
    Gone,
    /// The queue was full, and is closed now.
    Overflown,
}

/// Queues of one kind, by number.
struct Board<K, T> {
    capacity: usize,
    queues: Mutex<HashMap<K, (mpsc::Sender<T>, CancellationToken)>>,
}

impl<K: Eq + Hash, T> Board<K, T> {
    fn new(capacity: usize) -> Self {
        Self { capacity, queues: Mutex::default() }
    }

    fn open(&self, key: K) -> Outlet<T> {
        let (sender, queue) = mpsc::channel(self.capacity);
        let overflown = CancellationToken::new();
        lock(&self.queues).insert(key, (sender, overflown.clone()));
        Outlet { queue, overflown }
    }

    fn push(&self, key: K, item: T) -> Pushed {
        let mut queues = lock(&self.queues);
        let Some((queue, overflown)) = queues.get(&key) else { return Pushed::Gone };
        match queue.try_send(item) {
            Ok(()) => Pushed::Queued,
            Err(mpsc::error::TrySendError::Closed(_)) => {
                queues.remove(&key);
                Pushed::Gone
            }
            Err(mpsc::error::TrySendError::Full(_)) => {
                overflown.cancel();
                queues.remove(&key);
                Pushed::Overflown
            }
        }
    }

    fn close(&self, key: K) {
        lock(&self.queues).remove(&key);
    }

    fn close_all(&self) {
        lock(&self.queues).clear();
    }
}

/// A panic elsewhere leaves these maps whole: each change is one insert or remove.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_full_queue_is_closed_after_what_it_holds() {
        let board = Board::new(2);
        let mut outlet = board.open(1);
        let pushed: Vec<_> = (0..4).map(|item| board.push(1, item)).collect();
        assert_eq!(pushed, [Pushed::Queued, Pushed::Queued, Pushed::Overflown, Pushed::Gone]);
        assert!(outlet.overflown.is_cancelled());
        assert_eq!(outlet.queue.recv().await, Some(0));
        assert_eq!(outlet.queue.recv().await, Some(1));
        assert_eq!(outlet.queue.recv().await, None);
    }

    #[tokio::test]
    async fn a_closed_queue_ends_without_an_overflow_and_takes_nothing_more() {
        let board = Board::new(2);
        let mut outlet = board.open(1);
        assert_eq!(board.push(1, "last"), Pushed::Queued);
        board.close(1);
        assert_eq!(board.push(1, "late"), Pushed::Gone);
        assert_eq!(outlet.queue.recv().await, Some("last"));
        assert_eq!(outlet.queue.recv().await, None);
        assert!(!outlet.overflown.is_cancelled());
    }
}
