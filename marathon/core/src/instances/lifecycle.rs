//! A status moves an instance on.
//!
//! ```text
//! unknown instance ── live → killed        ended → told
//! another task of it ─ live → killed       ended → nothing
//! its task ── news → kept and told         ended → scheduled again, or gone, by its goal
//!             no news → nothing
//! ```
//! Every status that wants it is acknowledged, in the same batch as the record of what it said.

use std::sync::Arc;
use std::time::Duration;

use meros_proto::time::Now;
use meros_proto::v1::TaskState;
use meros_proto::v1::task_status::Reason;

use super::status::TaskUpdate;
use super::{Condition, Goal, Instance, InstanceId, RunTime, Task};
use crate::events::EventKind;
use crate::output::{Call, Effect};
use crate::records::Record;
use crate::state::{Marathon, Out};
use crate::timers::Timer;
use crate::view::TaskFailure;

impl Marathon {
    /// Takes in news of a task, and acknowledges it.
    pub(crate) fn status(&mut self, now: Now, update: TaskUpdate, out: &mut Out) {
        let condition = Condition::of_status(update.state, update.reason);
        let id = InstanceId::of_task(update.task.as_str());
        let instance = id.as_ref().and_then(|id| self.instances.get(id)).map(Arc::clone);
        let of_task = |task: &&Task| task.id == update.task;
        match (&instance, instance.as_ref().and_then(|known| known.task.as_ref()).filter(of_task)) {
            (Some(instance), Some(task)) if task.condition.may_become(condition) => {
                self.task_moved(now, instance, task, condition, &update, out);
            }
            (Some(instance), Some(task)) => {
                self.task_told_again(now, instance, task, condition, &update, out);
            }
            _ if !condition.is_terminal() && condition != Condition::Unreachable => {
                self.kill_stray(update.task.clone(), update.agent.clone(), out);
            }
            (None, _) if condition.is_terminal() => {
                // What isn't named as ours is no instance of ours: no one waits to hear of it.
                if let Some(instance) = id {
                    let app = instance.app().clone();
                    let event = EventKind::UnknownInstanceTerminated { instance, app, condition };
                    self.publish(now, event, out);
                }
            }
            // Its instance has another task by now, or nobody can reach it.
            _ => {}
        }
        if let (true, Some(agent), Some(uuid)) =
            (self.connection.is_up(), update.agent, update.uuid)
        {
            out.effect(Effect::Call(Call::Acknowledge { task: update.task, agent, uuid }));
        }
    }

    /// A task has another condition.
    fn task_moved(
        &mut self,
        now: Now,
        instance: &Instance,
        task: &Task,
        condition: Condition,
        update: &TaskUpdate,
        out: &mut Out,
    ) {
        let mut moved = Instance::clone(instance);
        let mut task = task.clone();
        task.condition = condition;
        if condition == Condition::Running {
            task.started_at = task.started_at.or(Some(now.wall));
        }
        task.unreachable_since = (condition == Condition::Unreachable)
            .then(|| update.unreachable_since.unwrap_or(now.wall));
        if !update.addresses.is_empty() {
            task.addresses.clone_from(&update.addresses);
        }
        task.check = update.check.or(task.check);
        if condition == Condition::Running {
            let begun = RunTime::counted(now.mono, Duration::ZERO);
            task.run_time = task.run_time.or(Some(begun));
        }
        moved.since = now.wall;

        self.tell_status(now, &moved, &task, update, out);
        self.note_condition(now, instance, condition, update);
        match condition {
            ended if ended.is_terminal() => self.task_ended(now, moved, task, update, out),
            _ => {
                moved.task = Some(task);
                let moved = Arc::new(moved);
                self.store(now, &moved, out);
                self.watch_launch(now, &moved);
                if condition == Condition::Running {
                    self.watch_health(now, &moved);
                    self.watch_readiness(now, &moved);
                    self.agent_told(now, &moved.id, update, out);
                }
                if condition == Condition::Unreachable {
                    match moved.goal {
                        // It was to end anyway, and no kill will be answered.
                        Goal::Decommissioned => self.expunge(now, &moved.id, out),
                        Goal::Running => self.watch_unreachable(now, &moved),
                    }
                } else {
                    self.stop_watching_unreachable(&moved.id);
                    // A kill that was given up while the task could not be reached.
                    if moved.goal == Goal::Decommissioned {
                        self.kill_task_of(&moved.id);
                    }
                }
            }
        }
    }

