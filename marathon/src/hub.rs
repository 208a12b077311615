//! Who listens at the event stream, and how events get to them.
//!
//! One task owns the listeners. Publishing only queues, and so does handing a frame to a listener:
//! one that doesn't keep up is cut off, never waited for. A listener that is cut off knows it,
//! which one that silently missed events would not.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use meros_marathon_core::events::Event;
use meros_proto::time::Timestamp;
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::api::model::event_view;
use crate::metrics::Metrics;

/// Events that may wait for the hub.
const BACKLOG: usize = 16_384;
/// How often a listener hears something at least.
const KEEP_ALIVE: Duration = Duration::from_secs(10);

/// Something for those who listen.
enum Notice {
    /// Of the core.
    Core(Event),
    /// Of the API: type, moment, body.
    Api(&'static str, Timestamp, Value),
    /// Somebody begins to listen.
    Attach(Listener),
}

struct Listener {
    address: String,
    /// Empty: all types.
    types: BTreeSet<String>,
    frames: mpsc::Sender<Bytes>,
}

/// The way to the hub. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Hub {
    notices: mpsc::Sender<Notice>,
    /// Frames that may wait for one listener.
    outstanding_max: usize,
}

impl Hub {
    /// Starts a hub, and returns the task that owns the listeners.
    pub(crate) fn start(
        outstanding_max: usize,
        metrics: Arc<Metrics>,
        now: impl Fn() -> Timestamp + Send + 'static,
        shutdown: CancellationToken,
    ) -> (Self, impl Future<Output = ()> + Send) {
        let (notices, inbox) = mpsc::channel(BACKLOG);
        let listeners = Listeners { now: Box::new(now), metrics, all: Vec::new() };
        (Self { notices, outstanding_max }, listeners.run(inbox, shutdown))
    }

    /// Publishes an event of the core.
    pub(crate) fn publish(&self, event: Event) {
        self.tell(Notice::Core(event));
    }

    /// Publishes an event of the API.
    pub(crate) fn publish_api(&self, event_type: &'static str, at: Timestamp, body: Value) {
        self.tell(Notice::Api(event_type, at, body));
    }

    /// Lets `address` listen to events of `types`; all, when there is none.
    pub(crate) async fn attach(
        &self,
        address: String,
        types: BTreeSet<String>,
    ) -> mpsc::Receiver<Bytes> {
        let (frames, receiver) = mpsc::channel(self.outstanding_max.max(1));
        // When the hub has ended, the stream that is returned ends at once.
        let _ = self.notices.send(Notice::Attach(Listener { address, types, frames })).await;
        receiver
    }

    fn tell(&self, notice: Notice) {
        if let Err(mpsc::error::TrySendError::Full(_)) = self.notices.try_send(notice) {
            warn!("an event was dropped: the event hub doesn't keep up");
        }
    }
}

struct Listeners {
    now: Box<dyn Fn() -> Timestamp + Send>,
    metrics: Arc<Metrics>,
    all: Vec<Listener>,
}

