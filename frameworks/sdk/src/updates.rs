//! Updates: dealt with first, acknowledged after.
//!
//! The agent sends an update until it is acknowledged, also after the framework crashed. So the
//! acknowledgement must not leave before what the update means is safe (in a store, for one).

use std::collections::{HashSet, VecDeque};
use std::future::Future;

use bytes::Bytes;
use meros_proto::v1;
use tracing::debug;

use crate::driver::{Calls, Update};

/// Updates that are remembered as dealt with.
const REMEMBERED: usize = 4_096;

/// Runs a handler for each update and acknowledges what it dealt with.
#[derive(Debug)]
pub struct Updates {
    calls: Calls,
    /// Those dealt with lately: one that comes again only lost its acknowledgement.
    order: VecDeque<Bytes>,
    handled: HashSet<Bytes>,
}

impl Updates {
    /// Acknowledges through `calls`.
    pub fn new(calls: Calls) -> Self {
        Self { calls, order: VecDeque::new(), handled: HashSet::new() }
    }

    /// Hands `update` to `handler`, and acknowledges it once that returned `Ok`. One that was dealt
    /// with before is acknowledged again, without the handler. One without a uuid is never
    /// acknowledged.
    ///
    /// # Errors
    /// The handler's. The update isn't acknowledged then, and comes again.
    pub async fn settle<E, F: Future<Output = Result<(), E>>>(
        &mut self,
        update: Update,
        handler: impl FnOnce(v1::TaskStatus) -> F,
    ) -> Result<(), E> {
        let Some(ack) = update.ack else { return handler(update.status).await };
        if let Some(uuid) = update.status.uuid.clone()
            && !self.handled.contains(&uuid)
        {
            handler(update.status).await?;
            self.remember(uuid);
        }
        if let Err(error) = self.calls.acknowledge(ack) {
            debug!(%error, "an acknowledgement was not sent: the update will come again");
        }
        Ok(())
    }

    fn remember(&mut self, uuid: Bytes) {
        if self.order.len() == REMEMBERED
            && let Some(oldest) = self.order.pop_front()
        {
            self.handled.remove(&oldest);
        }
        self.order.push_back(uuid.clone());
        self.handled.insert(uuid);
    }
}
