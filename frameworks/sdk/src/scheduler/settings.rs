//! A scheduler before it runs.

use std::future::Future;
use std::time::Duration;

use meros_proto::resources::Role;
use meros_proto::v1;
use meros_proto::v1::framework_info::{Capability, capability};

use super::book::Book;
use super::handler::Handler;
use super::run::{self, RunError};
use crate::driver::Options;
use crate::offers::Policy;
use crate::reconcile::Pace;
use crate::state::{AsyncStore, StateStore};

/// How long the tasks of a scheduler with a store outlive its absence.
const FAILOVER_TIMEOUT: Duration = Duration::from_secs(7 * 86_400);

/// A framework about to subscribe. Its parts can be changed before [`Scheduler::run`].
#[derive(Debug)]
pub struct Scheduler {
    /// Whom to subscribe to, as what.
    pub options: Options,
    /// How offers are held and refused.
    pub policy: Policy,
    /// How tasks are reconciled.
    pub pace: Pace,
    pub(super) store: Option<AsyncStore>,
}

impl Scheduler {
    /// A framework that remembers nothing: its tasks end when it does, or loses its master. `masters`
    /// is `HOST:PORT[,HOST:PORT...]`.
    pub fn ephemeral(masters: &str, name: &str) -> Self {
        Self::new(masters, framework(name, Duration::ZERO), None)
    }

    /// A framework that keeps its id and its tasks in `store`. Its tasks run on for a week without
    /// it; started again it takes them over.
    pub fn with_store(masters: &str, name: &str, store: impl StateStore) -> Self {
        Self::new(masters, framework(name, FAILOVER_TIMEOUT), Some(AsyncStore::new(store)))
    }

    fn new(masters: &str, framework: v1::FrameworkInfo, store: Option<AsyncStore>) -> Self {
        let masters = masters.split(',').map(str::trim).filter(|master| !master.is_empty());
        Self {
            options: Options::new(masters, framework),
            policy: Policy::default(),
            pace: Pace::default(),
            store,
        }
    }

    /// Asks for offers to `roles` instead of `*`.
    #[must_use]
    pub fn roles(mut self, roles: &[Role]) -> Self {
        self.options.framework.roles = roles.iter().map(ToString::to_string).collect();
        self
    }

    /// Runs until the handler finishes it, see [`Cluster::finish`](super::Cluster::finish).
    ///
    /// # Errors
    /// See [`RunError`].
    pub async fn run(self, handler: &mut impl Handler) -> Result<(), RunError> {
        self.run_until(handler, std::future::pending()).await
    }

    /// Runs until the handler finishes it or `shutdown` comes true.
    ///
    /// # Errors
    /// See [`RunError`].
    pub async fn run_until(
        mut self,
        handler: &mut impl Handler,
        shutdown: impl Future<Output = ()> + Send,
    ) -> Result<(), RunError> {
        let book = match self.store.take() {
            Some(store) => Book::open(store).await?,
            None => Book::ephemeral(),
        };
        run::run(self, book, handler, shutdown).await
    }
}

/// What a framework of this SDK says of itself.
fn framework(name: &str, failover_timeout: Duration) -> v1::FrameworkInfo {
    use capability::Type;
    let user = std::env::var("USER").ok().filter(|user| !user.is_empty());
    let able = [
        Type::MultiRole,
        Type::PartitionAware,
        Type::ReservationRefinement,
        Type::TaskKillingState,
    ];
    v1::FrameworkInfo {
        user: Some(user.unwrap_or_else(|| "root".to_owned())),
        name: Some(name.to_owned()),
        failover_timeout: Some(failover_timeout.as_secs_f64()),
        checkpoint: Some(true),
        roles: vec!["*".to_owned()],
        capabilities: able.map(|kind| Capability { r#type: Some(kind.into()) }).into(),
        ..v1::FrameworkInfo::default()
    }
}
