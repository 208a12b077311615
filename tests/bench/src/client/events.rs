//! The connection on which events come: a chunked body of RecordIO.

use std::net::SocketAddr;

use anyhow::{Context, bail, ensure};
use meros_proto::recordio::Decoder;
use meros_proto::v1::scheduler::Event;
use prost::Message;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::{line, words};

/// No event comes near.
const EVENT_MAX: usize = 256 << 20;

/// An open subscription.
#[derive(Debug)]
pub(super) struct Events {
    stream: TcpStream,
    received: Vec<u8>,
    /// Bytes of the chunk at the beginning of `received` that are still to come, its end included.
    chunk: Option<usize>,
    records: Decoder,
}

impl Events {
    /// Subscribes; also what the stream is called.
    pub(super) async fn open(master: SocketAddr, name: &str) -> anyhow::Result<(Self, String)> {
        let mut stream = line::connect(master).await?;
        stream.write_all(&words::subscribe(master, name)).await.context("send SUBSCRIBE")?;
        let mut received = Vec::new();
        let head = loop {
            if let Some(end) = line::head_end(&received) {
                break received.drain(..end).collect::<Vec<u8>>();
            }
            let read = stream.read_buf(&mut received).await.context("read the answer")?;
            ensure!(read > 0, "the master closed the stream");
        };
        let head = String::from_utf8_lossy(&head).into_owned();
        ensure!(head.starts_with("HTTP/1.1 200"), "the master refused SUBSCRIBE: {head}");
        let id =
            head.split("\r\n").filter_map(|line| line.split_once(':')).find_map(|(key, id)| {
                key.eq_ignore_ascii_case("mesos-stream-id").then(|| id.trim().to_owned())
            });
        let records = Decoder::new(EVENT_MAX);
        Ok((Self { stream, received, chunk: None, records }, id.context("the stream has no id")?))
    }

    /// Waits for more events and puts them into `events`. Nothing is lost when it is given up.
    pub(super) async fn read(&mut self, events: &mut Vec<Event>) -> anyhow::Result<()> {
        while events.is_empty() {
            self.take_chunks()?;
            while let Some(record) = self.records.next()? {
                events.push(Event::decode(record).context("decode an event")?);
            }
            if events.is_empty() {
                let read = self.stream.read_buf(&mut self.received).await;
                ensure!(read.context("read events")? > 0, "the master closed the stream");
            }
        }
        Ok(())
    }

    /// Hands on what has come of the chunks' contents.
    fn take_chunks(&mut self) -> anyhow::Result<()> {
        const END: usize = b"\r\n".len();
        let mut at = 0;
        loop {
            let rest = &self.received[at..];
            let Some(left) = self.chunk else {
                let Some(line) = rest.windows(END).position(|bytes| bytes == b"\r\n") else {
                    break;
                };
                let length = str::from_utf8(&rest[..line])?;
                let length = usize::from_str_radix(length, 16).context("a chunk's length")?;
                if length == 0 {
                    bail!("the master ended the stream");
                }
                self.chunk = Some(length + END);
                at += line + END;
                continue;
            };
            if rest.is_empty() {
                break;
            }
            let taken = left.min(rest.len());
            // The last bytes are the chunk's end, not its contents.
            self.records.push(&rest[..taken.min(left.saturating_sub(END))]);
            self.chunk = Some(left - taken).filter(|left| *left > 0);
            at += taken;
        }
        self.received.drain(..at);
        Ok(())
    }
}
