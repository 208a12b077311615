//! A scheduler as a foreign framework might write it: JSON over a bare TCP connection, nothing of
//! ours in between (HTTP/1.1 chunked coding, RFC 9112; RecordIO of the Mesos v1 API).

use std::net::SocketAddr;

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

use crate::http::{list, text};
use crate::leftovers::{Found, processes_of_framework};
use crate::wait::within_patience;

/// A subscribed scheduler.
pub(crate) struct Scheduler {
    master: SocketAddr,
    /// Given by the master.
    pub(crate) framework: String,
    /// The value of `Mesos-Stream-Id`.
    pub(crate) stream_id: String,
    /// The SUBSCRIBED event's body.
    pub(crate) subscribed: Value,
    stream: Stream,
    /// Offers that came while something else was waited for: they are out, and don't come again.
    held: Vec<Value>,
}

/// An answer, read to its end.
#[derive(Debug)]
pub(crate) struct Raw {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Scheduler {
    /// Subscribes as a new framework with the given fields of FrameworkInfo.
    pub(crate) async fn subscribe(master: SocketAddr, info: Value) -> Self {
        let call = json!({"type": "SUBSCRIBE", "subscribe": {"framework_info": info}});
        Self::with_call(master, &call).await
    }

    /// Subscribes again as a framework that has an id.
    pub(crate) async fn resubscribe(master: SocketAddr, id: &str, info: &Value) -> Self {
        Self::with_call(master, &resubscription(id, info)).await
    }

    async fn with_call(master: SocketAddr, call: &Value) -> Self {
        let mut stream = Stream::open(master, call).await;
        let event = stream.next().await.expect("an event");
        assert_eq!(event["type"], "SUBSCRIBED", "{event}");
        let subscribed = event["subscribed"].clone();
        let framework = text(&subscribed["framework_id"]["value"]).to_owned();
        let stream_id = header(&stream.head, "Mesos-Stream-Id").expect("the header").to_owned();
        Self { master, framework, stream_id, subscribed, stream, held: Vec::new() }
    }

    /// The next event but heartbeats. `None`: the stream has ended.
    pub(crate) async fn next(&mut self) -> Option<Value> {
        loop {
            let event = self.stream.next().await?;
            if event["type"] != "HEARTBEAT" {
                return Some(event);
            }
        }
    }

    /// The next event, heartbeats too.
    pub(crate) async fn next_of_all(&mut self) -> Option<Value> {
        self.stream.next().await
    }

    /// The next event of this type; others are skipped.
    pub(crate) async fn event(&mut self, kind: &str) -> Value {
        // Heartbeats keep the stream going for ever: the whole wait has an end.
        within_patience(kind, async {
            loop {
                let event =
                    self.next().await.unwrap_or_else(|| panic!("the stream ended before {kind}"));
                if event["type"] == kind {
                    return event;
                }
                self.pass(&event);
            }
        })
        .await
    }

    /// Keeps the offers of an event that nobody waits for now.
    fn pass(&mut self, event: &Value) {
        self.held.extend(list(&event["offers"]["offers"]).iter().cloned());
        let rescinded = &event["rescind"]["offer_id"];
        self.held.retain(|offer| offer["id"] != *rescinded);
    }

    /// An offer that is out already, or the first of the next that come.
    pub(crate) async fn offer(&mut self) -> Value {
        if let Some(offer) = self.held.pop() {
            return offer;
        }
        let event = self.event("OFFERS").await;
        list(&event["offers"]["offers"]).first().expect("OFFERS holds offers").clone()
    }

    /// The next status; acknowledged if it wants to be.
    pub(crate) async fn status(&mut self) -> Value {
        let event = self.event("UPDATE").await;
        let status = event["update"]["status"].clone();
        if status["uuid"].is_string() {
            let call = json!({"type": "ACKNOWLEDGE", "acknowledge": {
                "agent_id": status["agent_id"], "task_id": status["task_id"], "uuid": status["uuid"],
            }});
            self.accepted(call).await;
        }
        status
    }

    /// Reads statuses up to one of this state; returns it.
    pub(crate) async fn status_of(&mut self, state: &str) -> Value {
        loop {
            let status = self.status().await;
            if status["state"] == state {
                return status;
            }
            let early = ["TASK_STARTING", "TASK_RUNNING", "TASK_KILLING"];
            assert!(early.contains(&text(&status["state"])), "no {state} any more: {status}");
        }
    }

    /// Launches a shell command on an offer.
    pub(crate) async fn launch(&self, offer: &Value, task: &str, command: &str) {
        self.launch_with(offer, task, command, 0.1).await;
    }

    /// The same with so many CPUs.
    pub(crate) async fn launch_with(&self, offer: &Value, task: &str, command: &str, cpus: f64) {
        let scalar = |name: &str, value: f64| json!({"name": name, "type": "SCALAR", "scalar": {"value": value}});
        let task = json!({
            "name": task, "task_id": {"value": task}, "agent_id": offer["agent_id"],
            "resources": [scalar("cpus", cpus), scalar("mem", 32.0)],
            "command": {"value": command},
        });
        let call = json!({"type": "ACCEPT", "accept": {
            "offer_ids": [offer["id"]],
            "operations": [{"type": "LAUNCH", "launch": {"task_infos": [task]}}],
            "filters": {"refuse_seconds": 0},
        }});
        self.accepted(call).await;
    }

