//! HTTP by hand, so that tests see what is on the wire.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use meros_proto::recordio;
use meros_proto::v1::scheduler::Event;
use meros_proto::wire::{self, Encoding};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::master::PATIENCE;

/// The head of an answer; header names in lower case.
#[derive(Debug)]
pub(crate) struct Head {
    pub(crate) status: u16,
    pub(crate) headers: BTreeMap<String, String>,
}

/// A whole answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }
}

/// Sends one request on a connection of its own and reads the answer.
pub(crate) async fn send(
    address: SocketAddr,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> Answer {
    let mut connection = request(address, method, path, headers, body).await;
    let head = connection.head().await;
    let mut body = Vec::new();
    while let Some(piece) = connection.piece(&head).await {
        body.extend(piece);
    }
    Answer { status: head.status, headers: head.headers, body }
}

/// `GET path`.
pub(crate) async fn get(address: SocketAddr, path: &str) -> Answer {
    send(address, "GET", path, &[], b"").await
}

/// Posts a scheduler's call in JSON.
pub(crate) async fn call(address: SocketAddr, stream_id: Option<&str>, call: &Value) -> Answer {
    let mut headers = vec![("Content-Type", "application/json")];
    headers.extend(stream_id.map(|id| ("Mesos-Stream-Id", id)));
    let body = call.to_string();
    send(address, "POST", "/api/v1/scheduler", &headers, body.as_bytes()).await
}

/// A connection on which a request was sent.
pub(crate) struct Connection {
    socket: TcpStream,
    read: Vec<u8>,
}

/// Sends one request; its answer is to be read from the connection.
pub(crate) async fn request(
    address: SocketAddr,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> Connection {
    let mut socket = TcpStream::connect(address).await.expect("the master listens");
    let mut head = format!("{method} {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n");
    for (name, value) in headers {
        head += &format!("{name}: {value}\r\n");
    }
    head += &format!("Content-Length: {}\r\n\r\n", body.len());
    socket.write_all(head.as_bytes()).await.expect("the request is sent");
    // A master that refuses by the head alone may hang up before it has read a large body.
    let _ = socket.write_all(body).await;
    Connection { socket, read: Vec::new() }
}

impl Connection {
    pub(crate) async fn head(&mut self) -> Head {
        let end = loop {
            match self.read.windows(4).position(|four| four == b"\r\n\r\n") {
                Some(end) => break end,
                None => assert!(self.more().await, "no answer: {:?}", self.read),
            }
        };
        let head: Vec<u8> = self.read.drain(..end + 4).collect();
        let head = String::from_utf8(head).expect("a head is text");
        let mut lines = head.split("\r\n");
        let status = lines.next().and_then(|line| line.split(' ').nth(1)).expect("a status line");
        let headers = lines.filter_map(|line| line.split_once(": "));
        Head {
            status: status.parse().expect("a number"),
            headers: headers.map(|(k, v)| (k.to_ascii_lowercase(), v.to_owned())).collect(),
        }
    }

    /// The next piece of the body; `None` at its end.
    pub(crate) async fn piece(&mut self, head: &Head) -> Option<Vec<u8>> {
        if head.headers.get("transfer-encoding").is_some_and(|coding| coding == "chunked") {
            return self.chunk().await;
        }
        while self.more().await {}
        Some(std::mem::take(&mut self.read)).filter(|rest| !rest.is_empty())
    }

    async fn chunk(&mut self) -> Option<Vec<u8>> {
        let line = loop {
            match self.read.windows(2).position(|two| two == b"\r\n") {
                Some(end) => break end,
                None if self.more().await => {}
                None => return None,
            }
        };
        let size = std::str::from_utf8(&self.read[..line]).expect("a chunk's size is text");
        let size = usize::from_str_radix(size, 16).expect("a chunk's size is hexadecimal");
        while self.read.len() < line + 2 + size + 2 {
            if !self.more().await {
                return None;
            }
        }
        let chunk = self.read[line + 2..line + 2 + size].to_vec();
        self.read.drain(..line + 2 + size + 2);
        Some(chunk).filter(|chunk| !chunk.is_empty())
    }

    async fn more(&mut self) -> bool {
        let reading = self.socket.read_buf(&mut self.read);
        let read = tokio::time::timeout(PATIENCE, reading).await.expect("an answer in time");
        read.is_ok_and(|bytes| bytes > 0)
    }
}

/// A scheduler's stream.
pub(crate) struct Subscription {
    pub(crate) head: Head,
    connection: Connection,
    records: recordio::Decoder,
    encoding: Encoding,
}

/// Subscribes in JSON; `info` is the FrameworkInfo.
pub(crate) async fn subscribe(address: SocketAddr, info: Value) -> Subscription {
    let mut call = serde_json::json!({"type": "SUBSCRIBE", "subscribe": {"framework_info": info}});
    if let Some(id) = call["subscribe"]["framework_info"].get("id").cloned() {
        call["framework_id"] = id;
    }
    let headers = [("Content-Type", "application/json"), ("Accept", "application/json")];
    subscribe_with(address, &headers, call.to_string().as_bytes(), Encoding::Json).await
}

/// Subscribes with any headers and body.
pub(crate) async fn subscribe_with(
    address: SocketAddr,
    headers: &[(&str, &str)],
    body: &[u8],
    encoding: Encoding,
) -> Subscription {
    let mut connection = request(address, "POST", "/api/v1/scheduler", headers, body).await;
    let head = connection.head().await;
    Subscription { head, connection, records: recordio::Decoder::new(1 << 20), encoding }
}

impl Subscription {
    pub(crate) fn stream_id(&self) -> &str {
        &self.head.headers["mesos-stream-id"]
    }

    /// The next record, as it came; `None` when the stream has ended.
    pub(crate) async fn record(&mut self) -> Option<Vec<u8>> {
        loop {
            if let Some(record) = self.records.next().expect("it is RecordIO") {
                return Some(record.to_vec());
            }
            let chunk = self.connection.piece(&self.head).await?;
            self.records.push(&chunk);
        }
    }

    /// The next event.
    pub(crate) async fn event(&mut self) -> Option<Event> {
        let record = self.record().await?;
        Some(wire::decode(self.encoding, &record).expect("it is an event"))
    }

    /// The next event of that type; others are skipped.
    pub(crate) async fn wait_for(&mut self, kind: &str) -> Event {
        loop {
            let event = self.event().await.unwrap_or_else(|| panic!("no {kind} came"));
            if event.r#type().as_str_name() == kind {
                return event;
            }
        }
    }

    /// The framework's id, from SUBSCRIBED.
    pub(crate) async fn framework_id(&mut self) -> String {
        let subscribed = self.wait_for("SUBSCRIBED").await.subscribed.expect("it has a body");
        subscribed.framework_id.and_then(|id| id.value).expect("it names the framework")
    }
}