    /// A task is as it was; but its health, its check or its addresses may be others.
    fn task_told_again(
        &mut self,
        now: Now,
        instance: &Instance,
        task: &Task,
        condition: Condition,
        update: &TaskUpdate,
        out: &mut Out,
    ) {
        if condition != Condition::Running || task.condition != Condition::Running {
            return;
        }
        let check = update.check.or(task.check);
        let addresses = match update.addresses.is_empty() {
            true => &task.addresses,
            false => &update.addresses,
        };
        if check != task.check || *addresses != task.addresses {
            let mut changed = Instance::clone(instance);
            changed.task = Some(Task { check, addresses: addresses.clone(), ..task.clone() });
            let changed = Arc::new(changed);
            self.snapshot = None;
            self.instances.put(Arc::clone(&changed));
            out.persist(Record::Instance(changed));
        }
        self.agent_told(now, &instance.id, update, out);
    }

    /// A status says, or doesn't say, how the agent's health check went.
    fn agent_told(&mut self, now: Now, id: &InstanceId, update: &TaskUpdate, out: &mut Out) {
        if let Some(healthy) = update.healthy {
            self.agent_said(now, id, healthy, &update.message, out);
        }
    }

    /// A task has ended: its instance is launched again, or goes.
    fn task_ended(
        &mut self,
        now: Now,
        mut instance: Instance,
        task: Task,
        update: &TaskUpdate,
        out: &mut Out,
    ) {
        self.kill_answered(&task.id);
        self.timers.cancel(&Timer::LaunchOverdue(instance.id.clone()));
        self.stop_watching_unreachable(&instance.id);
        self.stop_watching_health(&instance);
        if task.condition.is_failure() {
            self.keep_failure(now, &instance, &task, update, out);
        }
        let condition = task.condition;
        instance.task = Some(task);
        self.tell_condition(now, &instance, condition, out);
        if instance.goal == Goal::Decommissioned {
            self.expunge(now, &instance.id, out);
            return;
        }
        let health = instance.healthy();
        instance.task = None;
        if health.is_some() {
            self.tell_health(now, &instance, out);
        }
        self.queue_begins(now, instance.id.app());
        self.store(now, &Arc::new(instance), out);
    }

    /// Tells the launch queue what it counts: failures, starts, and the drained.
    fn note_condition(
        &mut self,
        now: Now,
        instance: &Instance,
        condition: Condition,
        update: &TaskUpdate,
    ) {
        let drained = update.reason == Some(Reason::AgentDraining)
            && matches!(update.state, TaskState::TaskKilled | TaskState::TaskGoneByOperator);
        if drained {
            self.forget_delay(instance.id.app());
        } else if condition.backs_off() {
            self.launch_failed(now, &instance.spec);
        } else if matches!(condition, Condition::Staging | Condition::Starting | Condition::Running)
        {
            self.launch_went_on(now, &instance.spec);
        }
        let first = |task: &Task| task.started_at.is_none();
        if condition == Condition::Running && instance.task.as_ref().is_some_and(first) {
            self.give_token_back();
        }
    }

    fn keep_failure(
        &mut self,
        now: Now,
        instance: &Instance,
        task: &Task,
        update: &TaskUpdate,
        out: &mut Out,
    ) {
        let app = instance.id.app().clone();
        let failure = Arc::new(TaskFailure {
            app: app.clone(),
            task: task.id.clone(),
            state: update.state,
            message: update.message.clone(),
            host: task.agent.hostname.clone(),
            agent: task.agent.id.clone(),
            version: instance.spec.version,
            at: now.wall,
        });
        self.snapshot = None;
        Arc::make_mut(&mut self.failures).insert(app, Arc::clone(&failure));
        out.persist(Record::Failure(failure));
    }

    fn tell_status(
        &mut self,
        now: Now,
        instance: &Instance,
        task: &Task,
        update: &TaskUpdate,
        out: &mut Out,
    ) {
        let event = EventKind::StatusUpdate {
            agent: task.agent.id.clone(),
            task: task.id.clone(),
            state: update.state,
            message: update.message.clone(),
            app: instance.id.app().clone(),
            host: task.agent.hostname.clone(),
            addresses: task.addresses.clone(),
            ports: task.ports.clone(),
            version: instance.spec.version,
        };
        self.publish(now, event, out);
    }

    /// Tells that an instance's health is another.
    pub(crate) fn tell_health(&mut self, now: Now, instance: &Instance, out: &mut Out) {
        let event = EventKind::InstanceHealthChanged {
            instance: instance.id.clone(),
            app: instance.id.app().clone(),
            version: instance.spec.version,
            healthy: instance.healthy(),
        };
        self.publish(now, event, out);
    }
}
