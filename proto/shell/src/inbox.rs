//! How inputs get to a core: one bounded queue, first in first out.
//!
//! Two allowances share the queue. Ordinary inputs fill the one, urgent inputs (kills,
//! acknowledgements, terminal updates) the other, so that launches can't crowd kills out and yet
//! no input overtakes another.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Semaphore;

/// How many inputs may wait.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// Ordinary inputs.
    pub ordinary: usize,
    /// Urgent inputs, on top of those.
    pub urgent: usize,
}

impl Default for Bounds {
    fn default() -> Self {
        Self { ordinary: 16_384, urgent: 65_536 }
    }
}

/// Why an input was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// The queue is full: say "busy" to whoever sent it.
    #[error("too many calls are waiting")]
    Full,
    /// The core has stopped.
    #[error("shutting down")]
    Stopped,
}

/// The way in to a core. Cheap to clone.
#[derive(Debug)]
pub struct Inbox<I> {
    shared: Arc<Shared<I>>,
}

impl<I> Clone for Inbox<I> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared) }
    }
}

#[derive(Debug)]
struct Shared<I> {
    queue: Mutex<Queue<I>>,
    filled: Condvar,
    ordinary: Semaphore,
    urgent: Semaphore,
}

#[derive(Debug)]
struct Queue<I> {
    waiting: VecDeque<(Lane, I)>,
    closed: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Lane {
    Ordinary,
    Urgent,
}

impl<I> Inbox<I> {
    pub(crate) fn new(bounds: Bounds) -> Self {
        Self {
            shared: Arc::new(Shared {
                queue: Mutex::new(Queue { waiting: VecDeque::new(), closed: false }),
                filled: Condvar::new(),
                ordinary: Semaphore::new(bounds.ordinary),
                urgent: Semaphore::new(bounds.urgent),
            }),
        }
    }

    /// Puts an input in, or says at once that it can't be taken.
    ///
    /// # Errors
    /// See [`Refused`]; the input is gone.
    pub fn try_send(&self, input: I) -> Result<(), Refused> {
        self.admit(&self.shared.ordinary, Lane::Ordinary, input)
    }

    /// Puts an input in that ordinary ones must not crowd out.
    ///
    /// # Errors
    /// See [`Refused`]; the input is gone.
    pub fn send_urgent(&self, input: I) -> Result<(), Refused> {
        self.admit(&self.shared.urgent, Lane::Urgent, input)
    }

    /// Puts an input in as soon as there is room.
    ///
    /// # Errors
    /// [`Refused::Stopped`]; the input is gone.
    pub async fn send(&self, input: I) -> Result<(), Refused> {
        let permit = self.shared.ordinary.acquire().await.map_err(|_| Refused::Stopped)?;
        permit.forget();
        self.push(Lane::Ordinary, input)
    }

    fn admit(&self, room: &Semaphore, lane: Lane, input: I) -> Result<(), Refused> {
        match room.try_acquire() {
            Ok(permit) => permit.forget(),
            Err(tokio::sync::TryAcquireError::NoPermits) => return Err(Refused::Full),
            Err(tokio::sync::TryAcquireError::Closed) => return Err(Refused::Stopped),
        }
        self.push(lane, input)
    }

    fn push(&self, lane: Lane, input: I) -> Result<(), Refused> {
        let mut queue = self.lock();
        if queue.closed {
            return Err(Refused::Stopped);
        }
        queue.waiting.push_back((lane, input));
        drop(queue);
        self.shared.filled.notify_one();
        Ok(())
    }

    /// Moves up to `most` inputs to `batch`; waits for the first until `until`.
    ///
    /// False: the inbox is closed and empty.
    pub(crate) fn drain(&self, batch: &mut Vec<I>, most: usize, until: Option<Instant>) -> bool {
        let mut queue = self.lock();
        while queue.waiting.is_empty() {
            if queue.closed {
                return false;
            }
            let wait = match until {
                None => Duration::MAX,
                Some(until) => match until.checked_duration_since(Instant::now()) {
                    Some(wait) if !wait.is_zero() => wait,
                    _ => return true,
                },
            };
            // A wait of Duration::MAX would overflow the deadline it is turned into.
            let wait = wait.min(Duration::from_hours(1));
            queue = self
                .shared
                .filled
                .wait_timeout(queue, wait)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
        let taken = queue.waiting.len().min(most);
        let mut urgent = 0;
        for (lane, input) in queue.waiting.drain(..taken) {
            urgent += usize::from(lane == Lane::Urgent);
            batch.push(input);
        }
        drop(queue);
        self.shared.urgent.add_permits(urgent);
        self.shared.ordinary.add_permits(taken - urgent);
        true
    }

    /// Takes no further inputs; those that wait are still handled.
    pub(crate) fn close(&self) {
        self.shared.ordinary.close();
        self.shared.urgent.close();
        self.lock().closed = true;
        self.shared.filled.notify_all();
    }

    /// The queue is whole even if a thread died while it held the lock: each change is one step.
    fn lock(&self) -> MutexGuard<'_, Queue<I>> {
        self.shared.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drained(inbox: &Inbox<u32>) -> Vec<u32> {
        let mut batch = Vec::new();
        inbox.drain(&mut batch, usize::MAX, Some(Instant::now()));
        batch
    }

    #[test]
    fn ordinary_inputs_cannot_crowd_urgent_ones_out_and_no_input_overtakes() {
        let inbox = Inbox::new(Bounds { ordinary: 2, urgent: 1 });
        assert_eq!(inbox.try_send(1), Ok(()));
        assert_eq!(inbox.try_send(2), Ok(()));
        assert_eq!(inbox.try_send(3), Err(Refused::Full));
        assert_eq!(inbox.send_urgent(4), Ok(()));
        assert_eq!(inbox.send_urgent(5), Err(Refused::Full));
        assert_eq!(drained(&inbox), [1, 2, 4]);
        assert_eq!(inbox.try_send(6), Ok(()));
        assert_eq!(inbox.send_urgent(7), Ok(()));
        assert_eq!(drained(&inbox), [6, 7]);
    }

    #[test]
    fn a_closed_inbox_hands_out_what_waits_and_then_ends() {
        let inbox = Inbox::new(Bounds::default());
        inbox.try_send(1).expect("open");
        inbox.close();
        assert_eq!(inbox.try_send(2), Err(Refused::Stopped));
        let mut batch = Vec::new();
        assert!(inbox.drain(&mut batch, 10, None));
        assert_eq!(batch, [1]);
        assert!(!inbox.drain(&mut batch, 10, None));
    }

    #[tokio::test]
    async fn a_patient_sender_waits_for_room() {
        let inbox = Inbox::new(Bounds { ordinary: 1, urgent: 0 });
        inbox.try_send(1).expect("room");
        let sender = tokio::spawn({
            let inbox = inbox.clone();
            async move { inbox.send(2).await }
        });
        tokio::task::yield_now().await;
        assert_eq!(drained(&inbox), [1]);
        sender.await.expect("no panic").expect("open");
        assert_eq!(drained(&inbox), [2]);
    }
}
