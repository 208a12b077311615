//! The launcher is lost: another takes its place, and what it had is compared with what we know.
//!
//! Mostly it died. Then the new one has nothing: what ran is followed without a launcher, what was
//! being started either runs after all or never will. Should only the stream have broken, the same
//! launcher answers again, and says what it has.

use std::{
    collections::{BTreeMap, HashSet},
    io,
    time::Duration,
};

use meros_proto::ids::ContainerId;
use tokio::time::Instant;
use tracing::{error, warn};

use super::{
    actor::{Actor, millis},
    adopt::Engaged,
    config::StartError,
    container::Stage,
    event::ContainerEvent,
    orphan::Orphan,
    survivors::{self, Survivor},
};
use crate::launcher::{
    client::Launcher,
    wire::{Notice, Order},
};

/// So many launchers may be lost within [`LOSSES_SPAN`].
const LOSSES_MAX: usize = 5;
const LOSSES_SPAN: Duration = Duration::from_secs(60);
/// How often another is tried for, and the first pause between two tries; it doubles.
const TRIES: u32 = 5;
const PAUSE: Duration = Duration::from_millis(200);
/// How long a start that is past the point of no return may take to be a program.
const EXEC_PATIENCE: Duration = Duration::from_millis(200);

impl Actor {
    /// Gets a launcher again.
    ///
    /// # Errors
    /// When none can be had, or each dies at once.
    pub(super) async fn relink(&mut self, lost: io::Error) -> Result<(), StartError> {
        warn!(error = &lost as &dyn std::error::Error, "launcher lost");
        let now = Instant::now();
        self.losses.retain(|at| now.duration_since(*at) < LOSSES_SPAN);
        self.losses.push_back(now);
        // What it was not told any more is found out by comparing.
        self.outgoing.clear();
        let mut old = self.launcher.take();
        let sought: HashSet<String> = self
            .containers
            .iter()
            .filter(|(_, stage)| matches!(stage, Stage::Sent { .. } | Stage::Abandoned))
            .map(|(container, _)| container.as_str().to_owned())
            .collect();
        let mut error = StartError::Greeting(format!("lost {LOSSES_MAX} times within a minute"));
        if self.losses.len() > LOSSES_MAX {
            // Ended with all the rest, should it live.
            self.launcher = old;
            return Err(error);
        }
        for tried in 0..TRIES {
            if tried > 0 {
                tokio::time::sleep(PAUSE * 2_u32.pow(tried)).await;
            }
            let (base, old, sought) = (self.base.clone(), old.take(), sought.clone());
            let engaged = tokio::task::spawn_blocking(move || {
                if let Some(old) = old {
                    old.close();
                }
                let engaged = base.engage()?;
                let is_missing =
                    |task: &str| sought.contains(task) && !engaged.told.contains_key(task);
                let found = if sought.iter().any(|task| is_missing(task)) {
                    std::thread::sleep(EXEC_PATIENCE);
                    survivors::find(&base.isolators, &base.marker(), is_missing)
                } else {
                    Vec::new()
                };
                Ok((engaged, found))
            });
            match engaged.await {
                Ok(Ok((engaged, found))) => return self.compare(engaged, found).await,
                Ok(Err(why)) => error = why,
                Err(why) => error = StartError::Greeting(why.to_string()),
            }
            error!(error = &error as &dyn std::error::Error, "could not get a launcher");
        }
        Err(error)
    }

    async fn compare(&mut self, engaged: Engaged, found: Vec<Survivor>) -> Result<(), StartError> {
        let Engaged { attached, mut told, orders } = engaged;
        let unanswered = |error: io::Error| StartError::Greeting(error.to_string());
        self.launcher = Some(Launcher::new(attached).map_err(unanswered)?);
        orders.iter().for_each(|order| self.order(order));
        let mut found: BTreeMap<ContainerId, Survivor> =
            found.into_iter().map(|survivor| (survivor.container.clone(), survivor)).collect();
        let mut never_started = Vec::new();
        let containers: Vec<ContainerId> = self.containers.keys().cloned().collect();
        for container in containers {
            let told = told.remove(container.as_str());
            match (self.containers.get(&container), told) {
                (Some(Stage::Abandoned), Some(notice)) => {
                    self.abandon(container);
                    self.take_notice(notice);
                }
                (Some(Stage::Abandoned), None) => {
                    self.containers.remove(&container);
                    never_started.push((container.clone(), found.remove(&container)));
                }
                (Some(Stage::Sent { kill_at }), None) => {
                    let kill_at = *kill_at;
                    self.unanswered -= 1;
                    match found.remove(&container) {
                        Some(Survivor { pid, process, .. }) => {
                            let event =
                                ContainerEvent::Started { container: container.clone(), pid };
                            self.pending.push_back(event);
                            self.follow(container, pid, Some(process), kill_at);
                        }
                        None => {
                            never_started.push((container.clone(), None));
                            self.fail(
                                container,
                                "the launcher was lost before it started".to_owned(),
                            );
                        }
                    }
                }
                (Some(Stage::Running { .. }), None) => self.orphan(container),
                (Some(Stage::Sent { kill_at } | Stage::Running { kill_at, .. }), Some(notice)) => {
                    let kill_at = *kill_at;
                    self.take_notice(notice);
                    self.kill_again(&container, kill_at);
                }
                // Nothing of the launcher's.
                _ => {}
            }
        }
        for notice in told.into_values() {
            self.unknown(notice);
        }
        self.clear(never_started).await;
        Ok(())
    }

    /// A running task whose launcher is no more.
    fn orphan(&mut self, container: ContainerId) {
        if let Some(Stage::Running { pid, process, kill_at }) = self.containers.remove(&container) {
            self.follow(container, pid, process, kill_at);
        }
    }

    fn kill_again(&mut self, container: &ContainerId, kill_at: Option<Instant>) {
        if let Some(at) = kill_at
            && self.containers.contains_key(container)
        {
            let grace_ms = millis(at.saturating_duration_since(Instant::now()));
            self.order(&Order::Kill { container: container.as_str().to_owned(), grace_ms });
        }
    }

    /// What the launcher has and we don't: an end that was confirmed, or nothing that should be.
    fn unknown(&mut self, notice: Notice) {
        match &notice {
            Notice::Started { container, .. } | Notice::Starting { container } => {
                if let Ok(container) = ContainerId::parse(container) {
                    self.abandon(container);
                }
            }
            _ => self.take_notice(notice),
        }
    }

    /// Removes what starts that came to nothing left behind.
    async fn clear(&mut self, never_started: Vec<(ContainerId, Option<Survivor>)>) {
        if never_started.is_empty() {
            return;
        }
        let base = self.base.clone();
        let cleared = tokio::task::spawn_blocking(move || {
            for (container, survivor) in never_started {
                let (pid, process) = survivor.map_or((0, None), |s| (s.pid, Some(s.process)));
                Orphan::new(container, pid, process, &base.isolators, &base.mark).clear();
            }
        });
        if let Err(error) = cleared.await {
            error!(error = &error as &dyn std::error::Error, "could not clear up after starts");
        }
    }
}
