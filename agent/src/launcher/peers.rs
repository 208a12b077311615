//! Who is connected: one agent, and for a moment those who have not greeted yet.
//!
//! One agent at a time. Another is taken only once the first has closed its stream, which the kernel
//! does for one that died; until then it finds its own stream closed, and says so. Whoever connects
//! and says nothing, or nothing sensible, keeps nobody out.

use std::{
    io,
    os::{
        fd::{AsFd, BorrowedFd, OwnedFd},
        unix::net::UnixListener,
    },
    time::{Duration, Instant},
};

use rustix::event::epoll::{self, EventData, EventFlags};

use super::{
    connection::{Connection, Received},
    wire::{Hello, Notice, Order},
};

/// The least token of a connection in the epoll set.
pub(super) const FIRST_TOKEN: u64 = 1 << 40;
/// So many may be connected that have not greeted yet.
const GUESTS_MAX: usize = 8;
/// How long they may take.
const GUEST_PATIENCE: Duration = Duration::from_secs(10);

/// The agent, those who may be one, and the socket that they come by.
#[derive(Debug)]
pub(super) struct Peers {
    listener: UnixListener,
    agent: Option<Peer>,
    /// The oldest first.
    guests: Vec<(Instant, Peer)>,
    next_token: u64,
}

#[derive(Debug)]
struct Peer {
    token: u64,
    connection: Connection,
    /// The epoll set tells when it can be written to.
    awaits_room: bool,
}

/// What somebody said.
#[derive(Debug, Default)]
pub(super) struct Heard {
    /// It is the agent from now on; told nothing yet but our greeting.
    pub(super) attached: bool,
    /// In order, those that a dead agent left unread included.
    pub(super) orders: Vec<Order>,
    /// The agent is gone.
    pub(super) lost: bool,
}

impl Peers {
    pub(super) fn new(listener: UnixListener) -> Self {
        Self { listener, agent: None, guests: Vec::new(), next_token: FIRST_TOKEN }
    }

