//! What a handler can do.

use meros_proto::ids::{AgentId, FrameworkId, IdError, TaskId};
use meros_proto::resources::Role;
use meros_proto::v1;

use super::book::Book;
use crate::driver::{Calls, SendError};
use crate::offers::{Offer, Policy, Pool};
use crate::state::StateError;

/// The cluster, as a handler sees it.
#[derive(Debug)]
pub struct Cluster {
    pub(super) calls: Calls,
    pub(super) pool: Pool,
    pub(super) policy: Policy,
    pub(super) book: Book,
    pub(super) roles: Vec<Role>,
    pub(super) finished: bool,
}

/// Why nothing was launched. The offer is declined, unless it is void.
#[derive(Debug, thiserror::Error)]
pub enum LaunchError {
    /// The master took the offer back.
    #[error("the offer is no longer valid")]
    Void,
    /// A task without a proper id.
    #[error(transparent)]
    Id(#[from] IdError),
    /// A task of an id that one has which isn't over.
    #[error("there is a task {0} already")]
    Taken(TaskId),
    /// The launch couldn't be written down.
    #[error(transparent)]
    Store(#[from] StateError),
    /// The launch couldn't be sent.
    #[error(transparent)]
    Send(#[from] SendError),
}

impl Cluster {
    /// Launches `tasks` on the agent of `offer`; what they leave of it is declined. They are in the
    /// store before the master hears of them.
    ///
    /// # Errors
    /// See [`LaunchError`]; nothing was launched then.
    pub async fn launch(
        &mut self,
        offer: Offer,
        tasks: Vec<v1::TaskInfo>,
    ) -> Result<(), LaunchError> {
        let mut named = Vec::with_capacity(tasks.len());
        for task in &tasks {
            let id = TaskId::from_proto(task.task_id.as_ref())?;
            if self.book.agent_of(&id).is_some() {
                return Err(LaunchError::Taken(id));
            }
            named.push((id, offer.agent().clone()));
        }
        if offer.is_void() {
            return Err(LaunchError::Void);
        }
        self.book.launching(&named).await?;
        let sent = match offer.use_up() {
            Some(id) => self.calls.launch([id], tasks, self.policy.refuse_for).map_err(Into::into),
            None => Err(LaunchError::Void),
        };
        if sent.is_err() {
            self.book.over(named.iter().map(|(id, _)| id)).await?;
        }
        sent
    }

    /// Asks for a task's end. The update that tells of it is what counts; ask again if none comes.
    ///
    /// # Errors
    /// When it couldn't be sent.
    pub fn kill(&self, task: &TaskId) -> Result<(), SendError> {
        self.calls.kill(task, self.book.agent_of(task), None)
    }

    /// Says how much is wanted for every role of the framework: 0 stops the offers, more than
    /// before brings back what was declined. 1 at the start.
    pub fn want(&mut self, amount: u64) {
        for role in &self.roles {
            self.pool.want(role, amount);
        }
    }

    /// The same, for one role.
    pub fn want_for(&mut self, role: &Role, amount: u64) {
        self.pool.want(role, amount);
    }

    /// Ends the scheduler after this: an ephemeral one with all its tasks, another leaves them
    /// running for its next start.
    pub fn finish(&mut self) {
        self.finished = true;
    }

    /// Tasks that are not over, with their agents.
    pub fn tasks(&self) -> impl Iterator<Item = (&TaskId, &AgentId)> {
        self.book.tasks()
    }

    /// The framework's id, once it is subscribed.
    pub fn framework_id(&self) -> Option<&FrameworkId> {
        self.book.framework_id.as_ref()
    }

    /// Any other call.
    pub fn calls(&self) -> &Calls {
        &self.calls
    }
}
