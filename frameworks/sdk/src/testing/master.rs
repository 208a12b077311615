//! The fake master itself.

use std::collections::{BTreeSet, VecDeque};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ::http::header::{CONTENT_TYPE, LOCATION};
use ::http::{HeaderValue, Response};
use bytes::Bytes;
use meros_proto::v1;
use meros_proto::v1::TaskState;
use meros_proto::v1::scheduler::{Call, Event, call, event};
use meros_proto::wire::Encoding;
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::answer::SubscribeAnswer;
use super::http::{self, Body};
use super::messages;
use super::stream::Stream;
use super::tasks::Tasks;

/// How long a test waits for what it expects.
const PATIENCE: Duration = Duration::from_secs(10);
/// How often unacknowledged updates are sent again; agents of flesh and blood wait 10 s.
const RESEND_EVERY: Duration = Duration::from_millis(100);
/// What SUBSCRIBED promises.
const HEARTBEAT_EVERY: Duration = Duration::from_millis(200);

/// A master for one framework. See the [module](super). Dropped, it is gone at once.
#[derive(Debug)]
pub struct FakeMaster {
    address: SocketAddr,
    shared: Arc<Shared>,
    stop: CancellationToken,
    _server: JoinHandle<()>,
    _ticker: JoinHandle<()>,
}

/// What the socket and the test have in common.
#[derive(Debug, Default)]
pub(super) struct Shared {
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct State {
    calls: Vec<Call>,
    /// Calls that [`FakeMaster::next_call`] has returned, by their place.
    seen: BTreeSet<usize>,
    subscribe_answers: VecDeque<SubscribeAnswer>,
    call_answers: VecDeque<(u16, String)>,
    stream: Option<Stream>,
    streams: u64,
    frameworks: u64,
    silent: bool,
    lost_acknowledgements: usize,
    ignored_reconciliations: usize,
    offers: BTreeSet<String>,
    tasks: Tasks,
    cut: CancellationToken,
}

impl FakeMaster {
    /// A leader on a free port, which takes every subscription and every call.
    ///
    /// # Panics
    /// When there is no free port.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free loopback port");
        let address = listener.local_addr().expect("a bound socket has an address");
        let shared = Arc::new(Shared::default());
        let stop = CancellationToken::new();
        let server = tokio::spawn(http::serve(listener, Arc::clone(&shared), stop.clone()));
        let ticker = tokio::spawn(tick(Arc::clone(&shared), stop.clone()));
        Self { address, shared, stop, _server: server, _ticker: ticker }
    }

    /// `HOST:PORT`.
    pub fn address(&self) -> String {
        self.address.to_string()
    }

    /// Says how the next SUBSCRIBE is answered; several in a row in this order.
    pub fn answer_subscribe(&self, answer: SubscribeAnswer) {
        self.state().subscribe_answers.push_back(answer);
    }

    /// Says how the next other call is answered; several in a row in this order. The call is
    /// recorded, and has no effect.
    pub fn answer_call(&self, status: u16, message: &str) {
        self.state().call_answers.push_back((status, message.to_owned()));
    }

    /// Lets launched tasks go through these states, each once the one before is acknowledged.
    pub fn run_tasks(&self, states: &[TaskState]) {
        self.state().tasks.script = states.to_vec();
    }

    /// Drops the next acknowledgements, so that their updates come again.
    pub fn lose_acknowledgements(&self, count: usize) {
        self.state().lost_acknowledgements = count;
    }

    /// Takes the next reconciliations without answering them.
    pub fn ignore_reconciliations(&self, count: usize) {
        self.state().ignored_reconciliations = count;
    }

    /// Sends no heartbeats from now on.
    pub fn fall_silent(&self) {
        self.state().silent = true;
    }

    /// Sends an event on the stream.
    ///
    /// # Panics
    /// When nobody is subscribed.
    pub fn send(&self, event: &Event) {
        self.state().stream.as_ref().expect("a framework is subscribed").send(event);
    }

    /// Sends bytes on the stream as they are.
    ///
    /// # Panics
    /// When nobody is subscribed.
    pub fn send_raw(&self, bytes: impl Into<Bytes>) {
        self.state().stream.as_ref().expect("a framework is subscribed").send_raw(bytes.into());
    }

    /// Makes an offer to role `*`, see [`offer`](super::offer).
    ///
    /// # Panics
    /// When nobody is subscribed.
    pub fn offer(&self, id: &str, agent: &str, resources: &str) {
        self.state().offers.insert(id.to_owned());
        let offers = vec![messages::offer(id, agent, resources)];
        self.send(&Event {
            offers: Some(event::Offers { offers }),
            ..messages::event(event::Type::Offers)
        });
    }

    /// Takes an offer back.
    ///
    /// # Panics
    /// When nobody is subscribed.
    pub fn rescind(&self, id: &str) {
        self.state().offers.remove(id);
        let offer_id = Some(v1::OfferId { value: Some(id.to_owned()) });
        self.send(&Event {
            rescind: Some(event::Rescind { offer_id }),
            ..messages::event(event::Type::Rescind)
        });
    }

