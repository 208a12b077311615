//! Carries out what the herd asks for. Runs on the gate thread: it only queues.

use meros_agent_core::effect::{Effect, Level};
use tokio::sync::{mpsc, oneshot};
use tracing::{debug, warn};

use super::herd::Member;
use super::pretend;
use crate::link::{LinkHandle, Order};

/// What effects are carried out with.
pub(super) struct Performer {
    /// Each member's, in order.
    pub(super) links: Vec<LinkHandle>,
    pub(super) containers: mpsc::UnboundedSender<pretend::Order>,
    pub(super) ended: Ended,
}

/// Counts the members that have ended; tells when all have.
pub(super) struct Ended {
    left: usize,
    /// The first error among them.
    outcome: Result<(), String>,
    all: Option<oneshot::Sender<Result<(), String>>>,
}

impl Ended {
    pub(super) fn new(members: usize, all: oneshot::Sender<Result<(), String>>) -> Self {
        Self { left: members, outcome: Ok(()), all: Some(all) }
    }

    fn one(&mut self, member: Member, outcome: Result<(), String>) {
        if let Err(error) = outcome {
            warn!(agent = member.number(), "a hollow agent has ended: {error}");
            if self.outcome.is_ok() {
                self.outcome = Err(format!("agent {}: {error}", member.number()));
            }
        }
        self.left = self.left.saturating_sub(1);
        if self.left == 0
            && let Some(all) = self.all.take()
        {
            // Nobody listens when the role is being dropped.
            let _ = all.send(std::mem::replace(&mut self.outcome, Ok(())));
        }
    }
}

impl Performer {
    pub(super) fn perform(&mut self, member: Member, effect: Effect) {
        let link = &self.links[member.index()];
        match effect {
            Effect::ToMaster { session, message } => link.order(Order::Say(session, message)),
            Effect::Disconnect { session, reason } => {
                link.order(Order::Disconnect(session, reason));
            }
            Effect::Launch(launch) => self.ask(pretend::Order::Launch(member, launch)),
            Effect::Kill { container, grace } => self.ask(pretend::Order::Kill(container, grace)),
            Effect::Check(probe) => self.ask(pretend::Order::Look(member, Box::new(probe))),
            // A pretended container is gone with its end.
            Effect::Forget(_) => {}
            Effect::Reply(reply, view) => reply.send(view),
            // The state of one among thousands changes all the time.
            Effect::Log(Level::Info, message) => debug!(agent = member.number(), "{message}"),
            Effect::Log(Level::Warn, message) => warn!(agent = member.number(), "{message}"),
            Effect::Stopped(outcome) => self.ended.one(member, outcome),
        }
    }

    fn ask(&self, order: pretend::Order) {
        // The receiver lives as long as the herd takes inputs.
        let _ = self.containers.send(order);
    }
}