impl Listeners {
    /// Serves until `shutdown`; then every stream ends.
    async fn run(mut self, mut inbox: mpsc::Receiver<Notice>, shutdown: CancellationToken) {
        let mut keep_alive = tokio::time::interval(KEEP_ALIVE);
        keep_alive.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                notice = inbox.recv() => match notice {
                    Some(notice) => self.take(notice),
                    None => return,
                },
                _ = keep_alive.tick() => self.keep_alive(),
                () = shutdown.cancelled() => return,
            }
            self.metrics.event_streams.set(self.all.len() as u64);
        }
    }

    fn take(&mut self, notice: Notice) {
        match notice {
            Notice::Core(event) if !self.all.is_empty() => {
                let (event_type, body) = event_view::of_core(&event);
                self.broadcast(event_type, &body);
            }
            Notice::Core(_) => {}
            Notice::Api(event_type, at, body) => {
                self.broadcast(event_type, &event_view::with_type(event_type, at, body));
            }
            Notice::Attach(listener) => {
                info!(address = listener.address, "event stream attached");
                let body = json!({"remoteAddress": listener.address});
                self.all.push(listener);
                self.tell("event_stream_attached", body);
            }
        }
    }

    /// Publishes an event of the hub itself.
    fn tell(&mut self, event_type: &'static str, body: Value) {
        let at = (self.now)();
        self.broadcast(event_type, &event_view::with_type(event_type, at, body));
    }

    fn broadcast(&mut self, event_type: &str, body: &Value) {
        let frame = Bytes::from(format!("event: {event_type}\r\ndata: {body}\r\n\r\n"));
        self.send(&frame, |listener| {
            listener.types.is_empty() || listener.types.contains(event_type)
        });
    }

    fn keep_alive(&mut self) {
        self.send(&Bytes::from_static(b"\r\n"), |_| true);
    }

    fn send(&mut self, frame: &Bytes, wants: impl Fn(&Listener) -> bool) {
        let mut gone = Vec::new();
        self.all.retain(|listener| {
            if !wants(listener) {
                return true;
            }
            let Err(error) = listener.frames.try_send(frame.clone()) else { return true };
            if matches!(error, mpsc::error::TrySendError::Full(_)) {
                warn!(address = listener.address, "event stream closed: it doesn't keep up");
            }
            gone.push(listener.address.clone());
            false
        });
        for address in gone {
            info!(address, "event stream detached");
            self.tell("event_stream_detached", json!({"remoteAddress": address}));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hub(outstanding_max: usize) -> Hub {
        let metrics = Arc::new(Metrics::default());
        let now = || Timestamp::from_millis(0);
        let (hub, task) = Hub::start(outstanding_max, metrics, now, CancellationToken::new());
        tokio::spawn(task);
        hub
    }

    async fn next(frames: &mut mpsc::Receiver<Bytes>) -> Option<String> {
        loop {
            let frame = frames.recv().await?;
            if &frame[..] != b"\r\n" {
                return Some(String::from_utf8(frame.to_vec()).expect("events are UTF-8"));
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_listener_hears_of_itself_and_then_of_the_types_it_wants() {
        let hub = hub(16);
        let mut all = hub.attach("1.2.3.4".into(), BTreeSet::new()).await;
        assert_eq!(
            next(&mut all).await.expect("attached"),
            "event: event_stream_attached\r\ndata: {\"eventType\":\"event_stream_attached\",\
             \"remoteAddress\":\"1.2.3.4\",\"timestamp\":\"1970-01-01T00:00:00.000Z\"}\r\n\r\n"
        );
        let mut some = hub.attach("5.6.7.8".into(), ["b".to_owned()].into()).await;
        for event_type in ["a", "b"] {
            hub.publish_api(event_type, Timestamp::default(), json!({}));
        }
        assert!(next(&mut some).await.expect("wanted").starts_with("event: b\r\n"));
        assert!(next(&mut all).await.expect("all").contains("5.6.7.8"));
        assert!(next(&mut all).await.expect("all").starts_with("event: a\r\n"));
    }

    #[tokio::test(start_paused = true)]
    async fn a_listener_that_does_not_keep_up_is_cut_off_and_the_others_are_told() {
        let hub = hub(2);
        let mut slow = hub.attach("slow".into(), ["a".to_owned()].into()).await;
        let mut other =
            hub.attach("other".into(), ["event_stream_detached".to_owned()].into()).await;
        for _ in 0..3 {
            hub.publish_api("a", Timestamp::default(), json!({}));
        }
        assert!(next(&mut other).await.expect("told").contains("\"remoteAddress\":\"slow\""));
        while next(&mut slow).await.is_some() {}
    }

    #[tokio::test(start_paused = true)]
    async fn a_silent_stream_carries_keep_alives() {
        let hub = hub(16);
        let mut frames = hub.attach("a".into(), ["none".to_owned()].into()).await;
        assert_eq!(frames.recv().await.as_deref(), Some(&b"\r\n"[..]));
        assert_eq!(frames.recv().await.as_deref(), Some(&b"\r\n"[..]));
    }
}
