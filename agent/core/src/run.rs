//! A task is handed to the agent.

use std::sync::Arc;

use meros_proto::ids::ContainerId;
use meros_proto::time::Now;
use meros_proto::v1::TaskState;
use meros_proto::v1::task_status::Reason;

use crate::dispatch::{Agent, Out, warn};
use crate::effect::{Effect, Launch};
use crate::input::Room;
use crate::record::Record;
use crate::status::Status;
use crate::task::{FrameworkSpec, Phase, Task, TaskKey, TaskSpec};

impl Agent {
    /// Accepts a task and asks for its container, or says at once why it can't run here.
    pub(crate) fn run(
        &mut self,
        now: Now,
        framework: FrameworkSpec,
        spec: TaskSpec,
        out: &mut Out,
    ) {
        let key = spec.key.clone();
        if self.tasks.contains_key(&key) {
            // Either the message was doubled, or the end of an earlier task of that name is still
            // to be heard: that end settles this one too.
            return warn(out, format!("task {key} was sent twice; the second is ignored"));
        }
        let Some(agent) = self.id.clone() else {
            return warn(out, format!("task {key} came before the agent was registered"));
        };
        let framework = self.remember_framework(framework, out);
        let task = Arc::new(spec);
        let container = self.accept(Arc::clone(&task), out);
        self.counters.accepted += 1;

        if let Some(status) = self.turned_away(now, &framework, &task) {
            return self.end(now, &key, status, out);
        }
        self.containers.insert(container.clone(), key.clone());
        let starting = Status::of_executor(TaskState::TaskStarting, now.wall);
        self.report(now, &key, starting, out);
        out.effect(Effect::Launch(Launch { container, agent, task, framework }));
    }

    /// Takes a task into the books, and on record when there is room for it. Its framework was
    /// remembered before.
    pub(crate) fn accept(&mut self, spec: Arc<TaskSpec>, out: &mut Out) -> ContainerId {
        let container = self.fresh_container();
        let mut task = Task::new(Arc::clone(&spec), container.clone());
        task.recorded = self.room == Room::Plenty;
        self.tasks.insert(spec.key.clone(), task);
        if self.room == Room::Plenty {
            out.persist(Record::Accepted { task: spec, container: container.clone() });
        }
        container
    }

    /// Takes a framework's new description, if it has tasks here. Without room it is not written
    /// down: a master that hears the old one from a later life tells the new one again.
    pub(crate) fn update_framework(&mut self, framework: FrameworkSpec, out: &mut Out) {
        let known = self.frameworks.get(&framework.id);
        if known.is_none_or(|known| **known == framework) {
            return;
        }
        let framework = Arc::new(framework);
        if self.room == Room::Plenty && self.tasks_on_record(&framework.id) {
            out.persist(Record::Framework(Arc::clone(&framework)));
        }
        self.frameworks.insert(framework.id.clone(), framework);
    }

    /// Ends a task for good: nothing is reported after `status`.
    pub(crate) fn end(&mut self, now: Now, key: &TaskKey, status: Status, out: &mut Out) {
        let Some(task) = self.tasks.get_mut(key) else { return };
        task.phase = Phase::Ended;
        self.containers.remove(&task.container);
        self.watches.remove(key);
        if task.silent {
            if task.recorded {
                out.persist(Record::Forgotten(key.clone()));
            }
            return self.retire(key);
        }
        self.report(now, key, status, out);
    }

    fn turned_away(&self, now: Now, framework: &FrameworkSpec, task: &TaskSpec) -> Option<Status> {
        if self.leaving.is_some() {
            let state = dropped_or_lost(framework.partition_aware);
            let status = Status::of_agent(state, Reason::AgentDraining, now.wall);
            return Some(status.saying("The agent is stopping"));
        }
        if let Some(status) = self.no_room(now, framework) {
            return Some(status);
        }
        let problem = task.problem.as_ref()?;
        let status = Status::of_agent(TaskState::TaskError, Reason::TaskInvalid, now.wall);
        Some(status.saying(problem.as_str()))
    }

    /// Keeps the description of a framework of which a task is about to be accepted: on record too,
    /// unless it is there with another task.
    pub(crate) fn remember_framework(
        &mut self,
        framework: FrameworkSpec,
        out: &mut Out,
    ) -> Arc<FrameworkSpec> {
        let id = framework.id.clone();
        if let Some(known) = self.frameworks.get(&id) {
            let on_record = || **known == framework && self.tasks_on_record(&id);
            // Without room nothing is written, so nothing new is believed either.
            if self.room == Room::Reserve || on_record() {
                return Arc::clone(known);
            }
        }
        let framework = Arc::new(framework);
        if self.room == Room::Plenty {
            out.persist(Record::Framework(Arc::clone(&framework)));
        }
        self.frameworks.insert(id, Arc::clone(&framework));
        framework
    }
}

/// The state of a task that never ran, in the words that the framework knows.
pub(crate) fn dropped_or_lost(partition_aware: bool) -> TaskState {
    if partition_aware { TaskState::TaskDropped } else { TaskState::TaskLost }
}
