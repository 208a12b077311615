//! A task is to end before it wants to.
//!
//! SIGTERM to the whole tree, SIGKILL after the grace: both are the containerizer's. Here is who may
//! ask, how long the grace is, and what is reported. Each request is on record before it is passed
//! on, so that an agent that crashes meanwhile asks again.

use std::sync::Arc;
use std::time::Duration;

use meros_proto::ids::FrameworkId;
use meros_proto::time::Now;
use meros_proto::v1::TaskState;
use meros_proto::v1::task_status::Reason;

use crate::dispatch::{Agent, Out, info, warn};
use crate::effect::Effect;
use crate::record::Record;
use crate::run::dropped_or_lost;
use crate::status::Status;
use crate::task::{Phase, Stop, Task, TaskKey, TaskSpec, Why};

impl Agent {
    /// The framework wants a task ended. `grace` takes the place of the task's own.
    pub(crate) fn kill(&mut self, now: Now, key: &TaskKey, grace: Option<Duration>, out: &mut Out) {
        match self.tasks.get(key) {
            Some(task) => {
                let grace = grace.unwrap_or(task.spec.kill_grace);
                self.stop_task(now, key, Why::Killed, grace, out);
            }
            // Its end was heard: the kill crossed it.
            None if self.completed.iter().any(|task| task.spec.key == *key) => {}
            None => self.answer_kill_of_unknown(now, key, out),
        }
    }

    /// The framework is gone: ends its tasks and forgets what is owed to it.
    pub(crate) fn shut_down_framework(&mut self, now: Now, id: FrameworkId, out: &mut Out) {
        let keys: Vec<TaskKey> = self.tasks_of(&id).cloned().collect();
        if keys.is_empty() {
            return;
        }
        info(out, format!("framework {id} is removed; ending its {} tasks", keys.len()));
        if self.tasks_on_record(&id) {
            out.persist(Record::FrameworkRemoved(id));
        }
        for key in keys {
            let Some(task) = self.tasks.get_mut(&key) else { continue };
            task.silent = true;
            task.updates.pause();
            if task.is_live() {
                self.stop_task(now, &key, Why::Killed, self.config.shutdown_grace, out);
            } else {
                self.retire(&key);
            }
        }
    }

    /// A task has used up the time it was given.
    pub(crate) fn ran_too_long(&mut self, now: Now, key: &TaskKey, out: &mut Out) {
        let Some(task) = self.tasks.get(key) else { return };
        // A task of the same name may have taken its place: look at its own deadline.
        if let Phase::Running { complete_by: Some(by), .. } = task.phase
            && by <= now.mono
        {
            // Without grace, as the command executor does it.
            self.stop_task(now, key, Why::TooLong, Duration::ZERO, out);
        }
    }

    /// Asks for the end of a task's container, or for a sooner one.
    pub(crate) fn stop_task(
        &mut self,
        now: Now,
        key: &TaskKey,
        why: Why,
        grace: Duration,
        out: &mut Out,
    ) {
        let Some(task) = self.tasks.get_mut(key) else { return };
        let Some((stop, left)) = task.stop_within(now, why, grace) else { return };
        self.watches.remove(key);
        out.persist(Record::Stopping { task: key.clone(), stop });
        out.effect(Effect::Kill { container: task.container.clone(), grace: left });
        self.announce_kill(now, key, out);
    }

    /// Tells a framework that wants to know it that the end of a running task has begun.
    pub(crate) fn announce_kill(&mut self, now: Now, key: &TaskKey, out: &mut Out) {
        let Some(task) = self.tasks.get(key) else { return };
        let announced = task.updates.has_said(TaskState::TaskKilling);
        let wants_killing =
            self.frameworks.get(&key.framework).is_some_and(|framework| framework.killing_state);
        if task.updates.has_said(TaskState::TaskRunning) && wants_killing && !announced {
            let killing = Status::of_executor(TaskState::TaskKilling, now.wall);
            self.report(now, key, killing, out);
        }
    }

    pub(crate) fn tasks_of(&self, id: &FrameworkId) -> impl Iterator<Item = &TaskKey> {
        self.tasks.keys().filter(move |key| key.framework == *id)
    }

    /// Whether the log holds a task of this framework, and the framework with it.
    pub(crate) fn tasks_on_record(&self, id: &FrameworkId) -> bool {
        self.tasks.iter().any(|(key, task)| task.recorded && key.framework == *id)
    }

    /// A framework that has tasks here is told that this one never came; of others nothing is known.
    fn answer_kill_of_unknown(&mut self, now: Now, key: &TaskKey, out: &mut Out) {
        let Some(framework) = self.frameworks.get(&key.framework) else {
            return warn(out, format!("asked to kill the unknown task {key}"));
        };
        let framework = (**framework).clone();
        let state = dropped_or_lost(framework.partition_aware);
        self.remember_framework(framework, out);
        self.accept(Arc::new(TaskSpec::unknown(key.clone())), out);
        let status = Status::of_agent(state, Reason::ExecutorTerminated, now.wall);
        self.end(now, key, status.saying("Cannot find executor"), out);
    }
}

impl Task {
    /// Moves to `Stopping`, or brings its end nearer; what is to be recorded and the grace that is
    /// left, or `None` when there is nothing to ask for.
    fn stop_within(&mut self, now: Now, why: Why, grace: Duration) -> Option<(Stop, Duration)> {
        let pid = self.pid();
        match &mut self.phase {
            Phase::Launching | Phase::Running { .. } => {
                let stop = Stop { why, since: now.wall, grace };
                let (since, kill_at) = (now.mono, now.mono + grace);
                self.phase = Phase::Stopping { stop, pid, since, kill_at };
                Some((stop, grace))
            }
            // Counted from the first kill; a longer grace than before changes nothing.
            Phase::Stopping { stop, since, kill_at, .. } => {
                let sooner = *since + grace;
                (sooner < *kill_at).then(|| {
                    *kill_at = sooner;
                    stop.grace = grace;
                    (*stop, sooner.since(now.mono))
                })
            }
            Phase::Ended => None,
        }
    }
}
