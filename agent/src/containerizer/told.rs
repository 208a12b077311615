//! What becomes of containers, as the launcher tells it.
//!
//! Each notice is a state: one that is known already changes nothing.

use std::{io, time::Duration};

use meros_proto::ids::ContainerId;
use tracing::{debug, info, warn};

use super::{
    actor::{Actor, millis},
    container::Stage,
    event::{ContainerEvent, Found, WaitStatus},
    held::Held,
    isolators::Verdict,
    orphans,
};
use crate::launcher::wire::{Notice, Order};

impl Actor {
    /// True when the launcher says that it has ended.
    pub(super) fn take_notices(&mut self) -> io::Result<bool> {
        loop {
            let Some(launcher) = &mut self.launcher else { return Ok(false) };
            let Some(notice) = launcher.next_notice()? else { return Ok(false) };
            if notice == Notice::Ended {
                return Ok(true);
            }
            self.take_notice(notice);
        }
    }

    pub(super) fn take_notice(&mut self, notice: Notice) {
        match notice {
            Notice::Hello(hello) => {
                info!(pid = hello.pid, version = hello.version, "launcher upgraded");
            }
            Notice::NotUpgraded { reason } => warn!(reason, "launcher not upgraded"),
            Notice::Started { container, pid, identity } => self.started(container, pid, identity),
            Notice::StartFailed { container, step, errno } => {
                self.start_failed(container, step, errno);
            }
            Notice::Exited { container, end, oom, reports } => {
                self.exited(container, end.into(), oom, &reports);
            }
            // In the list after the greeting, which is heard elsewhere.
            Notice::Starting { .. } | Notice::Listed | Notice::Ended => {}
        }
    }

    fn started(&mut self, container: String, pid: i32, identity: u64) {
        let Ok(container) = ContainerId::parse(&container) else { return };
        let Some(Stage::Sent { kill_at }) = self.containers.get(&container) else {
            debug!(%container, "started, as is known, or as nobody waits for");
            return;
        };
        let running = Stage::Running { pid, process: Held::open(pid, identity), kill_at: *kill_at };
        self.unanswered -= 1;
        self.containers.insert(container.clone(), running);
        self.pending.push_back(ContainerEvent::Started { container, pid });
    }

    fn start_failed(&mut self, container: String, step: String, errno: i32) {
        let Some(container) = self.over(&container) else { return };
        self.fail(container, failure_text(step, errno));
    }

    fn exited(&mut self, container: String, status: WaitStatus, oom: bool, reports: &[Vec<u8>]) {
        let Some(container) = self.over(&container) else { return };
        let Verdict { oom, mem_peak_bytes } = self.judge(status, oom, reports);
        self.pending.push_back(ContainerEvent::Exited { container, status, oom, mem_peak_bytes });
    }

    /// The container of an end, if that is news. The launcher keeps it until it is confirmed.
    fn over(&mut self, container: &str) -> Option<ContainerId> {
        let container = ContainerId::parse(container).ok()?;
        match self.containers.remove(&container) {
            Some(Stage::Sent { .. }) => self.unanswered -= 1,
            Some(Stage::Running { .. }) => {}
            Some(Stage::Abandoned) => {
                self.order(&Order::Forget { container: container.as_str().to_owned() });
                return None;
            }
            Some(other) => {
                warn!(%container, "the launcher tells the end of what it does not have");
                self.containers.insert(container, other);
                return None;
            }
            None if self.unconfirmed.contains(&container) => return None,
            // Confirmed, and the confirmation was lost with the stream.
            None => {
                self.order(&Order::Forget { container: container.as_str().to_owned() });
                return None;
            }
        }
        self.unconfirmed.insert(container.clone());
        Some(container)
    }

    fn judge(&self, status: WaitStatus, oom: bool, reports: &[Vec<u8>]) -> Verdict {
        let verdict = self.base.isolators.judge(status, reports);
        Verdict { oom: oom || verdict.oom, ..verdict }
    }

    /// Takes in what a launcher that was taken over has.
    pub(super) fn find(&mut self, notice: Notice) -> Option<Found> {
        match notice {
            Notice::Started { container, pid, identity } => {
                let container = ContainerId::parse(&container).ok()?;
                let process = Held::open(pid, identity);
                let stage = Stage::Running { pid, process, kill_at: None };
                self.containers.insert(container.clone(), stage);
                Some(Found::Running { container, pid })
            }
            Notice::Exited { container, end, oom, reports } => {
                let container = ContainerId::parse(&container).ok()?;
                self.unconfirmed.insert(container.clone());
                let status = WaitStatus::from(end);
                let Verdict { oom, mem_peak_bytes } = self.judge(status, oom, &reports);
                Some(Found::Exited { container, status, oom, mem_peak_bytes })
            }
            Notice::StartFailed { container, step, errno } => {
                let container = ContainerId::parse(&container).ok()?;
                self.unconfirmed.insert(container.clone());
                Some(Found::LaunchFailed { container, message: failure_text(step, errno) })
            }
            Notice::Starting { container } => {
                let container = ContainerId::parse(&container).ok()?;
                self.abandon(container.clone());
                let message = "its start was still not done when the agent came back".to_owned();
                Some(Found::LaunchFailed { container, message })
            }
            Notice::Hello(_) | Notice::Listed | Notice::Ended | Notice::NotUpgraded { .. } => None,
        }
    }

    /// Ends what the launcher has and nobody wants.
    pub(super) fn abandon(&mut self, container: ContainerId) {
        let name = container.as_str().to_owned();
        self.order(&Order::Kill { container: name, grace_ms: millis(Duration::ZERO) });
        self.containers.insert(container, Stage::Abandoned);
    }

    /// Follows a task that has no launcher.
    pub(super) fn follow(
        &mut self,
        container: ContainerId,
        pid: i32,
        process: Option<Held>,
        kill_at: Option<tokio::time::Instant>,
    ) {
        self.containers.insert(container.clone(), Stage::Orphan);
        self.orphans.follow(container, pid, process, kill_at);
    }

    pub(super) fn orphan_ended(&mut self, ended: orphans::Ended) {
        let orphans::Ended { container, status, reports } = ended;
        self.containers.remove(&container);
        let Verdict { oom, mem_peak_bytes } = self.judge(status, false, &reports);
        self.pending.push_back(ContainerEvent::Exited { container, status, oom, mem_peak_bytes });
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
