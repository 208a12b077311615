//! The task behind a [`Containerizer`](super::Containerizer): owns the state of every container.
//!
//! What may block (the sandbox, the user) is prepared aside, a batch at a time: see
//! [`launching`](super::launching). What the launcher says is taken in by [`told`](super::told), its
//! death by [`relink`](super::relink).

use std::{
    collections::{HashMap, HashSet, VecDeque},
    io,
    time::Duration,
};

use meros_proto::ids::ContainerId;
use tokio::{
    sync::{mpsc, oneshot},
    task::JoinHandle,
};
use tracing::{debug, error, warn};

use super::{
    adopt::{Base, Engaged},
    config::{ContainerizerConfig, StartError},
    container::{self, Stage},
    event::{ContainerEvent, Found},
    handle::LaunchSpec,
    orphans::Orphans,
    prepare::Prepared,
};
use crate::launcher::{
    client::Launcher,
    wire::{Order, Start},
};

/// With so many events unread the launcher's are left in its socket.
const PENDING_MAX: usize = 1024;
/// How long the launcher may take to end beyond the grace of its tasks.
const STOP_PATIENCE: Duration = Duration::from_secs(15);
/// How long the launcher may take to take in what it is told last.
const DETACH_PATIENCE: Duration = Duration::from_secs(1);
/// How long the reader of events is waited for once everything ended.
const READER_PATIENCE: Duration = Duration::from_secs(1);

/// What a [`Containerizer`](super::Containerizer) is asked.
#[derive(Debug)]
pub(super) enum Ask {
    Launch(Box<LaunchSpec>),
    Kill { container: ContainerId, grace: Duration },
    Forget { container: ContainerId },
    Detach { done: oneshot::Sender<()> },
    Stop { done: oneshot::Sender<()> },
}

#[derive(Debug)]
pub(super) struct Actor {
    pub(super) base: Base,
    /// `None` once it ended as asked.
    pub(super) launcher: Option<Launcher>,
    asks: mpsc::UnboundedReceiver<Ask>,
    events: mpsc::Sender<ContainerEvent>,
    pub(super) containers: HashMap<ContainerId, Stage>,
    /// Those that ended, by the launcher's word, and are to be forgotten when that is on record.
    pub(super) unconfirmed: HashSet<ContainerId>,
    pub(super) orphans: Orphans,
    pub(super) waiting: VecDeque<LaunchSpec>,
    pub(super) preparing: Option<JoinHandle<Vec<Prepared>>>,
    pub(super) ready: VecDeque<(ContainerId, Start)>,
    /// How many are `Sent`.
    pub(super) unanswered: usize,
    /// Encoded orders.
    pub(super) outgoing: Vec<u8>,
    pub(super) pending: VecDeque<ContainerEvent>,
    /// When launchers were lost.
    pub(super) losses: VecDeque<tokio::time::Instant>,
    /// Who waits for the end; asked for once there is one.
    stopping: Vec<oneshot::Sender<()>>,
}

/// Why the actor's loop ended.
enum Outcome {
    /// Everything ended, as asked.
    Stopped,
    /// There is no launcher, and there will be none.
    Lost(StartError),
    /// Nobody can ask anything any more.
    Dropped,
    /// The launcher is to be let go of.
    Detached(oneshot::Sender<()>),
}

