//! Follows the tasks whose launcher died, each to its end.

use std::{collections::HashMap, os::fd::AsFd, sync::Arc, time::Duration};

use meros_proto::ids::ContainerId;
use rustix::process::Signal;
use tokio::{
    sync::{Semaphore, watch},
    task::JoinSet,
    time::Instant,
};
use tracing::error;

use super::{event::WaitStatus, held::Held, isolators::Isolators, orphan::Orphan};
use crate::launcher::{pidfd, watch::EndWatch};

/// After SIGKILL it is sent again so often: to what was forked meanwhile.
const AGAIN: Duration = Duration::from_secs(1);
/// Where the kernel can't tell of an end, it is looked for so often.
const LOOK: Duration = Duration::from_millis(200);
/// So many are cleared up after at a time: without cgroups each has to look at the whole host.
const CLEARING_MAX: usize = 4;

/// All that are followed.
#[derive(Debug)]
pub(super) struct Orphans {
    isolators: Arc<Isolators>,
    /// How the mark of this agent's tasks begins.
    mark: Arc<str>,
    /// When SIGKILL is due, once the task is to end.
    kills: HashMap<ContainerId, watch::Sender<Option<Instant>>>,
    followed: JoinSet<Ended>,
    clearing: Arc<Semaphore>,
}

/// One that ended, and of which nothing is left.
#[derive(Debug)]
pub(super) struct Ended {
    pub(super) container: ContainerId,
    pub(super) status: WaitStatus,
    /// For [`Isolators::judge`].
    pub(super) reports: Vec<Vec<u8>>,
}

impl Orphans {
    pub(super) fn new(isolators: Arc<Isolators>, mark: Arc<str>) -> Self {
        Self {
            isolators,
            mark,
            kills: HashMap::new(),
            followed: JoinSet::new(),
            clearing: Arc::new(Semaphore::new(CLEARING_MAX)),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.followed.is_empty()
    }

    /// Follows a task from now on. `kill_at`: when SIGKILL is due, if it is to end already.
    pub(super) fn follow(
        &mut self,
        container: ContainerId,
        pid: i32,
        process: Option<Held>,
        kill_at: Option<Instant>,
    ) {
        let orphan = Orphan::new(container.clone(), pid, process, &self.isolators, &self.mark);
        let (kill, killed) = watch::channel(kill_at);
        self.kills.insert(container, kill);
        self.followed.spawn(follow(Arc::new(orphan), killed, Arc::clone(&self.clearing)));
    }

    /// SIGTERM now, SIGKILL after the grace. A later call may shorten it.
    pub(super) fn kill(&self, container: &ContainerId, grace: Duration) {
        let at = Instant::now() + grace;
        if let Some(kill) = self.kills.get(container) {
            kill.send_if_modified(|due| {
                let sooner = due.is_none_or(|due| at < due);
                if sooner {
                    *due = Some(at);
                }
                sooner
            });
        }
    }

    pub(super) fn kill_all(&self, grace: Duration) {
        self.kills.keys().for_each(|container| self.kill(container, grace));
    }

    /// The next that ended; waits for ever while there is none.
    pub(super) async fn next(&mut self) -> Ended {
        loop {
            match self.followed.join_next().await {
                Some(Ok(ended)) => {
                    self.kills.remove(&ended.container);
                    return ended;
                }
                Some(Err(error)) => {
                    error!(
                        error = &error as &dyn std::error::Error,
                        "a task is not followed any more"
                    );
                }
                None => std::future::pending().await,
            }
        }
    }
}

async fn follow(
    orphan: Arc<Orphan>,
    mut killed: watch::Receiver<Option<Instant>>,
    clearing: Arc<Semaphore>,
) -> Ended {
    let watched = Arc::clone(&orphan);
    let ended = async move { end_of(watched.process.as_ref()).await };
    tokio::pin!(ended);
    let mut is_told = false;
    let mut strike_at = *killed.borrow_and_update();
    loop {
        if strike_at.is_some() && !is_told {
            is_told = true;
            signal(&orphan, Signal::TERM).await;
        }
        tokio::select! {
            () = &mut ended => break,
            changed = killed.changed() => match changed {
                Ok(()) => strike_at = *killed.borrow_and_update(),
                // Nobody can ask for anything any more: only the end is waited for.
                Err(_) => {
                    ended.await;
                    break;
                }
            },
            () = sleep_until(strike_at) => {
                signal(&orphan, Signal::KILL).await;
                strike_at = Some(Instant::now() + AGAIN);
            }
        }
    }
    // Never closed: an error is as good as a permit.
    let _permit = clearing.acquire().await;
    let container = orphan.container.clone();
    let cleared = tokio::task::spawn_blocking(move || (orphan.status(), orphan.clear())).await;
    let (status, reports) = cleared.unwrap_or_else(|error| {
        error!(error = &error as &dyn std::error::Error, "could not clear up after a task");
        (WaitStatus::Unknown, Vec::new())
    });
    Ended { container, status, reports }
}

async fn end_of(process: Option<&Held>) {
    let Some(process) = process else { return };
    let watch = process.as_fd().try_clone_to_owned().and_then(EndWatch::new);
    if let Ok(watch) = watch
        && watch.ended().await.is_ok()
    {
        return;
    }
    while !pidfd::wait(process.as_fd(), Duration::ZERO) {
        tokio::time::sleep(LOOK).await;
    }
}

async fn signal(orphan: &Arc<Orphan>, signal: Signal) {
    let orphan = Arc::clone(orphan);
    if let Err(error) = tokio::task::spawn_blocking(move || orphan.signal(signal)).await {
        error!(error = &error as &dyn std::error::Error, "could not signal a task");
    }
}

async fn sleep_until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}
