//! What the author of a scheduler writes.

use std::future::Future;

use bytes::Bytes;
use meros_proto::ids::{AgentId, ExecutorId};
use meros_proto::v1;

use super::cluster::Cluster;
use crate::offers::Offer;

/// What a handler returns; any error can be passed on with `?`. It is logged, and the scheduler
/// goes on: an update that failed comes again, an offer that was dropped is declined.
pub type HandlerResult = Result<(), Box<dyn std::error::Error + Send + Sync>>;

/// A scheduler's decisions. One method runs at a time; implement them as `async fn`.
pub trait Handler: Send {
    /// A master took the subscription, for the first time or again.
    fn subscribed(&mut self, cluster: &mut Cluster) -> impl Future<Output = HandlerResult> + Send {
        let _ = cluster;
        async { Ok(()) }
    }

    /// Offers came. Launch on them, or keep them; those that are dropped are declined.
    fn offers(
        &mut self,
        cluster: &mut Cluster,
        offers: Vec<Offer>,
    ) -> impl Future<Output = HandlerResult> + Send;

    /// A task's state was told: by its agent, by the master, or as the answer to a reconciliation.
    /// The same state may be told more than once. Acknowledged once this returns `Ok`.
    fn update(
        &mut self,
        cluster: &mut Cluster,
        status: &v1::TaskStatus,
    ) -> impl Future<Output = HandlerResult> + Send;

    /// The subscription is lost; tasks run on, offers are void.
    fn disconnected(
        &mut self,
        cluster: &mut Cluster,
        why: &str,
    ) -> impl Future<Output = HandlerResult> + Send {
        let _ = (cluster, why);
        async { Ok(()) }
    }

    /// An executor sent something.
    fn message(
        &mut self,
        cluster: &mut Cluster,
        agent: &AgentId,
        executor: &ExecutorId,
        data: Bytes,
    ) -> impl Future<Output = HandlerResult> + Send {
        let _ = (cluster, agent, executor, data);
        async { Ok(()) }
    }
}
