//! The task behind a [`Containerizer`](super::Containerizer): owns the state of every container.
//!
//! ```text
//! Waiting ──▶ Preparing ──▶ Ready ──▶ Sent ──Started──▶ Running ──Exited──▶ forgotten
//!    └───────────┴────────────┴─────────┴── LaunchFailed ──▶ forgotten
//! ```
//!
//! What may block (the sandbox, the user) is prepared aside, a batch at a time. At most
//! [`WINDOW`] starts are at the launcher unanswered, so that a kill never waits behind a thousand of
//! them, and the launcher stays small.

use std::{
    collections::{HashMap, VecDeque},
    io,
    sync::Arc,
    time::Duration,
};

use meros_proto::ids::ContainerId;
use tokio::{
    sync::{mpsc, oneshot},
    task::JoinHandle,
};
use tracing::{debug, error, info, warn};

use super::{
    config::{ContainerizerConfig, StartError},
    event::{ContainerEvent, WaitStatus},
    handle::LaunchSpec,
    isolators::Isolators,
    plain,
    prepare::{self, Prepared},
};
use crate::launcher::{
    client::{self, Launcher},
    wire::{End, Notice, Order, Start},
};

/// So many starts may be at the launcher unanswered.
const WINDOW: usize = 128;
/// So many launches are prepared at a time.
const BATCH: usize = 64;
/// With so many events unread the launcher's are left in its socket.
const PENDING_MAX: usize = 1024;
/// How long the launcher may take to end beyond the grace of its tasks.
const STOP_PATIENCE: Duration = Duration::from_secs(15);
/// How long the reader of events is waited for once everything ended.
const READER_PATIENCE: Duration = Duration::from_secs(1);

/// What a [`Containerizer`](super::Containerizer) is asked.
#[derive(Debug)]
pub(super) enum Ask {
    Launch(Box<LaunchSpec>),
    Kill { container: ContainerId, grace: Duration },
    Stop { done: oneshot::Sender<()> },
}

/// Where a container is on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Waiting,
    Preparing { killed: bool },
    Ready,
    Sent,
    Running,
}

#[derive(Debug)]
pub(super) struct Actor {
    config: ContainerizerConfig,
    isolators: Arc<Isolators>,
    /// How the mark of this agent's tasks begins: `<instance>/`.
    mark: Arc<str>,
    launcher: Launcher,
    asks: mpsc::UnboundedReceiver<Ask>,
    events: mpsc::Sender<ContainerEvent>,
    containers: HashMap<ContainerId, Stage>,
    waiting: VecDeque<LaunchSpec>,
    preparing: Option<JoinHandle<Vec<Prepared>>>,
    ready: VecDeque<(ContainerId, Start)>,
    /// How many are `Sent`.
    unanswered: usize,
    /// Encoded orders.
    outgoing: Vec<u8>,
    pending: VecDeque<ContainerEvent>,
    /// Who waits for the end; asked for once there is one.
    stopping: Vec<oneshot::Sender<()>>,
}

/// Why the actor's loop ended.
enum Outcome {
    /// Everything ended, as asked.
    Stopped,
    /// The launcher is gone, or can't be understood.
    Lost(io::Error),
    /// Nobody can ask anything any more.
    Dropped,
}

impl Actor {
    pub(super) async fn start(
        config: ContainerizerConfig,
        asks: mpsc::UnboundedReceiver<Ask>,
        events: mpsc::Sender<ContainerEvent>,
    ) -> Result<Self, StartError> {
        let blocking = move || {
            let config = prepare::absolute(config)?;
            let instance = prepare::instance_name(&config)?;
            let mark: Arc<str> = format!("{instance}/").into();
            let swept = format!("{}={mark}", plain::MARK);
            let detect = || Isolators::detect(instance.clone(), config.cgroups, config.cfs_quota);
            client::end_previous(&config.work_dir)?;
            detect().sweep(swept.as_bytes());
            // Again: the sweep took the instance's own groups with it.
            let isolators = detect();
            let greeted = client::start(&config, &instance, isolators.mounts())
                .inspect_err(|_| isolators.sweep(swept.as_bytes()))?;
            Ok((config, Arc::new(isolators), mark, greeted))
        };
        let started = tokio::task::spawn_blocking(blocking).await;
        let (config, isolators, mark, greeted) =
            started.map_err(|error| StartError::Greeting(error.to_string()))??;
        let launcher =
            Launcher::new(greeted).map_err(|error| StartError::Greeting(error.to_string()))?;
        info!(pid = launcher.pid(), "launcher started");
        Ok(Self {
            config,
            isolators,
            mark,
            launcher,
            asks,
            events,
            containers: HashMap::new(),
            waiting: VecDeque::new(),
            preparing: None,
            ready: VecDeque::new(),
            unanswered: 0,
            outgoing: Vec::new(),
            pending: VecDeque::new(),
            stopping: Vec::new(),
        })
    }

