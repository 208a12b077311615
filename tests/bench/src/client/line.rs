//! A connection for calls. Those that wait go out together, and are answered in their order.

use std::net::SocketAddr;

use anyhow::{Context, bail, ensure};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc;

/// Calls that go out together. Their answers, some hundred bytes each, fit into any socket's buffer.
const TOGETHER: usize = 64;

/// A call on its way, and whether its answer is waited for.
#[derive(Debug)]
pub(crate) struct Sent {
    request: Vec<u8>,
    counts: bool,
}

/// What comes back: how many of the calls that count were answered, or why the line is broken.
pub(crate) type Answered = anyhow::Result<usize>;

/// The way to a connection for calls. The connection ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Line {
    calls: mpsc::UnboundedSender<Sent>,
}

impl Line {
    /// Connects; what is answered goes to `answers`.
    pub(crate) async fn open(
        master: SocketAddr,
        answers: mpsc::UnboundedSender<Answered>,
    ) -> anyhow::Result<Self> {
        let stream = connect(master).await?;
        let (calls, waiting) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            if let Err(error) = carry(stream, waiting, &answers).await {
                // Nobody is there to hear it when the scheduler is gone.
                let _ = answers.send(Err(error));
            }
        });
        Ok(Self { calls })
    }

    /// Queues a call. `counts`: its answer is told.
    pub(crate) fn send(&self, request: Vec<u8>, counts: bool) {
        // A line that broke has told so.
        let _ = self.calls.send(Sent { request, counts });
    }
}

/// A connection without delays.
pub(super) async fn connect(master: SocketAddr) -> anyhow::Result<TcpStream> {
    let stream = TcpStream::connect(master).await.context("connect to the master")?;
    stream.set_nodelay(true).context("switch Nagle's algorithm off")?;
    Ok(stream)
}

async fn carry(
    mut stream: TcpStream,
    mut calls: mpsc::UnboundedReceiver<Sent>,
    answers: &mpsc::UnboundedSender<Answered>,
) -> anyhow::Result<()> {
    let (mut batch, mut out) = (Vec::with_capacity(TOGETHER), Vec::new());
    let mut received = Vec::new();
    while calls.recv_many(&mut batch, TOGETHER).await > 0 {
        out.clear();
        batch.iter().for_each(|sent| out.extend_from_slice(&sent.request));
        stream.write_all(&out).await.context("send calls")?;
        let mut answered = 0;
        while answered < batch.len() {
            let read = stream.read_buf(&mut received).await.context("read answers")?;
            ensure!(read > 0, "the master closed a connection");
            while let Some(end) = answer_end(&received)? {
                received.drain(..end);
                answered += 1;
            }
        }
        let counted = batch.drain(..).filter(|sent| sent.counts).count();
        if counted > 0 {
            let _ = answers.send(Ok(counted));
        }
    }
    Ok(())
}

/// Where the first answer in `received` ends, once it is all there. Any other than 202 is an error.
fn answer_end(received: &[u8]) -> anyhow::Result<Option<usize>> {
    let Some(head) = head_end(received) else { return Ok(None) };
    let text = String::from_utf8_lossy(&received[..head]);
    let mut lines = text.split("\r\n");
    let status = lines.next().unwrap_or_default();
    let length = lines
        .filter_map(|line| line.split_once(':'))
        .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
        .and_then(|(_, value)| value.trim().parse().ok())
        .unwrap_or(0);
    if !status.starts_with("HTTP/1.1 202") {
        let body = String::from_utf8_lossy(&received[head..]);
        bail!("the master answered a call with {status}: {body}");
    }
    Ok((received.len() >= head + length).then_some(head + length))
}

/// Where the head of the answer in `received` ends, with its empty line.
pub(super) fn head_end(received: &[u8]) -> Option<usize> {
    received.windows(4).position(|bytes| bytes == b"\r\n\r\n").map(|at| at + 4)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_told_apart_and_refusals_are_errors() {
        let one = b"HTTP/1.1 202 Accepted\r\nServer: x\r\nContent-Length: 2\r\n\r\nok";
        assert_eq!(answer_end(one).expect("an answer"), Some(one.len()));
        assert_eq!(answer_end(&[&one[..], b"HTTP"].concat()).expect("more"), Some(one.len()));
        for short in [&one[..20], &one[..one.len() - 1]] {
            assert_eq!(answer_end(short).expect("not all of it"), None);
        }
        let refused = b"HTTP/1.1 400 Bad Request\r\ncontent-length: 3\r\n\r\nwhy";
        let error = answer_end(refused).expect_err("a refusal").to_string();
        assert!(error.contains("400 Bad Request: why"), "{error}");
    }
}
