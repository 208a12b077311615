//! The face of the containerizer: a handle that queues what is asked and never waits.

use std::{path::PathBuf, sync::Arc, time::Duration};

use meros_proto::{ids::ContainerId, v1};
use tokio::sync::{mpsc, oneshot};

use super::{
    actor::{Actor, Ask},
    config::{ContainerizerConfig, StartError},
    event::{ContainerEvent, Found},
};

/// How many events may wait for a slow reader before the launcher's are left in its socket.
const EVENT_QUEUE: usize = 1024;

/// Starts and ends containers. Clones name the same containerizer.
///
/// When the last clone is dropped without [`stop`](Self::stop), the launcher is left as it would be
/// by an agent that died: it keeps its tasks for the recovery timeout.
#[derive(Debug, Clone)]
pub struct Containerizer {
    asks: mpsc::UnboundedSender<Ask>,
    notices: Arc<[String]>,
}

/// What to run.
#[derive(Debug, Clone)]
pub struct LaunchSpec {
    /// Names the container; never used twice.
    pub container: ContainerId,
    /// The command: `sh -c value`, or `value` with `arguments` as its argv.
    pub command: v1::CommandInfo,
    /// The whole environment, in order; a later variable replaces an earlier one of its name.
    pub env: Vec<(String, String)>,
    /// The sandbox, absolute. Made here, with its `latest` link, if it does not exist.
    pub sandbox: PathBuf,
    /// What it may use.
    pub limits: Limits,
    /// The user to run as, when the agent is root. `None`: the agent's own.
    pub user: Option<String>,
}

/// What a container may use. `None`: no limit.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Limits {
    /// CPUs.
    pub cpus: Option<f64>,
    /// Memory in bytes, page cache included.
    pub mem_bytes: Option<u64>,
}

impl Containerizer {
    /// Takes over the launcher that an agent left in this work directory, or starts one, and returns
    /// what is left of the containers of before.
    ///
    /// # Errors
    /// See [`StartError`]; no task was ended then.
    pub async fn start(
        config: ContainerizerConfig,
    ) -> Result<(Self, Vec<Found>, mpsc::Receiver<ContainerEvent>), StartError> {
        let (asks, asked) = mpsc::unbounded_channel();
        let (events, reported) = mpsc::channel(EVENT_QUEUE);
        let (actor, found) = Actor::start(config, asked, events).await?;
        let notices = actor.notices().into();
        tokio::spawn(actor.run());
        Ok((Self { asks, notices }, found, reported))
    }

    /// Asks for a container. The answer is an event.
    ///
    /// Only queues; the queue has no bound of its own because the agent's resources bound it.
    pub fn launch(&self, spec: LaunchSpec) {
        self.ask(Ask::Launch(Box::new(spec)));
    }

    /// Ends a container: SIGTERM to each of its processes, SIGKILL after `grace`.
    ///
    /// A later call may shorten the grace, never lengthen it. Unknown and ended containers are
    /// ignored: the event that tells their end is under way.
    pub fn kill(&self, container: ContainerId, grace: Duration) {
        self.ask(Ask::Kill { container, grace });
    }

    /// Says that the end of a container, or the failure of its launch, is on record: the launcher,
    /// which reports it to every agent that comes until then, need not keep it.
    pub fn forget(&self, container: ContainerId) {
        self.ask(Ask::Forget { container });
    }

    /// Lets go of the launcher and returns. Its tasks run on; it keeps them, and the ends that were
    /// not forgotten, for the recovery timeout.
    pub async fn detach(&self) {
        let (done, detached) = oneshot::channel();
        self.ask(Ask::Detach { done });
        // An error says that the actor is gone: so there is nothing to let go of.
        let _ = detached.await;
    }

    /// Ends every container and the launcher; returns when no process and no cgroup of ours is left.
    ///
    /// Each end is still reported as an event, as far as the reader takes them.
    pub async fn stop(&self) {
        let (done, stopped) = oneshot::channel();
        self.ask(Ask::Stop { done });
        // An error says that the actor is gone: so there is nothing left to stop.
        let _ = stopped.await;
    }

    /// What can't be isolated on this host, one line each.
    pub fn isolation_notices(&self) -> &[String] {
        &self.notices
    }

    fn ask(&self, ask: Ask) {
        // Fails only once the actor ended: after `stop` or `LauncherLost`, both known to the caller.
        let _ = self.asks.send(ask);
    }
}