    pub(super) fn notices(&self) -> Vec<String> {
        self.isolators.notices().to_vec()
    }

    pub(super) async fn run(mut self) {
        let outcome = self.serve().await;
        match &outcome {
            Outcome::Stopped => debug!("launcher ended"),
            // As after the agent's death: the launcher keeps its tasks for the recovery timeout.
            Outcome::Dropped => return,
            Outcome::Lost(lost) => {
                error!(error = lost as &dyn std::error::Error, "launcher lost");
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
            let batch = self.next_batch();
            if let Some(batch) = batch {
                let (isolators, mark) = (Arc::clone(&self.isolators), Arc::clone(&self.mark));
                let deadline = self.config.start_deadline;
                self.preparing = Some(tokio::task::spawn_blocking(move || {
                    prepare::all(batch, &isolators, &mark, deadline)
                }));
            }
            self.send_ready();
            let (was_stopping, open) = (self.is_stopping(), !events.is_closed());
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
                    Some(ask) => self.take(ask),
                    None => return Outcome::Dropped,
                },
                prepared = finished(&mut self.preparing) => self.prepared(prepared),
                turned = self.launcher.turn(read, &mut self.outgoing) => {
                    match turned.and_then(|()| self.take_notices()) {
                        Ok(false) => {}
                        Ok(true) => return Outcome::Stopped,
                        // Its last word may have been lost on the way.
                        Err(_) if was_stopping => return Outcome::Stopped,
                        Err(error) => return Outcome::Lost(error),
                    }
                }
                () = &mut stop_by => {
                    warn!("the launcher did not end in time");
                    return Outcome::Stopped;
                }
            }
            if !open {
                self.pending.clear();
            }
            if !was_stopping && self.is_stopping() {
                let patience = self.config.stop_grace + STOP_PATIENCE;
                stop_by.as_mut().reset(tokio::time::Instant::now() + patience);
            }
        }
    }

    fn is_stopping(&self) -> bool {
        !self.stopping.is_empty()
    }

    fn take(&mut self, ask: Ask) {
        match ask {
            Ask::Launch(spec) => self.launch(*spec),
            Ask::Kill { container, grace } => self.kill(container, grace),
            Ask::Stop { done } => self.stop(done),
        }
    }

    fn launch(&mut self, spec: LaunchSpec) {
        if self.is_stopping() {
            self.fail(spec.container, "the agent is stopping".to_owned());
            return;
        }
        if self.containers.contains_key(&spec.container) {
            // Answered already, or about to be: a second answer would be taken for the first's.
            error!(container = %spec.container, "launched twice");
            return;
        }
        self.containers.insert(spec.container.clone(), Stage::Waiting);
        self.waiting.push_back(spec);
    }

    fn next_batch(&mut self) -> Option<Vec<LaunchSpec>> {
        if self.preparing.is_some() || self.waiting.is_empty() || self.ready.len() >= WINDOW {
            return None;
        }
        let batch: Vec<_> = self.waiting.drain(..self.waiting.len().min(BATCH)).collect();
        for spec in &batch {
            self.containers.insert(spec.container.clone(), Stage::Preparing { killed: false });
        }
        Some(batch)
    }

    fn prepared(&mut self, batch: Vec<Prepared>) {
        self.preparing = None;
        for Prepared { container, start } in batch {
            let killed =
                self.containers.get(&container) == Some(&Stage::Preparing { killed: true });
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

    fn send_ready(&mut self) {
        while self.unanswered < WINDOW
            && let Some((container, start)) = self.ready.pop_front()
        {
            Order::Start(Box::new(start)).encode(&mut self.outgoing);
            self.containers.insert(container, Stage::Sent);
            self.unanswered += 1;
        }
    }

    fn kill(&mut self, container: ContainerId, grace: Duration) {
        match self.containers.get_mut(&container) {
            None => {}
            Some(Stage::Waiting) => {
                self.waiting.retain(|spec| spec.container != container);
                self.fail_killed(container);
            }
            Some(Stage::Preparing { killed }) => *killed = true,
            Some(Stage::Ready) => {
                self.ready.retain(|(ready, _)| *ready != container);
                self.fail_killed(container);
            }
            Some(Stage::Sent | Stage::Running) => {
                let grace_ms = millis(grace);
                let container = container.as_str().to_owned();
                Order::Kill { container, grace_ms }.encode(&mut self.outgoing);
            }
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
        Order::End { grace_ms: millis(self.config.stop_grace) }.encode(&mut self.outgoing);
    }

    /// True when the launcher says that it has ended.
    fn take_notices(&mut self) -> io::Result<bool> {
        while let Some(notice) = self.launcher.next_notice()? {
            match notice {
                Notice::Hello(_) => {}
                Notice::Started { container, pid } => self.started(container, pid),
                Notice::StartFailed { container, step, errno } => {
                    self.start_failed(container, step, errno);
                }
                Notice::Exited { container, end, oom, reports } => {
                    self.exited(container, end, oom, &reports);
                }
                Notice::Ended => return Ok(true),
            }
        }
        Ok(false)
    }

    fn started(&mut self, container: String, pid: i32) {
        let Some(container) = self.answered(container) else { return };
        self.containers.insert(container.clone(), Stage::Running);
        self.pending.push_back(ContainerEvent::Started { container, pid });
    }

    fn start_failed(&mut self, container: String, step: String, errno: i32) {
        let Some(container) = self.answered(container) else { return };
        self.fail(container, failure_text(step, errno));
    }

    /// The container of a start that was answered, if it was awaited.
    fn answered(&mut self, container: String) -> Option<ContainerId> {
        let container = ContainerId::parse(&container).ok()?;
        if self.containers.get(&container) != Some(&Stage::Sent) {
            warn!(%container, "the launcher answered a start that it was not asked for");
            return None;
        }
        self.unanswered -= 1;
        Some(container)
    }

    fn exited(&mut self, container: String, end: End, oom: bool, reports: &[Vec<u8>]) {
        let Ok(container) = ContainerId::parse(&container) else { return };
        if self.containers.remove(&container).is_none() {
            warn!(%container, "the launcher reported the end of an unknown container");
            return;
        }
        let status = match end {
            End::Exit(status) => WaitStatus::Exited(status.into()),
            End::Signal(signal) => WaitStatus::Signaled(signal.into()),
        };
        let verdict = self.isolators.judge(status, reports);
        self.pending.push_back(ContainerEvent::Exited {
            container,
            status,
            oom: oom || verdict.oom,
            mem_peak_bytes: verdict.mem_peak_bytes,
        });
    }

    fn fail(&mut self, container: ContainerId, message: String) {
        self.containers.remove(&container);
        self.pending.push_back(ContainerEvent::LaunchFailed { container, message });
    }

    fn fail_killed(&mut self, container: ContainerId) {
        self.fail(container, "killed before it was started".to_owned());
    }

    /// After the loop: sees to it that nothing is left, hands out what was not read yet, and says so.
    async fn clean_up(self) {
        let Self { launcher, isolators, mark, events, pending, stopping, mut asks, .. } = self;
        let ended = tokio::task::spawn_blocking(move || {
            launcher.wait(STOP_PATIENCE);
            isolators.sweep(format!("{}={mark}", plain::MARK).as_bytes());
        });
        if let Err(error) = ended.await {
            error!(error = &error as &dyn std::error::Error, "could not clean up");
        }
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
            if let Ask::Stop { done } = ask {
                let _ = done.send(());
            }
        }
    }
}

/// The result of a batch; waits for ever while there is none.
async fn finished(preparing: &mut Option<JoinHandle<Vec<Prepared>>>) -> Vec<Prepared> {
    match preparing {
        Some(handle) => handle.await.unwrap_or_else(|error| {
            // The containers of the batch stay unanswered: as good a state as a panic leaves.
            error!(error = &error as &dyn std::error::Error, "could not prepare containers");
            Vec::new()
        }),
        None => std::future::pending().await,
    }
}

/// `exec /nope: No such file or directory`, as people know it from their shells.
fn failure_text(step: String, errno: i32) -> String {
    if errno == 0 {
        return step;
    }
    let text = io::Error::from_raw_os_error(errno).to_string();
    let text = text.split_once(" (os error").map_or(text.as_str(), |(text, _)| text);
    format!("{step}: {text}")
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_says_what_was_tried_and_why_it_failed() {
        for (step, errno, text) in [
            ("exec /nope", 2, "exec /nope: No such file or directory"),
            ("exec /x", 13, "exec /x: Permission denied"),
            ("killed before it was started", 0, "killed before it was started"),
        ] {
            assert_eq!(failure_text(step.to_owned(), errno), text);
        }
    }
}
