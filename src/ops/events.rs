//! Marathon's event stream, read event by event (server-sent events, WHATWG HTML 9.2).

use meros_sdk::http::Streaming;
use serde_json::Value;

use super::{Api, Failure};

/// No event of ours comes near; more without an end of line is not an event stream.
const LINE_MAX: usize = 16 << 20;

/// An open event stream.
pub(crate) struct Events {
    stream: Streaming,
    unread: Vec<u8>,
}

impl Events {
    /// Opens the stream. What happens from now on will be read.
    pub(crate) async fn open(marathon: &Api) -> Result<Self, Failure> {
        let stream = marathon.events("/v2/events?plan-format=light").await?;
        Ok(Self { stream, unread: Vec::new() })
    }

    /// The next event's data. `None`: the stream has ended.
    pub(crate) async fn next(&mut self) -> Result<Option<Value>, Failure> {
        loop {
            while let Some(line) = self.line() {
                // One line of data an event: the name before it is in the data too.
                let data =
                    line.strip_prefix("data:").and_then(|data| serde_json::from_str(data).ok());
                if let Some(event) = data {
                    return Ok(Some(event));
                }
            }
            if self.unread.len() > LINE_MAX {
                return Err(Failure::new("Marathon's event stream has a line without an end"));
            }
            match self.stream.chunk().await {
                Ok(Some(chunk)) => self.unread.extend_from_slice(&chunk),
                // Broken or ended, it is opened again just the same.
                Ok(None) | Err(_) => return Ok(None),
            }
        }
    }

    fn line(&mut self) -> Option<String> {
        let end = self.unread.iter().position(|byte| *byte == b'\n')?;
        let line: Vec<u8> = self.unread.drain(..=end).collect();
        Some(String::from_utf8_lossy(&line).trim_end().to_owned())
    }
}
