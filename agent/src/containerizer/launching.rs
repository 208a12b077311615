//! Launches on their way to the launcher.
//!
//! At most [`WINDOW`] starts are at the launcher unanswered, so that a kill never waits behind a
//! thousand of them, and the launcher stays small.

use std::sync::Arc;

use meros_proto::ids::ContainerId;
use tokio::task::JoinHandle;
use tracing::error;

use super::{
    actor::Actor,
    container::Stage,
    event::ContainerEvent,
    handle::LaunchSpec,
    prepare::{self, Prepared},
};
use crate::launcher::wire::Order;

/// So many starts may be at the launcher unanswered.
const WINDOW: usize = 128;
/// So many launches are prepared at a time.
const BATCH: usize = 64;

impl Actor {
    pub(super) fn launch(&mut self, spec: LaunchSpec) {
        if self.is_stopping() {
            self.fail(spec.container, "the agent is stopping".to_owned());
            return;
        }
        if self.containers.contains_key(&spec.container)
            || self.unconfirmed.contains(&spec.container)
        {
            // Answered already, or about to be: a second answer would be taken for the first's.
            error!(container = %spec.container, "launched twice");
            return;
        }
        self.containers.insert(spec.container.clone(), Stage::Waiting);
        self.waiting.push_back(spec);
    }

    /// Has the next launches prepared, if none are.
    pub(super) fn prepare_next(&mut self) {
        if self.preparing.is_some() || self.waiting.is_empty() || self.ready.len() >= WINDOW {
            return;
        }
        let batch: Vec<_> = self.waiting.drain(..self.waiting.len().min(BATCH)).collect();
        for spec in &batch {
            self.containers.insert(spec.container.clone(), Stage::Preparing { killed: false });
        }
        let (isolators, mark) = (Arc::clone(&self.base.isolators), Arc::clone(&self.base.mark));
        let deadline = self.base.config.start_deadline;
        let prepare = move || prepare::all(batch, &isolators, &mark, deadline);
        self.preparing = Some(tokio::task::spawn_blocking(prepare));
    }

    pub(super) fn prepared(&mut self, batch: Vec<Prepared>) {
        self.preparing = None;
        for Prepared { container, start } in batch {
            let stage = self.containers.get(&container);
            let killed = matches!(stage, Some(Stage::Preparing { killed: true }));
            match start {
                _ if killed => self.fail_killed(container),
                _ if self.is_stopping() => self.fail(container, "the agent is stopping".to_owned()),
                Err(message) => self.fail(container, message),
                Ok(start) => {
                    self.containers.insert(container.clone(), Stage::Ready);
                    self.ready.push_back((container, start));
                }
            }
        }
    }

    pub(super) fn send_ready(&mut self) {
        while self.unanswered < WINDOW
            && let Some((container, start)) = self.ready.pop_front()
        {
            self.order(&Order::Start(Box::new(start)));
            self.containers.insert(container, Stage::Sent { kill_at: None });
            self.unanswered += 1;
        }
    }

    pub(super) fn fail(&mut self, container: ContainerId, message: String) {
        self.containers.remove(&container);
        self.pending.push_back(ContainerEvent::LaunchFailed { container, message });
    }

    pub(super) fn fail_killed(&mut self, container: ContainerId) {
        self.fail(container, "killed before it was started".to_owned());
    }
}

/// The result of a batch; waits for ever while there is none.
pub(super) async fn finished(preparing: &mut Option<JoinHandle<Vec<Prepared>>>) -> Vec<Prepared> {
    match preparing {
        Some(handle) => handle.await.unwrap_or_else(|error| {
            // The containers of the batch stay unanswered: as good a state as a panic leaves.
            error!(error = &error as &dyn std::error::Error, "could not prepare containers");
            Vec::new()
        }),
        None => std::future::pending().await,
    }
}