    /// Lets a task change its state. The update is sent until it is acknowledged.
    pub fn update(&self, task: &str, agent: &str, state: TaskState) {
        let mut shared = self.state();
        let status = shared.tasks.change(task, agent, state);
        shared.report(status);
    }

    /// Sends an update that wants no acknowledgement.
    ///
    /// # Panics
    /// When nobody is subscribed.
    pub fn update_without_uuid(&self, task: &str, agent: &str, state: TaskState) {
        self.send(&messages::update(messages::status(task, agent, state)));
    }

    /// Forgets a task, as a cluster does whose agent lost its disk.
    pub fn forget_task(&self, task: &str) {
        self.state().tasks.forget(task);
    }

    /// Ends the stream in an orderly way.
    pub fn close_stream(&self) {
        self.state().stream = None;
    }

    /// Cuts every connection, in mid-record if need be.
    pub fn cut_connections(&self) {
        let mut state = self.state();
        state.stream = None;
        std::mem::take(&mut state.cut).cancel();
    }

    /// All calls so far, in the order in which they came.
    pub fn calls(&self) -> Vec<Call> {
        self.state().calls.clone()
    }

    /// How many calls of a kind came so far.
    pub fn count(&self, kind: call::Type) -> usize {
        self.state().calls.iter().filter(|call| call.r#type() == kind).count()
    }

    /// Offers that were neither accepted nor declined nor taken back.
    pub fn open_offers(&self) -> usize {
        self.state().offers.len()
    }

    /// Waits for the next call of a kind that wasn't returned before.
    ///
    /// # Panics
    /// When none comes within 10 s.
    pub async fn next_call(&self, kind: call::Type) -> Call {
        let what = format!("a call {}", kind.as_str_name());
        self.wait_for(&what, |state| {
            let next = state.calls.iter().enumerate().find_map(|(place, call)| {
                (call.r#type() == kind && !state.seen.contains(&place)).then_some(place)
            })?;
            state.seen.insert(next);
            Some(state.calls[next].clone())
        })
        .await
    }

    /// Waits until a framework has a stream open.
    ///
    /// # Panics
    /// When none has within 10 s.
    pub async fn subscribed(&self) {
        self.wait_for("a subscription", |state| {
            state.stream.as_ref().is_some_and(|stream| !stream.is_closed()).then_some(())
        })
        .await;
    }

    /// Waits until no framework has a stream open.
    ///
    /// # Panics
    /// When one still has after 10 s.
    pub async fn unsubscribed(&self) {
        self.wait_for("the end of the subscription", |state| {
            state.stream.as_ref().is_none_or(Stream::is_closed).then_some(())
        })
        .await;
    }

    async fn wait_for<T>(&self, what: &str, mut look: impl FnMut(&mut State) -> Option<T>) -> T {
        let deadline = tokio::time::Instant::now() + PATIENCE;
        loop {
            if let Some(found) = look(&mut self.state()) {
                return found;
            }
            // Whether a client is gone isn't notified: look again after a while in any case.
            let _ = tokio::time::timeout(RESEND_EVERY, self.shared.changed.notified()).await;
            assert!(tokio::time::Instant::now() < deadline, "{what} was expected");
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.shared.state()
    }
}

impl Drop for FakeMaster {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// Heartbeats, and updates that nobody acknowledged.
async fn tick(shared: Arc<Shared>, stop: CancellationToken) {
    for tick in 0_u64.. {
        tokio::select! {
            () = tokio::time::sleep(RESEND_EVERY) => {}
            () = stop.cancelled() => return,
        }
        let mut state = shared.state();
        for status in state.tasks.unacknowledged() {
            state.report(Some(status));
        }
        if tick % 2 == 0
            && !state.silent
            && let Some(stream) = &state.stream
        {
            stream.send(&messages::event(event::Type::Heartbeat));
        }
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        // A test that panicked while it held this has failed anyway.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What cuts the connections that are open now.
    pub(super) fn cut(&self) -> CancellationToken {
        self.state().cut.clone()
    }

    /// One call, decoded.
    pub(super) fn receive(
        &self,
        call: Call,
        stream_id: Option<&str>,
        accept: Encoding,
    ) -> Response<Body> {
        let mut state = self.state();
        state.calls.push(call.clone());
        let response = if call.r#type() == call::Type::Subscribe {
            state.subscribe(&call, stream_id, accept)
        } else {
            state.check(&call, stream_id).unwrap_or_else(|| {
                state.act(call);
                http::text(202, "")
            })
        };
        drop(state);
        self.changed.notify_waiters();
        response
    }
}

impl State {
    fn subscribe(
        &mut self,
        call: &Call,
        stream_id: Option<&str>,
        accept: Encoding,
    ) -> Response<Body> {
        if stream_id.is_some() {
            return http::text(
                400,
                "Subscribe calls should not include the 'Mesos-Stream-Id' header",
            );
        }
        let answer = self.subscribe_answers.pop_front().unwrap_or_default();
        let first = match answer {
            SubscribeAnswer::Status(status, message) => return http::text(status, &message),
            SubscribeAnswer::Redirect(location) => {
                let mut response = http::text(307, "");
                if let Ok(location) = HeaderValue::from_str(&location) {
                    response.headers_mut().insert(LOCATION, location);
                }
                return response;
            }
            SubscribeAnswer::Accept => Some(self.welcome(call)),
            SubscribeAnswer::Silence => None,
            SubscribeAnswer::Error(message) => Some(Event {
                error: Some(event::Error { message: Some(message) }),
                ..messages::event(event::Type::Error)
            }),
        };
        self.streams += 1;
        let (stream, chunks) = Stream::open(format!("stream-{}", self.streams), accept);
        let mut response = Response::new(http::streamed(chunks));
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(accept.media_type()));
        if let Ok(id) = HeaderValue::from_str(&stream.id) {
            headers.insert("mesos-stream-id", id);
        }
        let is_end = first.as_ref().is_some_and(|event| event.r#type() == event::Type::Error);
        if let Some(first) = first {
            stream.send(&first);
        }
        // An earlier stream is closed by this, as the newest subscription wins.
        self.stream = (!is_end).then_some(stream);
        self.offers.clear();
        response
    }

    fn welcome(&mut self, call: &Call) -> Event {
        let framework_id = call.framework_id.clone().unwrap_or_else(|| {
            self.frameworks += 1;
            v1::FrameworkId { value: Some(format!("framework-{}", self.frameworks)) }
        });
        Event {
            subscribed: Some(event::Subscribed {
                framework_id: Some(framework_id),
                heartbeat_interval_seconds: Some(HEARTBEAT_EVERY.as_secs_f64()),
                master_info: None,
            }),
            ..messages::event(event::Type::Subscribed)
        }
    }

    /// The answer to a call that isn't taken.
    fn check(&mut self, call: &Call, stream_id: Option<&str>) -> Option<Response<Body>> {
        if let Some((status, message)) = self.call_answers.pop_front() {
            return Some(http::text(status, &message));
        }
        if call.framework_id.is_none() {
            let message =
                "Failed to validate scheduler::Call: Expecting 'framework_id' to be present";
            return Some(http::text(400, message));
        }
        let Some(stream) = &self.stream else {
            return Some(http::text(403, "Framework is not subscribed"));
        };
        match stream_id {
            None => Some(http::text(
                400,
                "All non-subscribe calls should include the 'Mesos-Stream-Id' header",
            )),
            Some(id) if id != stream.id => {
                Some(http::text(400, "The stream ID included in this request didn't match"))
            }
            Some(_) => None,
        }
    }

    fn act(&mut self, call: Call) {
        match call.r#type() {
            call::Type::Accept => self.accept(call.accept.unwrap_or_default()),
            call::Type::Decline => {
                for id in call.decline.unwrap_or_default().offer_ids {
                    self.offers.remove(id.value());
                }
            }
            call::Type::Acknowledge => self.acknowledge(&call.acknowledge.unwrap_or_default()),
            call::Type::Kill => {
                let kill = call.kill.unwrap_or_default();
                if let Some(id) = kill.task_id {
                    let status = self.tasks.change(id.value(), "agent-1", TaskState::TaskKilled);
                    self.report(status);
                }
            }
            call::Type::Reconcile => self.reconcile(call.reconcile.unwrap_or_default()),
            call::Type::Teardown => self.stream = None,
            _ => {}
        }
    }

    fn accept(&mut self, accept: call::Accept) {
        let known = accept.offer_ids.iter().all(|id| self.offers.remove(id.value()));
        let launched = accept.operations.into_iter().filter_map(|operation| operation.launch);
        for task in launched.flat_map(|launch| launch.task_infos) {
            let status = if known {
                self.tasks.launch(&task)
            } else {
                let id = task.task_id.unwrap_or_default();
                let agent = task.agent_id.unwrap_or_default();
                Some(v1::TaskStatus {
                    reason: Some(v1::task_status::Reason::InvalidOffers.into()),
                    ..messages::status(id.value(), agent.value(), TaskState::TaskDropped)
                })
            };
            self.report(status);
        }
    }

    fn acknowledge(&mut self, acknowledge: &call::Acknowledge) {
        if self.lost_acknowledgements > 0 {
            self.lost_acknowledgements -= 1;
            return;
        }
        let task = acknowledge.task_id.clone().unwrap_or_default();
        let next = self.tasks.acknowledge(task.value(), acknowledge.uuid());
        self.report(next);
    }

    fn reconcile(&mut self, reconcile: call::Reconcile) {
        if self.ignored_reconciliations > 0 {
            self.ignored_reconciliations -= 1;
            return;
        }
        let ids = reconcile.tasks.iter().map(|task| task.task_id.as_ref().map(|id| id.value()));
        let answers: Vec<v1::TaskStatus> = match reconcile.tasks.is_empty() {
            true => self.tasks.reconcile(None),
            false => ids.flatten().flat_map(|id| self.tasks.reconcile(Some(id))).collect(),
        };
        for status in answers {
            self.report(Some(status));
        }
    }

    fn report(&mut self, status: Option<v1::TaskStatus>) {
        if let (Some(status), Some(stream)) = (status, &self.stream) {
            stream.send(&messages::update(status));
        }
    }
}
