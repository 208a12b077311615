//! What happens to containers, told as states of their tasks.

use std::time::Duration;

use meros_proto::ids::ContainerId;
use meros_proto::resources::Name;
use meros_proto::time::Now;
use meros_proto::v1::TaskState;
use meros_proto::v1::task_status::Reason;

use crate::dispatch::{Agent, Out};
use crate::effect::Effect;
use crate::exit::Exit;
use crate::input::{ContainerEvent, Overrun};
use crate::status::Status;
use crate::stop::Leaving;
use crate::task::{Phase, Stop, TaskKey, TaskSpec, Why, passed};
use crate::timers::Timer;

impl Agent {
    /// Takes in what happened to a container.
    ///
    /// Its end is kept by the launcher until it is forgotten here, and may be told more than once.
    pub(crate) fn observe(
        &mut self,
        now: Now,
        container: &ContainerId,
        event: ContainerEvent,
        out: &mut Out,
    ) {
        match (self.containers.get(container).cloned(), event) {
            (Some(key), ContainerEvent::Started { pid }) => self.started(now, &key, pid, out),
            // Its task was given up before it began.
            (None, ContainerEvent::Started { .. }) => {
                out.effect(Effect::Kill { container: container.clone(), grace: Duration::ZERO });
            }
            (known, ContainerEvent::LaunchFailed { message }) => {
                known.iter().for_each(|key| self.launch_failed(now, key, message.clone(), out));
                out.effect(Effect::Forget(container.clone()));
            }
            (known, ContainerEvent::Exited { exit, overrun }) => {
                known.iter().for_each(|key| self.exited(now, key, exit, overrun, out));
                out.effect(Effect::Forget(container.clone()));
            }
        }
    }

    /// Nothing can be started or watched any more: what ran is as good as ended, and so is the
    /// agent. A new one begins with a new launcher.
    pub(crate) fn launcher_lost(&mut self, now: Now, reason: String, out: &mut Out) {
        let live: Vec<TaskKey> = self.containers.values().cloned().collect();
        for key in live {
            let failed = TaskState::TaskFailed;
            let status = Status::of_agent(failed, Reason::ExecutorTerminated, now.wall)
                .saying(format!("The agent's launcher is gone: {reason}"));
            self.end(now, &key, status, out);
        }
        let reason = format!("the launcher process is gone: {reason}");
        self.leave(now, Leaving::after_error(reason), out);
    }

    /// A container runs: since now, or since an earlier life of the agent.
    fn started(&mut self, now: Now, key: &TaskKey, started: u32, out: &mut Out) {
        let Some(task) = self.tasks.get_mut(key) else { return };
        match &mut task.phase {
            Phase::Launching => {
                let since = task.updates.running_since();
                let gone = since.map_or(Duration::ZERO, |since| passed(since, now));
                let limit = task.spec.max_completion;
                let complete_by = limit.map(|limit| now.mono + limit.saturating_sub(gone));
                task.phase = Phase::Running { pid: started, complete_by };
                if let Some(by) = complete_by {
                    self.timers.set(by, Timer::Completion(key.clone()));
                }
                self.ran(now, key, out);
                self.begin_checks(now, key);
            }
            // The kill overtook the start, or is as old as the agent's earlier life: it is said
            // again, in case it found nothing to kill.
            Phase::Stopping { pid, kill_at, .. } => {
                *pid = Some(started);
                let grace = kill_at.since(now.mono);
                out.effect(Effect::Kill { container: task.container.clone(), grace });
                self.announce_kill(now, key, out);
            }
            // Doubled, or after the end: nothing to learn from it.
            Phase::Running { .. } | Phase::Ended => {}
        }
    }

    /// Says that a task runs or ran, unless it was said or its end is asked for already.
    pub(crate) fn ran(&mut self, now: Now, key: &TaskKey, out: &mut Out) {
        let Some(task) = self.tasks.get_mut(key) else { return };
        if let Phase::Stopping { .. } | Phase::Ended = task.phase {
            return;
        }
        if !task.updates.has_said(TaskState::TaskRunning) {
            let running = Status::of_executor(TaskState::TaskRunning, now.wall);
            self.report(now, key, running, out);
        }
    }

    fn launch_failed(&mut self, now: Now, key: &TaskKey, message: String, out: &mut Out) {
        let Some(task) = self.tasks.get(key) else { return };
        let status = if matches!(task.phase, Phase::Stopping { .. }) {
            killed_during_launch(now)
        } else {
            Status::of_agent(TaskState::TaskFailed, Reason::ContainerLaunchFailed, now.wall)
                .saying(format!("Failed to launch container: {message}"))
        };
        self.end(now, key, status, out);
    }

    fn exited(
        &mut self,
        now: Now,
        key: &TaskKey,
        exit: Exit,
        overrun: Option<Overrun>,
        out: &mut Out,
    ) {
        let Some(task) = self.tasks.get(key) else { return };
        let status = match (task.phase, overrun) {
            (Phase::Ended, _) => return,
            (_, Some(overrun)) => over_the_limit(now, &task.spec, overrun),
            (Phase::Stopping { .. }, None) if !task.has_run() => killed_during_launch(now),
            (Phase::Stopping { stop: Stop { why: Why::Killed, .. }, .. }, None) => {
                Status::of_executor(TaskState::TaskKilled, now.wall).saying(exit.to_string())
            }
            (Phase::Stopping { stop: Stop { why: Why::TooLong, .. }, .. }, None) => {
                Status::of_executor(TaskState::TaskFailed, now.wall)
                    .because(Reason::MaxCompletionTimeReached)
                    .saying(exit.to_string())
            }
            (Phase::Stopping { stop: Stop { why: Why::Unhealthy, .. }, .. }, None) => {
                let killed = Status::of_executor(TaskState::TaskKilled, now.wall);
                Status { healthy: Some(false), ..killed.saying(exit.to_string()) }
            }
            (Phase::Launching | Phase::Running { .. }, None) => by_itself(now, exit),
        };
        self.end(now, key, status, out);
    }
}

fn by_itself(now: Now, exit: Exit) -> Status {
    if exit == Exit::Unknown {
        let (failed, reason) = (TaskState::TaskFailed, Reason::ExecutorTerminated);
        return Status::of_agent(failed, reason, now.wall).saying(exit.to_string());
    }
    let finished = exit.is_success();
    let state = if finished { TaskState::TaskFinished } else { TaskState::TaskFailed };
    Status::of_executor(state, now.wall).saying(exit.to_string())
}

pub(crate) fn killed_during_launch(now: Now) -> Status {
    let killed = TaskState::TaskKilled;
    Status::of_agent(killed, Reason::TaskKilledDuringLaunch, now.wall)
        .saying("Task was killed before it was launched")
}

fn over_the_limit(now: Now, spec: &TaskSpec, overrun: Overrun) -> Status {
    let Overrun::Memory { peak_bytes } = overrun;
    let asked = spec.resources.named(&Name::Mem);
    let requested = asked.mem();
    let message = match peak_bytes {
        Some(peak) => format!(
            "Memory limit exceeded: Requested: {requested}MB Maximum Used: {}MB",
            peak.div_ceil(1 << 20)
        ),
        None => format!("Memory limit exceeded: Requested: {requested}MB"),
    };
    let reason = Reason::ContainerLimitationMemory;
    let status = Status::of_agent(TaskState::TaskFailed, reason, now.wall).saying(message);
    Status { limitation: Some(asked), ..status }
}
