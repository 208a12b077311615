//! RECONCILE: tells a scheduler what the master knows of its tasks.
//!
//! Each answer is an UPDATE by the master with REASON_RECONCILIATION and no uuid. Where the master
//! can't know yet, since agents from before its start aren't back, it says nothing: schedulers ask
//! again.

use std::sync::Arc;

use meros_proto::ids::{AgentId, TaskId};
use meros_proto::task_state::shown_to;
use meros_proto::time::{Now, Timestamp};
use meros_proto::v1::TaskState;
use meros_proto::v1::task_status::{Reason, Source};

use crate::arena::FrameworkIx;
use crate::model::{MadeStatus, Status};
use crate::output::SchedulerEvent;
use crate::tasks::LiveTask;
use crate::{Master, Out};

/// What is known of a task that isn't live.
struct Knowledge {
    state: TaskState,
    message: &'static str,
    unreachable_time: Option<Timestamp>,
}

impl Master {
    /// The states of these tasks; of all that are live or unacknowledged, when none is named.
    pub(crate) fn reconcile(
        &self,
        now: Now,
        index: FrameworkIx,
        tasks: Vec<(TaskId, Option<AgentId>)>,
        out: &mut Out,
    ) {
        let Some(framework) = self.frameworks.all.get(index) else { return };
        if tasks.is_empty() {
            for live in framework.tasks.values() {
                let status = known_status(now, live);
                framework.tell(SchedulerEvent::Update(Status::Made(Arc::new(status))), out);
            }
            return;
        }
        for (task, agent) in tasks {
            self.reconcile_one(now, index, &task, agent.as_ref(), out);
        }
    }

    /// The state of one task, wherever the scheduler thinks that it is.
    pub(crate) fn reconcile_one(
        &self,
        now: Now,
        index: FrameworkIx,
        task: &TaskId,
        agent: Option<&AgentId>,
        out: &mut Out,
    ) {
        let Some(framework) = self.frameworks.all.get(index) else { return };
        let status = match framework.tasks.get(task) {
            Some(live) => known_status(now, live),
            None => {
                let unreachable = framework.unreachable.get(task);
                let agent = agent.or(unreachable.map(|task| &task.agent));
                let Some(knowledge) = self.knowledge(agent) else { return };
                MadeStatus {
                    task: Arc::from(task.as_str()),
                    agent: agent.cloned(),
                    executor: None,
                    state: shown_to(knowledge.state, framework.is_partition_aware()),
                    source: Source::Master,
                    reason: Some(Reason::Reconciliation),
                    message: knowledge.message.to_owned(),
                    timestamp: now.wall,
                    unreachable_time: knowledge.unreachable_time,
                    details: None,
                }
            }
        };
        framework.tell(SchedulerEvent::Update(Status::Made(Arc::new(status))), out);
    }

    /// What follows for a task that isn't live from where it should be. `None`: nothing, yet.
    fn knowledge(&self, agent: Option<&AgentId>) -> Option<Knowledge> {
        let known = |state, message| Knowledge { state, message, unreachable_time: None };
        let Some(agent) = agent else {
            let message = "Reconciliation: Task is unknown";
            return (!self.awaits_agents()).then(|| known(TaskState::TaskUnknown, message));
        };
        if self.awaits(agent) {
            return None;
        }
        if self.agents.by_id.contains_key(agent) {
            let message = "Reconciliation: Task is unknown to the agent";
            return Some(known(TaskState::TaskGone, message));
        }
        if self.registry.state().is_gone(agent) {
            let message = "Reconciliation: Task is gone with its agent";
            return Some(known(TaskState::TaskGoneByOperator, message));
        }
        if let Some(since) = self.registry.state().unreachable_since(agent) {
            return Some(Knowledge {
                state: TaskState::TaskUnreachable,
                message: "Reconciliation: Task is unreachable",
                unreachable_time: Some(since),
            });
        }
        Some(known(TaskState::TaskUnknown, "Reconciliation: Task is unknown"))
    }
}

/// The latest state of a task; that of an update which was forwarded, if there is one, so that a
/// scheduler doesn't hear of an end before the update that tells it.
fn known_status(now: Now, live: &LiveTask) -> MadeStatus {
    let task = &live.task;
    MadeStatus {
        task: Arc::from(task.id.as_str()),
        agent: Some(task.agent.clone()),
        executor: task.executor.clone(),
        state: live.forwarded.map_or(task.state, |(state, _)| state),
        source: Source::Master,
        reason: Some(Reason::Reconciliation),
        message: "Reconciliation: Latest task state".to_owned(),
        timestamp: now.wall,
        unreachable_time: None,
        details: task.last_forwarded(),
    }
}
