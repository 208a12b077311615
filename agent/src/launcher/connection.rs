//! The launcher's end of the socket to the agent: never waits, neither to read nor to write.

use std::{
    io::{self, Read, Write},
    os::{
        fd::{AsFd, BorrowedFd},
        unix::net::UnixStream,
    },
};

use meros_proto::versions;

use super::{
    codec::Frames,
    wire::{Hello, Notice, Order},
};

/// How much is read at once.
const READ_SIZE: usize = 16 << 10;

/// One agent.
#[derive(Debug)]
pub(super) struct Connection {
    stream: UnixStream,
    frames: Frames,
    /// What the socket didn't take yet. Bounded by the number of tasks: each has two notices.
    out: Vec<u8>,
    greeted: bool,
    /// What is read into.
    buffer: Box<[u8]>,
}

impl Connection {
    pub(super) fn new(stream: UnixStream) -> io::Result<Self> {
        stream.set_nonblocking(true)?;
        Ok(Self {
            stream,
            frames: Frames::default(),
            out: Vec::new(),
            greeted: false,
            buffer: vec![0; READ_SIZE].into(),
        })
    }

    /// Queues a notice; [`flush`](Self::flush) sends it. Who hasn't greeted is told nothing.
    pub(super) fn send(&mut self, notice: &Notice) {
        if self.greeted {
            notice.encode(&mut self.out);
        }
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
        result
    }

    /// Whether to be told when the socket takes more.
    pub(super) fn wants_to_write(&self) -> bool {
        !self.out.is_empty()
    }

    /// Reads what is there. `None` when the agent is gone, or said what can't be understood.
    ///
    /// The greeting is answered here, and not returned.
    pub(super) fn receive(&mut self) -> Option<Vec<Order>> {
        let mut orders = Vec::new();
        loop {
            match self.stream.read(&mut self.buffer) {
                Ok(0) => return None,
                Ok(length) => {
                    self.frames.push(&self.buffer[..length]);
                    self.take_orders(&mut orders)?;
                    if length < READ_SIZE {
                        return Some(orders);
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Some(orders),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return None,
            }
        }
    }

    fn take_orders(&mut self, orders: &mut Vec<Order>) -> Option<()> {
        loop {
            let order = match self.frames.take().map(|frame| frame.map(Order::decode)) {
                Ok(None) => return Some(()),
                Ok(Some(Ok(order))) => order,
                Ok(Some(Err(error))) | Err(error) => {
                    eprintln!("the agent can't be understood: {error}");
                    return None;
                }
            };
            match order {
                Order::Hello(hello) => self.greet(&hello)?,
                _ if !self.greeted => {
                    eprintln!("the agent gave an order before it greeted");
                    return None;
                }
                order => orders.push(order),
            }
        }
    }

    fn greet(&mut self, hello: &Hello) -> Option<()> {
        // Answered even if there is no common version: so the agent can say why.
        Notice::Hello(Hello::ours()).encode(&mut self.out);
        self.flush().ok()?;
        if versions::agree(hello.protocol_min, hello.protocol_max).is_none() {
            eprintln!(
                "the agent {} speaks protocols {} to {}, and we don't",
                hello.version, hello.protocol_min, hello.protocol_max
            );
            return None;
        }
        self.greeted = true;
        Some(())
    }
}

impl AsFd for Connection {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }
}
