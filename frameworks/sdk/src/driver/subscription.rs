//! One attempt to subscribe, and the stream that it opens: a task that only reads.

use std::time::Duration;

use base64::Engine;
use meros_proto::recordio;
use meros_proto::v1::scheduler;
use meros_proto::wire::{self, Encoding};
use tokio::sync::mpsc;

use super::address::Address;
use super::machine::Input;
use super::options::Credential;
use crate::http::{HttpClient, Limits, Method, StatusCode, Streaming};

/// The path of the scheduler API.
pub(super) const PATH: &str = "/api/v1/scheduler";

/// The largest event that is read: an OFFERS of every agent of a large cluster stays below it.
const RECORD_BYTES_MAX: usize = 256 << 20;
/// The longest text of a refusal that is read.
const REFUSAL_BYTES_MAX: usize = 64 << 10;

/// What an attempt needs to know.
pub(super) struct Attempt {
    pub(super) number: u64,
    pub(super) master: Address,
    pub(super) call: Box<scheduler::Call>,
    pub(super) within: Duration,
    pub(super) encoding: Encoding,
    pub(super) authorization: Option<String>,
}

/// Sends SUBSCRIBE and passes on what comes, until the stream ends or nobody listens.
pub(super) async fn subscribe(attempt: Attempt, inbox: mpsc::Sender<Input>) {
    let number = attempt.number;
    // A client of its own: a stream's connection is never used for anything else.
    let client = HttpClient::with_limits(Limits { answer: attempt.within, ..Limits::default() });
    let url = format!("http://{}{PATH}", attempt.master);
    let media_type = attempt.encoding.media_type();
    let mut headers = vec![("content-type", media_type), ("accept", media_type)];
    if let Some(authorization) = &attempt.authorization {
        headers.push(("authorization", authorization));
    }
    let body = wire::encode(attempt.encoding, attempt.call.as_ref());
    let last = match client.stream(Method::POST, &url, &headers, body).await {
        Err(error) => Input::Failed { attempt: number, why: error.to_string() },
        Ok(stream) if stream.status != StatusCode::OK => refused(number, stream).await,
        Ok(stream) => {
            let stream_id = stream.header("mesos-stream-id").map(str::to_owned);
            if inbox.send(Input::Opened { attempt: number, stream_id }).await.is_err() {
                return;
            }
            match read(number, attempt.encoding, stream, &inbox).await {
                Some(why) => Input::Closed { attempt: number, why },
                None => return,
            }
        }
    };
    // The driver may have ended meanwhile.
    let _ = inbox.send(last).await;
}

async fn refused(attempt: u64, stream: Streaming) -> Input {
    let status = stream.status.as_u16();
    let location = stream.header("location").map(str::to_owned);
    let body = match stream.whole(REFUSAL_BYTES_MAX).await {
        Ok(response) => response.text(),
        Err(error) => error.to_string(),
    };
    Input::Answered { attempt, status, location, body }
}

/// Reads events until the stream ends, and says why it did; `None` when nobody listens any more.
async fn read(
    attempt: u64,
    asked_for: Encoding,
    mut stream: Streaming,
    inbox: &mpsc::Sender<Input>,
) -> Option<String> {
    let encoding =
        stream.header("content-type").and_then(Encoding::from_media_type).unwrap_or(asked_for);
    let mut records = recordio::Decoder::new(RECORD_BYTES_MAX);
    loop {
        match stream.chunk().await {
            Ok(Some(chunk)) => records.push(&chunk),
            Ok(None) => return Some("the master closed the stream".to_owned()),
            Err(error) => return Some(error.to_string()),
        }
        loop {
            let record = match records.next() {
                Ok(Some(record)) => record,
                Ok(None) => break,
                Err(error) => return Some(format!("the stream can't be read: {error}")),
            };
            let event = match wire::decode::<scheduler::Event>(encoding, &record) {
                Ok(event) => Box::new(event),
                Err(error) => return Some(format!("an event can't be read: {error}")),
            };
            if inbox.send(Input::Event { attempt, event, record }).await.is_err() {
                return None;
            }
        }
    }
}

/// The value of the `Authorization` header.
pub(super) fn authorization(credential: &Credential) -> String {
    let pair = format!("{}:{}", credential.principal, credential.secret);
    format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(pair))
}
