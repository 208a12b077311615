//! Marathon's event stream, as a client reads it (server-sent events, WHATWG HTML 9.2).

use meros_sdk::http::{Method, Streaming};
use serde_json::Value;

use crate::http::{Api, text};
use crate::wait::within_patience;

/// An open stream.
pub(crate) struct Events {
    stream: Streaming,
    unread: Vec<u8>,
    name: String,
}

impl Events {
    /// Opens the stream; what happens from now on is in it. `query` as in `event_type=a`.
    pub(crate) async fn open(marathon: &Api, query: &str) -> Self {
        let url = format!("http://{}/v2/events?{query}", marathon.address);
        let accept = [("Accept", "text/event-stream")];
        let opened = marathon.http.stream(Method::GET, &url, &accept, "").await;
        let stream = opened.unwrap_or_else(|error| panic!("{url}: {error}"));
        assert_eq!(stream.status.as_u16(), 200);
        let media_type = stream.header("content-type").unwrap_or_default().to_owned();
        assert!(media_type.starts_with("text/event-stream"), "{media_type}");
        Self { stream, unread: Vec::new(), name: String::new() }
    }

    /// The next event. `None`: the stream has ended.
    ///
    /// # Panics
    /// When it isn't framed as Marathon frames it.
    pub(crate) async fn next(&mut self) -> Option<Value> {
        loop {
            while let Some(line) = self.line() {
                if let Some(name) = line.strip_prefix("event: ") {
                    self.name = name.to_owned();
                } else if let Some(data) = line.strip_prefix("data: ") {
                    let event: Value =
                        serde_json::from_str(data).expect("data is one line of JSON");
                    assert_eq!(text(&event["eventType"]), self.name, "the name is in the data too");
                    assert!(text(&event["timestamp"]).ends_with('Z'), "{event}");
                    return Some(event);
                } else {
                    assert_eq!(line, "", "an event is a name and data");
                }
            }
            let chunk = within_patience("an event", self.stream.chunk()).await;
            self.unread.extend_from_slice(&chunk.ok()??);
        }
    }

    /// Reads on until an event is `last`; returns all that came, that one included.
    pub(crate) async fn until(&mut self, last: impl Fn(&Value) -> bool) -> Vec<Value> {
        let mut events = Vec::new();
        loop {
            let event = self.next().await;
            events.push(event.unwrap_or_else(|| panic!("the stream ended after {events:#?}")));
            if events.last().is_some_and(&last) {
                return events;
            }
        }
    }

    fn line(&mut self) -> Option<String> {
        let end = self.unread.iter().position(|byte| *byte == b'\n')?;
        let line: Vec<u8> = self.unread.drain(..=end).collect();
        let line = String::from_utf8(line).expect("events are UTF-8");
        Some(line.trim_end_matches(['\r', '\n']).to_owned())
    }
}