impl Actor {
    /// Takes over what is there, or starts a launcher.
    pub(super) async fn start(
        config: ContainerizerConfig,
        asks: mpsc::UnboundedReceiver<Ask>,
        events: mpsc::Sender<ContainerEvent>,
    ) -> Result<(Self, Vec<Found>), StartError> {
        let blocking = move || {
            let base = Base::of(config)?;
            let engaged = base.engage().inspect_err(|_| base.isolators.withdraw())?;
            let known = engaged.told.keys().cloned().collect();
            let survivors = base.survivors(&known);
            Ok((base, engaged, survivors))
        };
        let started = tokio::task::spawn_blocking(blocking).await;
        let unanswered = |error: &dyn std::error::Error| StartError::Greeting(error.to_string());
        let (base, engaged, survivors) = started.map_err(|error| unanswered(&error))??;
        let Engaged { attached, told, orders } = engaged;
        let launcher = Launcher::new(attached).map_err(|error| unanswered(&error))?;
        let orphans = Orphans::new(base.isolators.clone(), base.mark.clone());
        let mut actor = Self {
            base,
            launcher: Some(launcher),
            asks,
            events,
            containers: HashMap::new(),
            unconfirmed: HashSet::new(),
            orphans,
            waiting: VecDeque::new(),
            preparing: None,
            ready: VecDeque::new(),
            unanswered: 0,
            outgoing: Vec::new(),
            pending: VecDeque::new(),
            losses: VecDeque::new(),
            stopping: Vec::new(),
        };
        orders.iter().for_each(|order| actor.order(order));
        let mut found: Vec<_> =
            told.into_values().filter_map(|notice| actor.find(notice)).collect();
        for survivor in survivors {
            let (container, pid) = (survivor.container.clone(), survivor.pid);
            actor.follow(survivor.container, pid, Some(survivor.process), None);
            found.push(Found::Running { container, pid });
        }
        Ok((actor, found))
    }

    pub(super) fn notices(&self) -> Vec<String> {
        self.base.isolators.notices().to_vec()
    }

    pub(super) async fn run(mut self) {
        match self.serve().await {
            Outcome::Stopped => debug!("launcher ended"),
            // As after the agent's death: the launcher keeps its tasks for the recovery timeout.
            Outcome::Dropped => return,
            Outcome::Detached(done) => return self.detach(done).await,
            Outcome::Lost(why) => {
                error!(error = &why as &dyn std::error::Error, "no launcher any more");
                self.pending.push_back(ContainerEvent::LauncherLost);
            }
        }
        self.clean_up().await;
    }

    async fn serve(&mut self) -> Outcome {
        let stop_by = tokio::time::sleep(Duration::MAX);
        tokio::pin!(stop_by);
        let events = self.events.clone();
        loop {
            self.prepare_next();
            self.send_ready();
            let (was_stopping, open) = (self.is_stopping(), !events.is_closed());
            if was_stopping && self.launcher.is_none() && self.orphans.is_empty() {
                return Outcome::Stopped;
            }
            let read = self.pending.len() < PENDING_MAX || !open || was_stopping;
            tokio::select! {
                biased;
                permit = events.reserve(), if open && !self.pending.is_empty() => {
                    // An error says that nobody reads events any more: they have served their turn.
                    if let (Ok(permit), Some(event)) = (permit, self.pending.pop_front()) {
                        permit.send(event);
                    }
                }
                ask = self.asks.recv() => match ask {
                    Some(Ask::Launch(spec)) => self.launch(*spec),
                    Some(Ask::Kill { container, grace }) => self.kill(container, grace),
                    Some(Ask::Forget { container }) => self.forget(container),
                    Some(Ask::Detach { done }) => return Outcome::Detached(done),
                    Some(Ask::Stop { done }) => self.stop(done),
                    None => return Outcome::Dropped,
                },
                prepared = super::launching::finished(&mut self.preparing) => {
                    self.prepared(prepared);
                }
                ended = self.orphans.next() => self.orphan_ended(ended),
                turned = turn(&mut self.launcher, read, &mut self.outgoing) => {
                    let lost = match turned.and_then(|()| self.take_notices()) {
                        Ok(false) => None,
                        Ok(true) => Some(io::Error::other("it ended")),
                        Err(error) => Some(error),
                    };
                    if lost.is_some() && was_stopping {
                        // As asked; its last word may have been lost on the way.
                        self.launcher_ended().await;
                    } else if let Some(lost) = lost
                        && let Err(why) = self.relink(lost).await
                    {
                        return Outcome::Lost(why);
                    }
                }
                () = &mut stop_by => {
                    warn!("not all ended in time");
                    return Outcome::Stopped;
                }
            }
            if !open {
                self.pending.clear();
            }
            if !was_stopping && self.is_stopping() {
                let patience = self.base.config.stop_grace + STOP_PATIENCE;
                stop_by.as_mut().reset(tokio::time::Instant::now() + patience);
            }
        }
    }

    pub(super) fn is_stopping(&self) -> bool {
        !self.stopping.is_empty()
    }

    /// Queues an order to the launcher.
    pub(super) fn order(&mut self, order: &Order) {
        order.encode(&mut self.outgoing);
    }

