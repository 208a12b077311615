//! Status updates: from agents to schedulers, and acknowledgements back.
//!
//! An update is forwarded at once and repeated by its agent until it is acknowledged; nothing is
//! kept here for that. The latest state that the agent knows frees a task's resources even while
//! earlier updates wait.

use bytes::Bytes;
use meros_proto::ids::{AgentId, ExecutorId, FrameworkId, TaskId};
use meros_proto::task_state::is_terminal;
use meros_proto::time::Now;
use meros_proto::v1::TaskState;

use crate::arena::FrameworkIx;
use crate::input::LinkRef;
use crate::model::{Status, StatusReport, Uuid};
use crate::output::{AgentMessage, Effect, Notice, SchedulerEvent};
use crate::tasks::Shelf;
use crate::{Master, Out};

impl Master {
    pub(crate) fn update(
        &mut self,
        now: Now,
        link: LinkRef,
        from: &FrameworkId,
        report: StatusReport,
        latest: TaskState,
        out: &mut Out,
    ) {
        if self.agents.on_link(link).is_none() {
            self.counters.invalid_status_updates += 1;
            return self.drop_agent_message(
                link,
                "StatusUpdate",
                "its link is not registered",
                out,
            );
        }
        let Some((index, framework)) = self.frameworks.find(from) else {
            self.counters.invalid_status_updates += 1;
            return drop_update(from, &report.task, "the framework is unknown", out);
        };
        let event = SchedulerEvent::Update(Status::Forwarded {
            state: report.state,
            timestamp: report.timestamp,
            raw: report.raw.clone(),
        });
        match framework.stream() {
            Some(_) => framework.tell(event, out),
            None => drop_update(from, &report.task, "the framework is not connected", out),
        }
        match framework.tasks.contains_key(&report.task) {
            true => {
                self.counters.valid_status_updates += 1;
                self.apply(now, index, &report, latest);
            }
            // Forwarded all the same: the agent's word is the truth, and it repeats itself until
            // the scheduler acknowledges.
            false => self.counters.invalid_status_updates += 1,
        }
    }

    fn apply(&mut self, now: Now, index: FrameworkIx, report: &StatusReport, latest: TaskState) {
        let Some(framework) = self.frameworks.all.get_mut(index) else { return };
        let Some(live) = framework.tasks.get_mut(&report.task) else { return };
        live.forwarded = report.uuid.map(|uuid| (report.state, uuid));
        std::sync::Arc::make_mut(&mut live.task).remember(Status::Forwarded {
            state: report.state,
            timestamp: report.timestamp,
            // As with a task's info: kept for long, so in a place of its own.
            raw: Bytes::copy_from_slice(&report.kept),
        });
        let state = if is_terminal(report.state) { report.state } else { latest };
        self.set_task_state(now, index, &report.task, state);
        // Nobody will acknowledge an update without a uuid.
        if is_terminal(report.state) && report.uuid.is_none() {
            self.shelve(now, index, &report.task, Shelf::Completed);
        }
    }

    /// ACKNOWLEDGE: passed on to the agent. That of a terminal status ends the task here.
    pub(crate) fn acknowledge(
        &mut self,
        now: Now,
        index: FrameworkIx,
        agent: &AgentId,
        task: TaskId,
        uuid: Uuid,
        out: &mut Out,
    ) {
        let Some(on) = self.agents.connected(agent) else {
            self.counters.invalid_acknowledgements += 1;
            return self.drop_call(
                index,
                "ACKNOWLEDGE",
                format!("agent {agent} is not connected"),
                out,
            );
        };
        self.counters.valid_acknowledgements += 1;
        let Some(framework) = self.frameworks.all.get(index) else { return };
        let ends = framework.tasks.get(&task).is_some_and(|live| {
            live.agent == on
                && live.forwarded.is_some_and(|(state, last)| last == uuid && is_terminal(state))
        });
        let framework = framework.id.clone();
        let message = AgentMessage::AcknowledgeUpdate { framework, task: task.clone(), uuid };
        self.agents.tell(on, message, out);
        if ends {
            self.shelve(now, index, &task, Shelf::Completed);
        }
    }

    /// An executor's data for its scheduler.
    pub(crate) fn executor_message(
        &mut self,
        link: LinkRef,
        framework: &FrameworkId,
        executor: ExecutorId,
        data: Bytes,
        out: &mut Out,
    ) {
        let Some((_, agent)) = self.agents.on_link(link) else {
            return self.drop_agent_message(
                link,
                "ExecutorMessage",
                "its link is not registered",
                out,
            );
        };
        if let Some((_, framework)) = self.frameworks.find(framework) {
            let agent = agent.id.clone();
            framework.tell(SchedulerEvent::Message { agent, executor, data }, out);
        }
    }

    /// An executor ended.
    pub(crate) fn executor_exited(
        &mut self,
        link: LinkRef,
        framework: &FrameworkId,
        executor: ExecutorId,
        wait_status: i32,
        out: &mut Out,
    ) {
        let Some((_, agent)) = self.agents.on_link(link) else {
            return self.drop_agent_message(
                link,
                "ExecutorExited",
                "its link is not registered",
                out,
            );
        };
        if let Some((_, framework)) = self.frameworks.find(framework) {
            framework.tell(
                SchedulerEvent::Failure {
                    agent: agent.id.clone(),
                    executor: Some(executor),
                    wait_status: Some(wait_status),
                },
                out,
            );
        }
    }
}

fn drop_update(framework: &FrameworkId, task: &TaskId, reason: &'static str, out: &mut Out) {
    let (framework, task) = (framework.clone(), task.clone());
    out.effect(Effect::Notice(Notice::UpdateDropped { framework, task, reason }));
}
