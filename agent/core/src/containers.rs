//! What happens to containers, told as states of their tasks.

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
use crate::task::{Phase, TaskKey, TaskSpec, Why};
use crate::timers::Timer;

impl Agent {
    /// Takes in what happened to a container. One that isn't a live task's is none of ours.
    pub(crate) fn observe(
        &mut self,
        now: Now,
        container: &ContainerId,
        event: ContainerEvent,
        out: &mut Out,
    ) {
        let Some(key) = self.containers.get(container).cloned() else { return };
        match event {
            ContainerEvent::Started { pid } => self.started(now, &key, pid, out),
            ContainerEvent::LaunchFailed { message } => {
                self.launch_failed(now, &key, message, out);
            }
            ContainerEvent::Exited { exit, overrun } => {
                self.exited(now, &key, exit, overrun, out);
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

    fn started(&mut self, now: Now, key: &TaskKey, started: u32, out: &mut Out) {
        let Some(task) = self.tasks.get_mut(key) else { return };
        match &mut task.phase {
            Phase::Launching => {
                let complete_by = task.spec.max_completion.map(|limit| now.mono + limit);
                task.phase = Phase::Running { pid: started, complete_by };
                if let Some(by) = complete_by {
                    self.timers.set(by, Timer::Completion(key.clone()));
                }
                let running = Status::of_executor(TaskState::TaskRunning, now.wall);
                self.report(now, key, running, out);
            }
            // The kill overtook the start: it is said again, in case it found nothing to kill.
            Phase::Stopping { pid, kill_at, .. } => {
                *pid = Some(started);
                let grace = kill_at.since(now.mono);
                out.effect(Effect::Kill { container: task.container.clone(), grace });
            }
            // Doubled, or after the end: nothing to learn from it.
            Phase::Running { .. } | Phase::Ended => {}
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
            (Phase::Stopping { pid: None, .. }, None) => killed_during_launch(now),
            (Phase::Stopping { why: Why::Killed, .. }, None) => {
                Status::of_executor(TaskState::TaskKilled, now.wall).saying(exit.to_string())
            }
            (Phase::Stopping { why: Why::TooLong, .. }, None) => {
                Status::of_executor(TaskState::TaskFailed, now.wall)
                    .because(Reason::MaxCompletionTimeReached)
                    .saying(exit.to_string())
            }
            (Phase::Launching | Phase::Running { .. }, None) => by_itself(now, exit),
        };
        self.end(now, key, status, out);
    }
}

fn by_itself(now: Now, exit: Exit) -> Status {
    let finished = exit.is_success();
    let state = if finished { TaskState::TaskFinished } else { TaskState::TaskFailed };
    Status::of_executor(state, now.wall).saying(exit.to_string())
}

fn killed_during_launch(now: Now) -> Status {
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
