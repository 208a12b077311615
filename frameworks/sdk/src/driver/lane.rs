//! Sends the calls of one queue, one after the other, on one connection.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use meros_proto::v1::scheduler::Call;
use meros_proto::v1::scheduler::call::Type;
use meros_proto::wire::{self, Encoding};
use rand::rngs::StdRng;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use super::answer::{self, ToCall};
use super::calls::{Link, Queued};
use super::event::{CallFailed, CallFailure};
use super::machine::Input;
use super::subscription::PATH;
use crate::backoff::Backoff;
use crate::http::{HttpClient, HttpError, Method, Response};

const RETRY_FIRST: Duration = Duration::from_millis(50);
const RETRY_LAST: Duration = Duration::from_secs(1);
/// Broken connections that a call survives.
const TRIES_MAX: u32 = 6;

/// One queue's sender.
pub(super) struct Lane {
    pub(super) client: HttpClient,
    pub(super) encoding: Encoding,
    pub(super) authorization: Option<String>,
    pub(super) link: watch::Receiver<Option<Link>>,
    pub(super) unanswered: Arc<AtomicUsize>,
    pub(super) inbox: mpsc::Sender<Input>,
    pub(super) rng: StdRng,
}

impl Lane {
    /// Sends what comes in `queue`, until it is closed; after `stop` only what is in it already.
    pub(super) async fn run(mut self, mut queue: mpsc::Receiver<Queued>, stop: CancellationToken) {
        loop {
            let queued = tokio::select! {
                queued = queue.recv() => queued,
                () = stop.cancelled(), if !queue.is_closed() => {
                    queue.close();
                    continue;
                }
            };
            let Some(queued) = queued else { return };
            let input = self.deliver(queued).await;
            self.unanswered.fetch_sub(1, Ordering::Relaxed);
            if let Some(input) = input
                && self.inbox.send(input).await.is_err()
            {
                return;
            }
        }
    }

    /// Sends one call until it is answered, and says what the machine must know of that. Gives up
    /// when its subscription ends; with a TEARDOWN, which may be what ends it, when the next stands.
    async fn deliver(&mut self, queued: Queued) -> Option<Input> {
        let Queued { epoch, call } = queued;
        let link = self.link.borrow_and_update().clone().filter(|link| link.epoch == epoch);
        let Some(link) = link else { return given_up(epoch, call) };
        let is_teardown = call.r#type() == Type::Teardown;
        if is_teardown {
            // An ended machine needn't know.
            let _ = self.inbox.send(Input::TearingDown { attempt: epoch }).await;
        }
        let is_over = |now: &Option<Link>| match now {
            Some(now) => now.epoch != epoch,
            None => !is_teardown,
        };
        let url = format!("http://{}{PATH}", link.master);
        let body = bytes::Bytes::from(wire::encode(self.encoding, &call));
        let mut backoff = Backoff::new(RETRY_FIRST, RETRY_LAST);
        let mut tries = 0;
        loop {
            let mut ended = self.link.clone();
            let over = ended.wait_for(is_over);
            let answer = tokio::select! {
                answer = self.post(&url, &link, body.clone()) => answer,
                _ = over => return given_up(epoch, call),
            };
            let delay = backoff.next(&mut self.rng);
            match answer {
                Ok(response) => match ToCall::of(response.status.as_u16(), &response.text()) {
                    ToCall::Busy => {}
                    meaning => return answered(epoch, call, meaning, &response),
                },
                Err(error) => {
                    tries += 1;
                    let again = error.is_unsent() || answer::may_repeat(call.r#type());
                    if !again || tries == TRIES_MAX {
                        return match call.r#type() {
                            Type::UpdateFramework => changed(epoch, call, false),
                            _ => Some(failed(call, CallFailure::Unanswered(error.to_string()))),
                        };
                    }
                }
            }
            tokio::select! {
                () = tokio::time::sleep(delay) => {}
                _ = ended.wait_for(is_over) => return given_up(epoch, call),
            }
        }
    }

    async fn post(
        &self,
        url: &str,
        link: &Link,
        body: bytes::Bytes,
    ) -> Result<Response, HttpError> {
        let mut headers = vec![
            ("content-type", self.encoding.media_type()),
            ("accept", self.encoding.media_type()),
            ("mesos-stream-id", &link.stream_id),
        ];
        if let Some(authorization) = &self.authorization {
            headers.push(("authorization", authorization));
        }
        self.client.request(Method::POST, url, &headers, body).await
    }
}

fn answered(epoch: u64, call: Call, meaning: ToCall, response: &Response) -> Option<Input> {
    let status = response.status.as_u16();
    let kind = call.r#type();
    match meaning {
        ToCall::Taken if kind == Type::Teardown => Some(Input::TornDown { attempt: epoch }),
        ToCall::Taken if kind == Type::UpdateFramework => changed(epoch, call, true),
        ToCall::Unsubscribed if kind == Type::UpdateFramework => changed(epoch, call, false),
        // What masters without this call say: ours, and Mesos before 1.9.
        ToCall::Refused if kind == Type::UpdateFramework && status == 501 => {
            changed(epoch, call, false)
        }
        ToCall::Taken | ToCall::Busy => None,
        ToCall::Unsubscribed => Some(Input::Unsubscribed {
            attempt: epoch,
            call: kind,
            why: format!("{} was answered {status}: {}", kind.as_str_name(), response.text()),
        }),
        ToCall::Refused => {
            Some(failed(call, CallFailure::Refused { status, message: response.text() }))
        }
    }
}

/// The call was dropped: only what changes the framework itself must not be forgotten.
fn given_up(epoch: u64, call: Call) -> Option<Input> {
    match call.r#type() {
        Type::UpdateFramework => changed(epoch, call, false),
        _ => None,
    }
}

fn changed(epoch: u64, call: Call, taken: bool) -> Option<Input> {
    let update = Box::new(call.update_framework?);
    Some(Input::FrameworkChanged { attempt: epoch, update, taken })
}

fn failed(call: Call, why: CallFailure) -> Input {
    tracing::warn!(call = call.r#type().as_str_name(), %why, "a call came to nothing");
    Input::CallFailed { failed: Box::new(CallFailed { call, why }) }
}
