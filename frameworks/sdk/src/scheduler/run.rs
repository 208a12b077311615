//! The loop: events in, handlers called, what they left undone done.

use std::collections::VecDeque;
use std::future::Future;
use std::time::Duration;

use meros_proto::ids::{AgentId, TaskId};
use meros_proto::resources::{Role, RoleError};
use meros_proto::task_state::is_terminal;
use meros_proto::v1;
use meros_proto::v1::scheduler::call;
use tokio::time::Instant;
use tracing::{debug, error, info, warn};

use super::book::Book;
use super::cluster::Cluster;
use super::handler::{Handler, HandlerResult};
use super::settings::Scheduler;
use crate::clock::Clock;
use crate::driver::{AddressError, Driver, Event, Events, SendError, Subscribed, Update};
use crate::offers::{Directive, Pool};
use crate::reconcile::{Question, Reconciler};
use crate::state::StateError;
use crate::updates::Updates;

/// A handler that takes longer holds up everything: it is logged.
const SLOW: Duration = Duration::from_secs(1);
/// When a full call queue is tried again.
const RETRY: Duration = Duration::from_millis(100);
/// How long the end may take.
const END_WITHIN: Duration = Duration::from_secs(5);

/// Why a scheduler ended that should have gone on.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// A master's address is none.
    #[error(transparent)]
    Address(#[from] AddressError),
    /// A role is none.
    #[error(transparent)]
    Role(#[from] RoleError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StateError),
    /// The master will not have it, or another instance took over.
    #[error("the master refuses the framework: {0}")]
    Refused(String),
    /// The framework was torn down, or away for too long. The store no longer names it: the next
    /// start makes a new one.
    #[error("the framework was removed: {0}")]
    Removed(String),
}

pub(super) async fn run(
    mut scheduler: Scheduler,
    book: Book,
    handler: &mut impl Handler,
    shutdown: impl Future<Output = ()> + Send,
) -> Result<(), RunError> {
    let parse = |role: &String| Role::parse(role);
    let framework = &mut scheduler.options.framework;
    let roles = framework.roles.iter().map(parse).collect::<Result<Vec<_>, _>>()?;
    let suppressed =
        scheduler.options.suppressed_roles.iter().map(parse).collect::<Result<Vec<_>, _>>()?;
    if let Some(id) = &book.framework_id {
        framework.id = Some(id.to_proto());
    }
    let ephemeral = framework.failover_timeout() == 0.0;
    let seed = scheduler.options.seed.unwrap_or_else(|| uuid::Uuid::new_v4().as_u64_pair().1);
    let (calls, events) = Driver::start(scheduler.options)?;
    let cluster = Cluster {
        calls: calls.clone(),
        pool: Pool::new(scheduler.policy.clone(), roles.clone(), seed.wrapping_add(1)),
        policy: scheduler.policy,
        book,
        roles,
        finished: false,
    };
    let runner = Runner {
        cluster,
        clock: Clock::start(),
        suppressed,
        updates: Updates::new(calls),
        reconciler: Reconciler::new(scheduler.pace, seed.wrapping_add(2)),
        unsent: VecDeque::new(),
        ephemeral,
    };
    runner.run(handler, events, shutdown).await
}

struct Runner {
    cluster: Cluster,
    clock: Clock,
    suppressed: Vec<Role>,
    updates: Updates,
    reconciler: Reconciler,
    /// What the call queue had no room for.
    unsent: VecDeque<Directive>,
    ephemeral: bool,
}

impl Runner {
    async fn run(
        mut self,
        handler: &mut impl Handler,
        mut events: Events,
        shutdown: impl Future<Output = ()> + Send,
    ) -> Result<(), RunError> {
        let mut shutdown = std::pin::pin!(shutdown);
        while !self.cluster.finished {
            let deadline = self.act();
            tokio::select! {
                event = events.next() => match event {
                    Some(event) => self.event(handler, event).await?,
                    None => return Ok(()),
                },
                () = self.clock.sleep_until(deadline) => {}
                () = &mut shutdown => self.cluster.finish(),
            }
        }
        self.end(events).await;
        Ok(())
    }

    async fn event(&mut self, handler: &mut impl Handler, event: Event) -> Result<(), RunError> {
        match event {
            Event::Subscribed(subscribed) => self.subscribed(handler, subscribed).await?,
            Event::Disconnected { why, unanswered_calls, .. } => {
                info!(why, unanswered_calls, "disconnected");
                self.cluster.pool.restart(&self.suppressed);
                self.reconciler.stop();
                self.unsent.clear();
                watched("disconnected", handler.disconnected(&mut self.cluster, &why)).await;
            }
            Event::Offers(offers) => {
                self.cluster.pool.add(self.clock.now().mono, offers);
                let offers = self.cluster.pool.take_wanted();
                if !offers.is_empty() {
                    watched("offers", handler.offers(&mut self.cluster, offers)).await;
                }
            }
            Event::Rescind(offer) => self.cluster.pool.rescind(&offer),
            Event::Update(update) => self.update(handler, update).await,
            Event::Failure { agent: Some(agent), executor: None, .. } => {
                self.cluster.pool.agent_lost(&agent);
            }
            Event::Message { agent, executor, data } => {
                let message = handler.message(&mut self.cluster, &agent, &executor, data);
                watched("message", message).await;
            }
            Event::CallFailed(failed) => {
                warn!(call = failed.call.r#type().as_str_name(), why = %failed.why, "call failed");
                if failed.call.r#type() == call::Type::Accept {
                    // Whether its tasks run is for the master to say.
                    self.reconcile();
                }
            }
            Event::Error { message } => return Err(RunError::Refused(message)),
            Event::Removed { message } => {
                self.cluster.book.clear().await?;
                return Err(RunError::Removed(message));
            }
            // Nothing that this level acts on.
            Event::InverseOffers(_)
            | Event::RescindInverse(_)
            | Event::OperationUpdate(_)
            | Event::Failure { .. }
            | Event::Unknown(_) => {}
        }
        Ok(())
    }

    async fn subscribed(
        &mut self,
        handler: &mut impl Handler,
        subscribed: Subscribed,
    ) -> Result<(), RunError> {
        info!(master = subscribed.master, framework = %subscribed.framework_id, "subscribed");
        self.cluster.book.named(&subscribed.framework_id).await?;
        self.cluster.pool.restart(&self.suppressed);
        self.reconcile();
        watched("subscribed", handler.subscribed(&mut self.cluster)).await;
        Ok(())
    }

    fn reconcile(&mut self) {
        let tasks = self.cluster.book.tasks();
        let tasks: Vec<_> =
            tasks.map(|(task, agent)| (task.clone(), Some(agent.clone()))).collect();
        self.reconciler.start(self.clock.now().mono, tasks);
    }

    async fn update(&mut self, handler: &mut impl Handler, update: Update) {
        let task = TaskId::from_proto(update.status.task_id.as_ref());
        if let Ok(task) = &task {
            self.reconciler.answered(self.clock.now().mono, task);
        }
        let cluster = &mut self.cluster;
        let settled = self.updates.settle(update, async |status: v1::TaskStatus| {
            timed("update", handler.update(cluster, &status)).await?;
            let over = is_terminal(status.state()) || status.state() == v1::TaskState::TaskUnknown;
            if let (true, Ok(task)) = (over, &task) {
                cluster.book.over([task]).await?;
            }
            HandlerResult::Ok(())
        });
        if let Err(error) = settled.await {
            error!(error, "an update was not dealt with: it is not acknowledged");
        }
    }

    /// Says what is due to the master, and returns when there is more to say.
    fn act(&mut self) -> Option<meros_proto::time::Mono> {
        let now = self.clock.now().mono;
        self.cluster.calls.link()?;
        self.unsent.extend(self.cluster.pool.round(now));
        while let Some(directive) = self.unsent.front() {
            match self.send(directive) {
                Ok(()) => drop(self.unsent.pop_front()),
                Err(SendError::Full) => return Some(now + RETRY),
                // All offers are void, and a new subscription starts from nothing.
                Err(SendError::Disconnected | SendError::Ended) => self.unsent.clear(),
            }
        }
        if self.reconciler.is_due(now) {
            self.reconcile();
        }
        if let Some(question) = self.reconciler.round(now)
            && let Err(error) = self.ask(question)
        {
            debug!(%error, "a reconciliation was not sent: it is repeated");
        }
        self.cluster.pool.deadline().into_iter().chain(self.reconciler.deadline()).min()
    }

    fn send(&self, directive: &Directive) -> Result<(), SendError> {
        let calls = &self.cluster.calls;
        match directive {
            Directive::Decline { offers, refuse_for } => {
                calls.decline(offers.iter().cloned(), *refuse_for)
            }
            Directive::Suppress(role) => calls.suppress(vec![role.to_string()]),
            Directive::Revive(role) => calls.revive(vec![role.to_string()]),
        }
    }

    fn ask(&self, question: Question) -> Result<(), SendError> {
        let none: [(TaskId, Option<AgentId>); 0] = [];
        match question {
            Question::Implicit => self.cluster.calls.reconcile(none),
            Question::Explicit(chunks) => {
                chunks.into_iter().try_for_each(|chunk| self.cluster.calls.reconcile(chunk))
            }
        }
    }

    /// Leaves the master in order.
    async fn end(&mut self, mut events: Events) {
        if self.ephemeral && self.cluster.calls.teardown().is_ok() {
            debug!("tearing the framework down");
        } else {
            self.cluster.calls.stop();
        }
        let ended = async { while events.next().await.is_some() {} };
        if tokio::time::timeout(END_WITHIN, ended).await.is_err() {
            warn!("the master did not confirm the end");
        }
    }
}

/// Logs what a handler failed with, and that it was slow.
async fn watched(what: &'static str, handler: impl Future<Output = HandlerResult>) {
    if let Err(error) = timed(what, handler).await {
        error!(error, handler = what, "a handler failed");
    }
}

async fn timed(what: &'static str, handler: impl Future<Output = HandlerResult>) -> HandlerResult {
    let since = Instant::now();
    let result = handler.await;
    if since.elapsed() > SLOW {
        warn!(handler = what, took = ?since.elapsed(), "a handler held everything up");
    }
    result
}
