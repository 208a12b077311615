//! What happens next. Ties are broken by who asked first, so that every run goes the same way.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use meros_proto::ids::ContainerId;

use crate::clock::Time;
use crate::network::{Arrival, ConnId, Node, Side};

/// Something that is to happen.
#[derive(Debug)]
pub(crate) enum Event {
    /// The next packet sent by this side of a connection arrives.
    Packet { conn: ConnId, side: Side },
    /// A packet that waited for a paused process.
    Arrived(Box<Arrival>),
    /// An end of a connection that was cut learns of it.
    Told { conn: ConnId, side: Side },
    /// Something of a process's own.
    Of { node: Node, life: u32, timer: Timer },
    /// A container on an agent's host gets on.
    Container { host: usize, launcher: u32, container: ContainerId, step: Step },
    /// A process starts (again).
    Start { node: Node },
    /// A process that was stopped for a while goes on.
    Resume { node: Node, life: u32 },
    /// Part of the story: what is undone, or comes next.
    Story(Story),
}

/// What a process waits for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Timer {
    /// Inputs wait for the core.
    Turn,
    /// The core has a deadline; the number tells it from older ones.
    Wake(u64),
    /// The sync under way is done.
    Synced,
    /// The agent's link tries again.
    LinkRetry,
    /// The master did not say hello in time.
    HelloOverdue(ConnId),
    /// The driver's machine has a deadline; the number tells it from older ones.
    Driver(u64),
    /// A lane sends its call again.
    LaneRetry { lane: usize, number: u64 },
    /// A call was not answered in time.
    LaneOverdue { lane: usize, number: u64 },
    /// The framework does something by itself.
    Tick,
    /// A probe is answered.
    Probed(u64),
}

/// How a container gets on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// Its process is there, or could not be started.
    Started,
    /// It ends by itself.
    Ends,
    /// It was asked to end, and does.
    Obeys,
}

/// What the world does to everybody.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Story {
    /// The next thing goes wrong.
    Fault,
    /// The next wish of a user or operator.
    User,
    /// A way is open again.
    Unblock { from: Node, to: Node },
    /// A disk has room again.
    RoomAgain { node: Node },
    /// Messages take no longer than usual again.
    FastAgain,
    /// A disk is as fast as usual again.
    DiskFastAgain { node: Node },
    /// Nothing goes wrong any more.
    Peace,
    /// Batch frameworks start nothing more.
    WindDown,
    /// A look at whether all has come to rest.
    Inspect,
}

#[derive(Debug)]
struct Entry {
    at: Time,
    number: u64,
    event: Event,
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        self.number == other.number
    }
}

impl Eq for Entry {}

impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Entry {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.at, self.number).cmp(&(other.at, other.number))
    }
}

/// All that is to happen, and the time.
#[derive(Debug, Default)]
pub(crate) struct Schedule {
    now: Time,
    asked: u64,
    heap: BinaryHeap<Reverse<Entry>>,
}

impl Schedule {
    pub(crate) fn now(&self) -> Time {
        self.now
    }

    /// Has `event` happen at `at`, or now when that is past.
    pub(crate) fn at(&mut self, at: Time, event: Event) {
        self.asked += 1;
        let entry = Entry { at: at.max(self.now), number: self.asked, event };
        self.heap.push(Reverse(entry));
    }

    /// Moves on to `until`, or to the next event if that comes before.
    pub(crate) fn next_before(&mut self, until: Time) -> Option<Event> {
        if self.heap.peek().is_none_or(|Reverse(entry)| entry.at > until) {
            self.now = until;
            return None;
        }
        self.next()
    }

    /// Moves on to the next event.
    pub(crate) fn next(&mut self) -> Option<Event> {
        let Reverse(entry) = self.heap.pop()?;
        self.now = entry.at;
        Some(entry.event)
    }
}