    pub(super) fn listener(&self) -> BorrowedFd<'_> {
        self.listener.as_fd()
    }

    /// The agent's stream.
    pub(super) fn agent(&self) -> Option<&Connection> {
        self.agent.as_ref().map(|peer| &peer.connection)
    }

    /// Takes an agent that is connected already.
    pub(super) fn resume(&mut self, epoll: &OwnedFd, connection: Connection) -> io::Result<()> {
        self.agent = Some(self.add(epoll, connection)?);
        Ok(())
    }

    fn add(&mut self, epoll: &OwnedFd, connection: Connection) -> io::Result<Peer> {
        let token = self.next_token;
        self.next_token += 1;
        epoll::add(epoll, &connection, EventData::new_u64(token), EventFlags::IN)?;
        Ok(Peer { token, connection, awaits_room: false })
    }

    /// Takes in all who want to connect.
    pub(super) fn accept(&mut self, epoll: &OwnedFd, now: Instant) {
        loop {
            let stream = match self.listener.accept() {
                Ok((stream, _)) => stream,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(error) => {
                    // It went away again, or we are out of descriptors: the next event tells.
                    eprintln!("could not accept an agent: {error}");
                    return;
                }
            };
            let own = rustix::process::geteuid();
            let peer = rustix::net::sockopt::socket_peercred(&stream);
            if !peer.is_ok_and(|peer| peer.uid == own || peer.uid.is_root()) {
                eprintln!("somebody else's process connected: closed");
                continue;
            }
            match Connection::new(stream).and_then(|connection| self.add(epoll, connection)) {
                Ok(guest) => self.guests.push((now + GUEST_PATIENCE, guest)),
                Err(error) => eprintln!("could not listen to an agent: {error}"),
            }
            if self.guests.len() > GUESTS_MAX {
                self.guests.remove(0);
            }
        }
    }

    /// Reads what one has said.
    pub(super) fn hear(&mut self, token: u64, ours: &Hello) -> Heard {
        if let Some(agent) = self.agent.as_mut().filter(|agent| agent.token == token) {
            let Received { orders, open } = agent.connection.receive();
            if !open {
                // Closing the stream takes it out of the epoll set.
                self.agent = None;
            }
            return Heard { attached: false, orders, lost: !open };
        }
        let Some(place) = self.guests.iter().position(|(_, guest)| guest.token == token) else {
            return Heard::default();
        };
        let (until, mut guest) = self.guests.remove(place);
        let Received { orders, open } = guest.connection.receive();
        let mut orders = orders.into_iter();
        match orders.next() {
            Some(Order::Hello(hello)) => {
                let last_words = self.last_words();
                if self.attach(guest, hello, ours) {
                    let orders = last_words.into_iter().chain(orders).collect();
                    return Heard { attached: true, orders, lost: false };
                }
                return Heard { orders: last_words, ..Heard::default() };
            }
            Some(_) => eprintln!("an order came before the greeting"),
            // The rest of its greeting may be on its way.
            None if open => self.guests.insert(place, (until, guest)),
            None => {}
        }
        Heard::default()
    }

    /// Makes a guest the agent, if we can speak with it and have none.
    fn attach(&mut self, mut guest: Peer, hello: Hello, ours: &Hello) -> bool {
        if hello.agreed().is_none() || hello.instance != ours.instance {
            eprintln!(
                "the agent {} of {} speaks protocols {} to {}: not for us",
                hello.version, hello.instance, hello.protocol_min, hello.protocol_max
            );
            // So that it can say why.
            guest.connection.send(&Notice::Hello(ours.clone()));
            let _ = guest.connection.flush();
            return false;
        }
        if self.agent.as_ref().is_some_and(|agent| !agent.connection.is_closed()) {
            eprintln!("another agent (pid {}) connected: refused", hello.pid);
            return false;
        }
        guest.connection.greeted(hello);
        guest.connection.send(&Notice::Hello(ours.clone()));
        self.agent = Some(guest);
        true
    }

    /// What the agent said last, if it has closed its stream: it is about to be replaced.
    fn last_words(&mut self) -> Vec<Order> {
        match &mut self.agent {
            Some(agent) if agent.connection.is_closed() => agent.connection.receive().orders,
            _ => Vec::new(),
        }
    }

    /// Queues a notice to the agent, if there is one.
    pub(super) fn send(&mut self, notice: &Notice) {
        if let Some(agent) = &mut self.agent {
            agent.connection.send(notice);
        }
    }

    /// Sends what can be sent. False if the agent turned out to be gone.
    pub(super) fn flush(&mut self, epoll: &OwnedFd) -> bool {
        let Some(agent) = &mut self.agent else { return true };
        if agent.connection.flush().is_err() {
            self.agent = None;
            return false;
        }
        let awaits_room = agent.connection.wants_to_write();
        if awaits_room != agent.awaits_room {
            let mut flags = EventFlags::IN;
            flags.set(EventFlags::OUT, awaits_room);
            let data = EventData::new_u64(agent.token);
            match epoll::modify(epoll, &agent.connection, data, flags) {
                Ok(()) => agent.awaits_room = awaits_room,
                Err(error) => eprintln!("could not wait for the agent to read: {error}"),
            }
        }
        true
    }

    /// Whether the agent, if there is one, was handed all that there was to tell.
    pub(super) fn is_flushed(&self) -> bool {
        self.agent().is_none_or(|agent| !agent.wants_to_write())
    }

    /// When [`expire`](Self::expire) has something to do.
    pub(super) fn next_expiry(&self) -> Option<Instant> {
        self.guests.first().map(|(until, _)| *until)
    }

    /// Closes on those who took too long to greet.
    pub(super) fn expire(&mut self, now: Instant) {
        self.guests.retain(|(until, _)| *until > now);
    }
}
