//! What outlived the agent's earlier life is taken up again, and what did not is said to be lost.
//!
//! Once, at [`Input::Start`](crate::Input::Start). For each task that the log leaves live:
//!
//! | its container | becomes |
//! | --- | --- |
//! | runs | a running task, its deadline going on; killed again if that was asked for |
//! | ended | that end, as if it were seen now |
//! | is gone, nothing was said of the task | DROPPED or LOST: it was never started |
//! | is gone | FAILED, as when an executor ends under its tasks |
//! | is gone, and the host was rebooted | GONE or LOST |

use std::collections::BTreeSet;

use meros_proto::ids::ContainerId;
use meros_proto::time::Now;
use meros_proto::v1::TaskState;
use meros_proto::v1::task_status::Reason;

use crate::containers::killed_during_launch;
use crate::dispatch::{Agent, Out, info, warn};
use crate::effect::Effect;
use crate::input::{ContainerEvent, Found};
use crate::record::Record;
use crate::run::dropped_or_lost;
use crate::status::Status;
use crate::task::{Phase, TaskKey, Why};

impl Agent {
    /// Takes up what is left of an earlier life, and reports what isn't.
    pub(crate) fn start(
        &mut self,
        now: Now,
        boot_id: String,
        found: Vec<(ContainerId, Found)>,
        out: &mut Out,
    ) {
        let rebooted = self.boot(boot_id, out);
        let live: Vec<(TaskKey, ContainerId)> = self
            .tasks
            .iter()
            .filter(|(_, task)| task.is_live())
            .map(|(key, task)| (key.clone(), task.container.clone()))
            .collect();
        for (key, container) in &live {
            self.containers.insert(container.clone(), key.clone());
            self.go_on_stopping(now, key, out);
        }
        let mut seen = BTreeSet::new();
        for (container, found) in found {
            match self.containers.get(&container).cloned() {
                Some(key) => self.take_up(now, &key, &container, found, out),
                None => self.disown(container.clone(), found, out),
            }
            seen.insert(container);
        }
        let lost = live.iter().filter(|(_, container)| !seen.contains(container));
        for (key, _) in lost {
            let status = self.status_of_lost(now, key, rebooted);
            self.end(now, key, status, out);
        }
        if !live.is_empty() {
            let (left, running) = (live.len(), self.containers.len());
            info(out, format!("recovered {left} tasks, of which {running} run"));
        }
    }

    /// Writes down which boot this is; whether it is another than before.
    fn boot(&mut self, boot_id: String, out: &mut Out) -> bool {
        if self.boot_id.as_ref() == Some(&boot_id) {
            return false;
        }
        out.persist(Record::Booted(boot_id.clone()));
        self.boot_id.replace(boot_id).is_some()
    }

    /// A kill that was asked for is asked for again once its container is found: by the wall clock,
    /// since no other goes on between two lives.
    fn go_on_stopping(&mut self, now: Now, key: &TaskKey, out: &mut Out) {
        let Some(task) = self.tasks.get_mut(key) else { return };
        if let Phase::Stopping { stop, since, kill_at, .. } = &mut task.phase {
            let left = stop.left(now);
            *since = now.mono - stop.grace.saturating_sub(left);
            *kill_at = now.mono + left;
        } else if task.silent {
            // The framework's removal was the last that reached the disk.
            self.stop_task(now, key, Why::Killed, self.config.shutdown_grace, out);
        }
    }

    fn take_up(
        &mut self,
        now: Now,
        key: &TaskKey,
        container: &ContainerId,
        found: Found,
        out: &mut Out,
    ) {
        match found {
            Found::Running { pid } => {
                self.observe(now, container, ContainerEvent::Started { pid }, out);
            }
            Found::LaunchFailed { message } => {
                self.observe(now, container, ContainerEvent::LaunchFailed { message }, out);
            }
            Found::Exited { exit, overrun } => {
                self.ran(now, key, out);
                self.observe(now, container, ContainerEvent::Exited { exit, overrun }, out);
            }
        }
    }

    /// A container of no task: its end was recorded in the earlier life, or this work directory has
    /// lost its log.
    fn disown(&mut self, container: ContainerId, found: Found, out: &mut Out) {
        match found {
            Found::Running { pid } => {
                warn(out, format!("container {container} (pid {pid}) is no task's; ending it"));
                out.effect(Effect::Kill { container, grace: self.config.shutdown_grace });
            }
            Found::Exited { .. } | Found::LaunchFailed { .. } => {
                out.effect(Effect::Forget(container));
            }
        }
    }

    fn status_of_lost(&self, now: Now, key: &TaskKey, rebooted: bool) -> Status {
        let framework = self.frameworks.get(&key.framework);
        let aware = framework.is_some_and(|framework| framework.partition_aware);
        let task = self.tasks.get(key);
        let ran = task.is_some_and(|task| task.updates.has_said(TaskState::TaskRunning));
        let killed = task.is_some_and(
            |task| matches!(task.phase, Phase::Stopping { stop, .. } if stop.why == Why::Killed),
        );
        if killed && !ran {
            return killed_during_launch(now);
        }
        if task.is_none_or(|task| task.updates.said().is_empty()) {
            // Its start waits for the record of TASK_STARTING.
            return Status::of_agent(dropped_or_lost(aware), Reason::AgentRestarted, now.wall)
                .saying("The agent restarted before it launched the task");
        }
        let (state, message) = match (rebooted, aware) {
            (false, _) => (TaskState::TaskFailed, "The task was gone when the agent restarted"),
            (true, true) => (TaskState::TaskGone, "The host was rebooted under the task"),
            (true, false) => (TaskState::TaskLost, "The host was rebooted under the task"),
        };
        Status::of_agent(state, Reason::ExecutorTerminated, now.wall).saying(message)
    }
}
