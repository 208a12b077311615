//! The launcher's end of one stream: never waits, neither to read nor to write.

use std::{
    io::{self, Read, Write},
    os::{
        fd::{AsFd, BorrowedFd},
        unix::net::UnixStream,
    },
};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::{
    codec::Frames,
    wire::{Hello, Notice, Order},
};

/// How much is read at once.
const READ_SIZE: usize = 16 << 10;

/// Somebody who connected: an agent once it greeted.
#[derive(Debug)]
pub(super) struct Connection {
    stream: UnixStream,
    frames: Frames,
    /// What the socket didn't take yet. Bounded by the number of tasks: each has a few notices.
    out: Vec<u8>,
    /// What it greeted us with.
    hello: Option<Hello>,
}

/// What came in.
#[derive(Debug)]
pub(super) struct Received {
    pub(super) orders: Vec<Order>,
    /// More may come. If not, the other end is gone or said what can't be understood.
    pub(super) open: bool,
}

impl Connection {
    pub(super) fn new(stream: UnixStream) -> io::Result<Self> {
        stream.set_nonblocking(true)?;
        Ok(Self { stream, frames: Frames::default(), out: Vec::new(), hello: None })
    }

    /// An agent's that another launcher, whose place we took, had.
    pub(super) fn resume(
        stream: UnixStream,
        hello: Hello,
        unread: &[u8],
        unsent: Vec<u8>,
    ) -> io::Result<Self> {
        let mut resumed = Self::new(stream)?;
        resumed.frames.push(unread);
        (resumed.hello, resumed.out) = (Some(hello), unsent);
        Ok(resumed)
    }

    /// Takes the greeting of the other end, which from now on is told things.
    pub(super) fn greeted(&mut self, hello: Hello) {
        self.hello = Some(hello);
    }

    pub(super) fn hello(&self) -> Option<&Hello> {
        self.hello.as_ref()
    }

    /// What came and is not understood yet, and what is still to be sent.
    pub(super) fn under_way(&self) -> (&[u8], &[u8]) {
        (self.frames.rest(), &self.out)
    }

    /// Queues a notice; [`flush`](Self::flush) sends it.
    pub(super) fn send(&mut self, notice: &Notice) {
        notice.encode(&mut self.out);
    }

    /// Sends as much as the socket takes.
    pub(super) fn flush(&mut self) -> io::Result<()> {
        let mut sent = 0;
        let result = loop {
            if sent == self.out.len() {
                break Ok(());
            }
            match self.stream.write(&self.out[sent..]) {
                Ok(written) => sent += written,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break Ok(()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => break Err(error),
            }
        };
        self.out.drain(..sent);
        if self.out.is_empty() && self.out.capacity() > 64 << 10 {
            self.out = Vec::new();
        }
        result
    }

    /// Whether to be told when the socket takes more.
    pub(super) fn wants_to_write(&self) -> bool {
        !self.out.is_empty()
    }

    /// Whether the other end has closed the stream, though something may be left to read.
    pub(super) fn is_closed(&self) -> bool {
        let mut watched = [PollFd::new(&self.stream, PollFlags::empty())];
        let now = Timespec { tv_sec: 0, tv_nsec: 0 };
        matches!(poll(&mut watched, Some(&now)), Ok(1..))
    }

    /// Reads what is there.
    pub(super) fn receive(&mut self) -> Received {
        let mut orders = Vec::new();
        // What a launcher before us read comes first.
        let mut open = self.take_orders(&mut orders);
        let mut buffer = [0; READ_SIZE];
        while open {
            match self.stream.read(&mut buffer) {
                Ok(0) => open = false,
                Ok(length) => {
                    self.frames.push(&buffer[..length]);
                    open = self.take_orders(&mut orders);
                    if length < READ_SIZE {
                        break;
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => open = false,
            }
        }
        Received { orders, open }
    }

    /// False if the stream is of no use any more.
    fn take_orders(&mut self, orders: &mut Vec<Order>) -> bool {
        loop {
            match self.frames.take().map(|frame| frame.map(Order::decode)) {
                Ok(None) => return true,
                Ok(Some(Ok(order))) => orders.push(order),
                Ok(Some(Err(error))) | Err(error) => {
                    eprintln!("somebody who connected can't be understood: {error}");
                    return false;
                }
            }
        }
    }
}

impl AsFd for Connection {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }
}