    /// The processes of one of its tasks.
    pub(crate) fn processes_of(&self, task: &str) -> Vec<Found> {
        processes_of_framework(&self.framework, task)
    }

    /// Makes a call, which must be accepted.
    pub(crate) async fn accepted(&self, call: Value) {
        let answer = self.call(call).await;
        assert_eq!((answer.status, answer.body.as_str()), (202, ""), "{answer:?}");
    }

    /// Makes a call.
    pub(crate) async fn call(&self, mut call: Value) -> Raw {
        call["framework_id"] = json!({"value": self.framework});
        let headers =
            format!("Content-Type: application/json\r\nMesos-Stream-Id: {}\r\n", self.stream_id);
        post(self.master, &headers, &call.to_string()).await
    }
}

/// SUBSCRIBE with an id in both places.
pub(crate) fn resubscription(id: &str, info: &Value) -> Value {
    let mut info = info.clone();
    info["id"] = json!({"value": id});
    json!({
        "type": "SUBSCRIBE", "framework_id": {"value": id}, "subscribe": {"framework_info": info},
    })
}

/// POST to the scheduler API on a connection of its own. `headers`: whole lines.
pub(crate) async fn post(master: SocketAddr, headers: &str, body: &str) -> Raw {
    let request = format!(
        "POST /api/v1/scheduler HTTP/1.1\r\nHost: {master}\r\nConnection: close\r\n{headers}\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    );
    exchange(master, request.as_bytes()).await
}

/// Sends bytes, reads all that comes back.
///
/// # Panics
/// When it isn't an HTTP answer.
pub(crate) async fn exchange(address: SocketAddr, request: &[u8]) -> Raw {
    let mut stream = TcpStream::connect(address).await.expect("it listens");
    stream.write_all(request).await.expect("it is read");
    let mut answer = Vec::new();
    let read = within_patience("the answer's end", stream.read_to_end(&mut answer)).await;
    read.expect("the answer is whole");
    let answer = String::from_utf8_lossy(&answer).into_owned();
    let (head, body) =
        answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no HTTP: {answer:?}"));
    Raw { status: status(head), head: head.to_owned(), body: body.to_owned() }
}

/// The event stream of a SUBSCRIBE.
pub(crate) struct Stream {
    connection: BufReader<TcpStream>,
    /// The answer's status line and headers.
    pub(crate) head: String,
    unread: Vec<u8>,
}

impl Stream {
    /// Sends a SUBSCRIBE, and reads the answer's head, which must promise a stream.
    pub(crate) async fn open(master: SocketAddr, call: &Value) -> Self {
        let body = call.to_string();
        let request = format!(
            "POST /api/v1/scheduler HTTP/1.1\r\nHost: {master}\r\nAccept: application/json\r\n\
             Content-Type: application/json\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        let mut connection = BufReader::new(TcpStream::connect(master).await.expect("it listens"));
        connection.write_all(request.as_bytes()).await.expect("it is read");
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            let read = within_patience("the answer's head", connection.read_line(&mut head)).await;
            assert_ne!(read.expect("text"), 0, "the connection was closed: {head}");
        }
        assert_eq!(status(&head), 200, "{head}");
        assert_eq!(header(&head, "Transfer-Encoding"), Some("chunked"), "{head}");
        assert_eq!(header(&head, "Content-Type"), Some("application/json"), "{head}");
        Self { connection, head, unread: Vec::new() }
    }

    /// The next event. `None`: the stream has ended.
    pub(crate) async fn next(&mut self) -> Option<Value> {
        loop {
            if let Some(record) = self.record() {
                return Some(serde_json::from_slice(&record).expect("a record is an event"));
            }
            let chunk = within_patience("an event", self.chunk()).await?;
            self.unread.extend(chunk);
        }
    }

    fn record(&mut self) -> Option<Vec<u8>> {
        let end = self.unread.iter().position(|byte| *byte == b'\n')?;
        let length = std::str::from_utf8(&self.unread[..end]).expect("a length is digits");
        let length: usize = length.parse().unwrap_or_else(|_| panic!("{length:?} is no length"));
        if self.unread.len() < end + 1 + length {
            return None;
        }
        let record = self.unread.drain(..end + 1 + length).skip(end + 1).collect();
        Some(record)
    }

    async fn chunk(&mut self) -> Option<Vec<u8>> {
        let mut size = String::new();
        if self.connection.read_line(&mut size).await.ok()? == 0 {
            return None;
        }
        let size = usize::from_str_radix(size.trim(), 16).expect("a chunk begins with its size");
        let mut data = vec![0; size + 2];
        self.connection.read_exact(&mut data).await.ok()?;
        data.truncate(size);
        (size > 0).then_some(data)
    }
}

/// The value of a header.
pub(crate) fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    let mut pairs = head.lines().filter_map(|line| line.split_once(':'));
    pairs.find(|(given, _)| given.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
}

fn status(head: &str) -> u16 {
    let code = head.split_whitespace().nth(1).and_then(|code| code.parse().ok());
    code.unwrap_or_else(|| panic!("no HTTP answer: {head:?}"))
}
