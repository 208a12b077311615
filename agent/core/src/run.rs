//! A task is handed to the agent.

use std::sync::Arc;

use meros_proto::time::Now;
use meros_proto::v1::TaskState;
use meros_proto::v1::task_status::Reason;

use crate::dispatch::{Agent, Out, warn};
use crate::effect::{Effect, Launch};
use crate::record::Record;
use crate::status::Status;
use crate::task::{FrameworkSpec, Phase, Task, TaskSpec};

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
        let container = self.fresh_container();
        let task = Arc::new(spec);
        out.persist(Record::Accepted { task: Arc::clone(&task), container: container.clone() });
        self.tasks.insert(key.clone(), Task::new(Arc::clone(&task), container.clone()));
        self.counters.accepted += 1;

        if let Some(status) = self.turned_away(now, &framework, &task) {
            return self.end(now, &key, status, out);
        }
        self.containers.insert(container.clone(), key.clone());
        let starting = Status::of_executor(TaskState::TaskStarting, now.wall);
        self.report(now, &key, starting, out);
        out.effect(Effect::Launch(Launch { container, agent, task, framework }));
    }

    /// Takes a framework's new description, if it has tasks here.
    pub(crate) fn update_framework(&mut self, framework: FrameworkSpec, out: &mut Out) {
        if self.frameworks.contains_key(&framework.id) {
            self.remember_framework(framework, out);
        }
    }

    /// Ends a task for good: nothing is reported after `status`.
    pub(crate) fn end(
        &mut self,
        now: Now,
        key: &crate::task::TaskKey,
        status: Status,
        out: &mut Out,
    ) {
        let Some(task) = self.tasks.get_mut(key) else { return };
        task.phase = Phase::Ended;
        self.containers.remove(&task.container);
        if task.silent {
            out.persist(Record::Forgotten(key.clone()));
            return self.retire(key);
        }
        self.report(now, key, status, out);
    }

    fn turned_away(&self, now: Now, framework: &FrameworkSpec, task: &TaskSpec) -> Option<Status> {
        if self.leaving.is_some() {
            let state = dropped_or_lost(framework);
            let status = Status::of_agent(state, Reason::AgentDraining, now.wall);
            return Some(status.saying("The agent is stopping"));
        }
        let problem = task.problem.as_ref()?;
        let status = Status::of_agent(TaskState::TaskError, Reason::TaskInvalid, now.wall);
        Some(status.saying(problem.as_str()))
    }

    fn remember_framework(
        &mut self,
        framework: FrameworkSpec,
        out: &mut Out,
    ) -> Arc<FrameworkSpec> {
        if let Some(known) = self.frameworks.get(&framework.id)
            && **known == framework
        {
            return Arc::clone(known);
        }
        let framework = Arc::new(framework);
        out.persist(Record::Framework(Arc::clone(&framework)));
        self.frameworks.insert(framework.id.clone(), Arc::clone(&framework));
        framework
    }
}

/// The state of a task that never ran, in the words that the framework knows.
pub(crate) fn dropped_or_lost(framework: &FrameworkSpec) -> TaskState {
    if framework.partition_aware { TaskState::TaskDropped } else { TaskState::TaskLost }
}
