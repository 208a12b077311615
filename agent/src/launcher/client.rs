//! The agent's stream to its launcher, in an async runtime.

use std::{io, os::fd::AsFd, process::Child, time::Duration};

use rustix::process::Signal;
use tokio::io::Interest;

use super::{attach::Attached, codec::Frames, pidfd, watch::EndWatch, wire::Notice};

/// A launcher whose stream ended is gone in a moment, as a rule.
const COLLECT_PATIENCE: Duration = Duration::from_secs(1);

/// The launcher process and the stream to it.
#[derive(Debug)]
pub(crate) struct Launcher {
    stream: tokio::net::UnixStream,
    frames: Frames,
    buffer: Vec<u8>,
    /// Tells when the process ended: the stream may be held open beyond that, by the child of a start
    /// that is stuck before its program.
    process: EndWatch,
    child: Option<Child>,
}

impl Launcher {
    /// Takes over a launcher that was greeted. Call it in an async runtime.
    pub(crate) fn new(attached: Attached) -> io::Result<Self> {
        let Attached { stream, frames, process, child, .. } = attached;
        stream.set_read_timeout(None)?;
        stream.set_nonblocking(true)?;
        Ok(Self {
            stream: tokio::net::UnixStream::from_std(stream)?,
            frames,
            buffer: vec![0; 64 << 10],
            process: EndWatch::new(process)?,
            child,
        })
    }

    /// Waits until the launcher has said something or takes something, then reads what is there
    /// (if `read`) and writes what it takes of `orders`. Nothing is lost if it is not awaited to the
    /// end.
    ///
    /// # Errors
    /// Of the stream; `UnexpectedEof` when the launcher is gone and all that it said was read.
    pub(crate) async fn turn(&mut self, read: bool, orders: &mut Vec<u8>) -> io::Result<()> {
        let interest = match (read, orders.is_empty()) {
            (true, true) => Interest::READABLE,
            (true, false) => Interest::READABLE | Interest::WRITABLE,
            (false, false) => Interest::WRITABLE,
            (false, true) => return std::future::pending().await,
        };
        let ready = tokio::select! {
            biased;
            ready = self.stream.ready(interest) => ready?,
            ended = self.process.ended() => {
                ended?;
                // What it said before it ended is there; nothing more comes.
                return match read && self.read()? {
                    true => Ok(()),
                    false if read => Err(io::ErrorKind::UnexpectedEof.into()),
                    false => std::future::pending().await,
                };
            }
        };
        if ready.is_writable() && !orders.is_empty() {
            match self.stream.try_write(orders) {
                Ok(written) => drop(orders.drain(..written)),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                // It can't be told anything more. What it said last is to be read first.
                Err(error) if is_closed(&error) => orders.clear(),
                Err(error) => return Err(error),
            }
        }
        if ready.is_readable() && read {
            self.read()?;
        }
        Ok(())
    }

    /// False if there was nothing.
    fn read(&mut self) -> io::Result<bool> {
        match self.stream.try_read(&mut self.buffer) {
            Ok(0) => Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(length) => {
                self.frames.push(&self.buffer[..length]);
                Ok(true)
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// The next notice of those taken in.
    ///
    /// # Errors
    /// When it can't be understood.
    pub(crate) fn next_notice(&mut self) -> io::Result<Option<Notice>> {
        let invalid = |error| io::Error::new(io::ErrorKind::InvalidData, error);
        let Some(frame) = self.frames.take().map_err(invalid)? else { return Ok(None) };
        Notice::decode(frame).map(Some).map_err(invalid)
    }

    /// Closes the stream, and collects the process if it ended. Blocks, not for long.
    pub(crate) fn close(self) {
        let Self { stream, process, child, .. } = self;
        drop(stream);
        if pidfd::wait(process.as_fd(), COLLECT_PATIENCE)
            && let Some(mut child) = child
        {
            let _ = child.wait();
        }
    }

    /// Closes the stream and waits for the process to end; kills it if it doesn't. Blocks.
    pub(crate) fn wait(self, patience: Duration) {
        let Self { stream, process, child, .. } = self;
        drop(stream);
        if !pidfd::wait(process.as_fd(), patience) {
            pidfd::signal(process.as_fd(), Signal::KILL);
            pidfd::wait(process.as_fd(), patience);
        }
        if let Some(mut child) = child {
            let _ = child.wait();
        }
    }
}

fn is_closed(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset)
}
