//! How the API speaks with the core: an input goes in, and the answer comes back by number.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use meros_marathon_core::input::{Input, ReplyTo};
use meros_marathon_core::output::Answer;
use meros_shell::inbox::{Inbox, Refused};
use tokio::sync::oneshot;

/// Those who wait for an answer of the core.
#[derive(Debug, Default)]
pub(crate) struct Waiting {
    next: AtomicU64,
    callers: Mutex<BTreeMap<ReplyTo, oneshot::Sender<Answer>>>,
}

impl Waiting {
    /// Hands `answer` to whoever waits under `to`. A caller that went away is no error.
    pub(crate) fn answer(&self, to: ReplyTo, answer: Answer) {
        if let Some(caller) = self.lock().remove(&to) {
            let _ = caller.send(answer);
        }
    }

    /// Sends everybody away without an answer: the core has stopped.
    pub(crate) fn dismiss_all(&self) {
        self.lock().clear();
    }

    fn enter(&self) -> (ReplyTo, oneshot::Receiver<Answer>) {
        let to = ReplyTo(self.next.fetch_add(1, Ordering::Relaxed));
        let (caller, answer) = oneshot::channel();
        self.lock().insert(to, caller);
        (to, answer)
    }

    /// The map is whole even if a thread died while it held the lock: each change is one step.
    fn lock(&self) -> MutexGuard<'_, BTreeMap<ReplyTo, oneshot::Sender<Answer>>> {
        self.callers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Asks the core. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct CoreClient {
    inbox: Inbox<Input>,
    waiting: Arc<Waiting>,
}

impl CoreClient {
    /// A client of the core behind `inbox`, whose answers go to `waiting`.
    pub(crate) fn new(inbox: Inbox<Input>, waiting: Arc<Waiting>) -> Self {
        Self { inbox, waiting }
    }

    /// Sends the input that `input` makes and waits for its answer.
    ///
    /// # Errors
    /// When the core takes no more inputs, or stops before it answers.
    pub(crate) async fn ask(
        &self,
        input: impl FnOnce(ReplyTo) -> Input,
    ) -> Result<Answer, Refused> {
        let (to, answer) = self.waiting.enter();
        let input = input(to);
        // Kills have a lane that changes and reads can't fill.
        let sent = match &input {
            Input::Kill { .. } => self.inbox.send_urgent(input),
            _ => self.inbox.try_send(input),
        };
        if let Err(refused) = sent {
            self.waiting.lock().remove(&to);
            return Err(refused);
        }
        answer.await.map_err(|_| Refused::Stopped)
    }
}