    fn kill(&mut self, container: ContainerId, grace: Duration) {
        match self.containers.get_mut(&container) {
            None | Some(Stage::Abandoned) => {}
            Some(Stage::Waiting) => {
                self.waiting.retain(|spec| spec.container != container);
                self.fail_killed(container);
            }
            Some(Stage::Preparing { killed }) => *killed = true,
            Some(Stage::Ready) => {
                self.ready.retain(|(ready, _)| *ready != container);
                self.fail_killed(container);
            }
            Some(Stage::Sent { kill_at } | Stage::Running { kill_at, .. }) => {
                container::hasten(kill_at, grace);
                let (container, grace_ms) = (container.as_str().to_owned(), millis(grace));
                self.order(&Order::Kill { container, grace_ms });
            }
            Some(Stage::Orphan) => self.orphans.kill(&container, grace),
        }
    }

    fn forget(&mut self, container: ContainerId) {
        // An end that the launcher doesn't know of is none of its business.
        if self.unconfirmed.remove(&container) {
            self.order(&Order::Forget { container: container.as_str().to_owned() });
        }
    }

    fn stop(&mut self, done: oneshot::Sender<()>) {
        let first = !self.is_stopping();
        self.stopping.push(done);
        if !first {
            return;
        }
        let unsent = self.waiting.drain(..).map(|spec| spec.container);
        let unsent: Vec<_> = unsent.chain(self.ready.drain(..).map(|(name, _)| name)).collect();
        for container in unsent {
            self.fail(container, "the agent is stopping".to_owned());
        }
        let grace = self.base.config.stop_grace;
        self.orphans.kill_all(grace);
        self.order(&Order::End { grace_ms: millis(grace) });
    }

    async fn launcher_ended(&mut self) {
        let Some(launcher) = self.launcher.take() else { return };
        blocking(move || launcher.wait(STOP_PATIENCE)).await;
    }

    /// Tells the launcher what is still to be told, and lets go of it.
    async fn detach(mut self, done: oneshot::Sender<()>) {
        let told = async {
            while !self.outgoing.is_empty() {
                let launcher = self.launcher.as_mut();
                let Some(launcher) = launcher else { return };
                if launcher.turn(false, &mut self.outgoing).await.is_err() {
                    return;
                }
            }
        };
        if tokio::time::timeout(DETACH_PATIENCE, told).await.is_err() {
            warn!("the launcher did not take in all that it was told");
        }
        drop(self);
        let _ = done.send(());
    }

    /// After the loop: sees to it that nothing is left, hands out what was not read yet, and says so.
    async fn clean_up(self) {
        let Self { base, launcher, events, pending, stopping, mut asks, orphans, .. } = self;
        // Who is swept needs no following.
        drop(orphans);
        blocking(move || {
            if let Some(launcher) = launcher {
                launcher.wait(STOP_PATIENCE);
            }
            base.isolators.sweep(&base.marker());
        })
        .await;
        let hand_out = async {
            for event in pending {
                if events.send(event).await.is_err() {
                    break;
                }
            }
        };
        if stopping.is_empty() {
            hand_out.await;
        } else if tokio::time::timeout(READER_PATIENCE, hand_out).await.is_err() {
            // Who stops may have ceased to read.
            debug!("events were not read to the end");
        }
        for done in stopping {
            let _ = done.send(());
        }
        // Asked meanwhile.
        asks.close();
        while let Some(ask) = asks.recv().await {
            if let Ask::Stop { done } | Ask::Detach { done } = ask {
                let _ = done.send(());
            }
        }
    }
}

/// A turn of the launcher's stream; waits for ever while there is none.
async fn turn(launcher: &mut Option<Launcher>, read: bool, orders: &mut Vec<u8>) -> io::Result<()> {
    match launcher {
        Some(launcher) => launcher.turn(read, orders).await,
        None => std::future::pending().await,
    }
}

/// Does what blocks, aside.
async fn blocking(work: impl FnOnce() + Send + 'static) {
    if let Err(error) = tokio::task::spawn_blocking(work).await {
        error!(error = &error as &dyn std::error::Error, "could not clean up");
    }
}

pub(super) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
