//! Tasks in the master's books: what they hold, which state they are in, where they go when they
//! are over.
//!
//! ```text
//! launched or reported ─▶ live ─▶ terminal, unacknowledged ─▶ completed
//!                          └── agent unreachable ─▶ unreachable ── agent back ─▶ live
//! ```
//! Invariant: a task is listed with its framework and with its agent while it is live or
//! unacknowledged; its resources count as used with both until its first terminal state.

use std::sync::Arc;
use std::time::Duration;

use meros_proto::ids::TaskId;
use meros_proto::task_state::{holds_resources, is_terminal, shown_to};
use meros_proto::time::Now;
use meros_proto::v1::TaskState;
use meros_proto::v1::task_status::{Reason, Source};

use crate::allocator::{AllocatorInput, Return};
use crate::arena::{AgentIx, FrameworkIx};
use crate::frameworks::summable;
use crate::model::{MadeStatus, Status, Task, Uuid};
use crate::output::SchedulerEvent;
use crate::snapshot::Counters;
use crate::{Master, Out};

/// A task that is live, or terminal and not acknowledged.
#[derive(Debug, Clone)]
pub(crate) struct LiveTask {
    pub(crate) task: Arc<Task>,
    pub(crate) agent: AgentIx,
    /// Its resources count as used.
    pub(crate) holds: bool,
    /// The last update that was forwarded; an acknowledgement of it names its uuid.
    pub(crate) forwarded: Option<(TaskState, Uuid)>,
    /// A kill that was asked for, to be asked for again when the agent is back.
    pub(crate) kill: Option<Kill>,
}

/// A kill that was asked for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Kill {
    /// Overrides the task's kill policy.
    pub(crate) grace: Option<Duration>,
}

/// Where a task goes that leaves the live ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shelf {
    Completed,
    Unreachable,
}

/// What the master has to say about a task by itself.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Made<'a> {
    /// As a partition-aware framework sees it.
    pub(crate) state: TaskState,
    pub(crate) reason: Reason,
    pub(crate) message: &'a str,
}

impl LiveTask {
    pub(crate) fn new(task: Task, agent: AgentIx) -> Self {
        let holds = holds_resources(task.state);
        Self { task: Arc::new(task), agent, holds, forwarded: None, kill: None }
    }
}

impl Task {
    /// Adds to its history. Of equal states in a row only the last is kept.
    pub(crate) fn remember(&mut self, status: Status) {
        match self.statuses.last_mut() {
            Some(last) if last.state() == status.state() => *last = status,
            _ => {
                // There are two or three in a task's life, and a hundred thousand tasks.
                self.statuses.reserve_exact(1);
                self.statuses.push(status);
            }
        }
    }

    /// The last status that an agent sent, encoded.
    pub(crate) fn last_forwarded(&self) -> Option<bytes::Bytes> {
        self.statuses.iter().rev().find_map(|status| match status {
            Status::Forwarded { raw, .. } => Some(raw.clone()),
            Status::Made(_) => None,
        })
    }

    /// A status of it that the master makes.
    pub(crate) fn made_status(&self, now: Now, made: &Made<'_>, aware: bool) -> MadeStatus {
        MadeStatus {
            task: Arc::from(self.id.as_str()),
            agent: Some(self.agent.clone()),
            executor: self.executor.clone(),
            state: shown_to(made.state, aware),
            source: Source::Master,
            reason: Some(made.reason),
            message: made.message.to_owned(),
            timestamp: now.wall,
            unreachable_time: (made.state == TaskState::TaskUnreachable).then_some(now.wall),
            details: None,
        }
    }
}

impl Counters {
    /// Counts a task that reached a terminal state.
    pub(crate) fn count_end(&mut self, state: TaskState) {
        match state {
            TaskState::TaskFinished => self.tasks_finished += 1,
            TaskState::TaskFailed => self.tasks_failed += 1,
            TaskState::TaskKilled => self.tasks_killed += 1,
            TaskState::TaskLost => self.tasks_lost += 1,
            TaskState::TaskError => self.tasks_error += 1,
            TaskState::TaskDropped => self.tasks_dropped += 1,
            TaskState::TaskGone => self.tasks_gone += 1,
            TaskState::TaskGoneByOperator => self.tasks_gone_by_operator += 1,
            _ => {}
        }
    }
}

impl Master {
    /// Takes a task into the books. What it holds was allocated to it before.
    pub(crate) fn add_task(&mut self, index: FrameworkIx, live: LiveTask) {
        let Some(framework) = self.frameworks.all.get_mut(index) else { return };
        let Some(agent) = self.agents.get_mut(live.agent) else { return };
        if live.holds {
            framework.used += summable(&live.task.resources);
            agent.used += &live.task.resources;
        }
        agent.tasks.insert((index, live.task.id.clone()));
        *framework.tasks_on.entry(live.agent).or_default() += 1;
        framework.tasks.insert(live.task.id.clone(), live);
    }

    /// Moves a task on to `state`; a terminal one is its last, and frees what it holds.
    pub(crate) fn set_task_state(
        &mut self,
        now: Now,
        index: FrameworkIx,
        task: &TaskId,
        state: TaskState,
    ) {
        let Some(framework) = self.frameworks.all.get_mut(index) else { return };
        let Some(live) = framework.tasks.get_mut(task) else { return };
        if is_terminal(live.task.state) {
            return;
        }
        if live.task.state != state {
            Arc::make_mut(&mut live.task).state = state;
        }
        if is_terminal(state) {
            self.counters.count_end(state);
        }
        if !holds_resources(state) {
            self.free_task(now, index, task);
        }
    }

    /// Frees what a task holds, if it still does.
    fn free_task(&mut self, now: Now, index: FrameworkIx, task: &TaskId) {
        let Some(framework) = self.frameworks.all.get_mut(index) else { return };
        let Some(live) = framework.tasks.get_mut(task) else { return };
        if !std::mem::take(&mut live.holds) {
            return;
        }
        let resources = live.task.resources.clone();
        framework.used -= &summable(&resources);
        if let Some(agent) = self.agents.get_mut(live.agent) {
            agent.used -= &resources;
        }
        let returned = AllocatorInput::Returned {
            framework: index,
            role: live.task.role.clone(),
            agent: live.agent,
            resources,
            why: Return::Ended,
        };
        self.allocator.handle(now, returned);
    }

    /// Ends, or marks as unreachable, a task by the master's own word, and tells its framework.
    /// One that is over already stays as it is.
    pub(crate) fn end_task(
        &mut self,
        now: Now,
        index: FrameworkIx,
        task: &TaskId,
        made: &Made<'_>,
        out: &mut Out,
    ) {
        let Some(framework) = self.frameworks.all.get_mut(index) else { return };
        let aware = framework.is_partition_aware();
        let Some(live) = framework.tasks.get_mut(task) else { return };
        if is_terminal(live.task.state) {
            return;
        }
        let status = Arc::new(live.task.made_status(now, made, aware));
        Arc::make_mut(&mut live.task).remember(Status::Made(Arc::clone(&status)));
        let state = status.state;
        framework.tell(SchedulerEvent::Update(Status::Made(status)), out);
        self.set_task_state(now, index, task, state);
    }

    /// Takes a task out of the live ones.
    pub(crate) fn shelve(&mut self, now: Now, index: FrameworkIx, task: &TaskId, shelf: Shelf) {
        self.free_task(now, index, task);
        let Some(framework) = self.frameworks.all.get_mut(index) else { return };
        let Some(live) = framework.tasks.remove(task) else { return };
        if let Some(agent) = self.agents.get_mut(live.agent) {
            agent.tasks.remove(&(index, task.clone()));
        }
        if let Some(count) = framework.tasks_on.get_mut(&live.agent) {
            *count -= 1;
            if *count == 0 {
                framework.tasks_on.remove(&live.agent);
            }
        }
        match shelf {
            Shelf::Completed => {
                let completed = Arc::make_mut(&mut framework.completed);
                completed.push_back(live.task);
                if completed.len() > self.config.max_completed_tasks_per_framework {
                    completed.pop_front();
                }
            }
            Shelf::Unreachable => {
                let unreachable = Arc::make_mut(&mut framework.unreachable);
                unreachable.insert(task.clone(), live.task);
                framework.unreachable_order.push_back(task.clone());
                if framework.unreachable_order.len()
                    > self.config.max_unreachable_tasks_per_framework
                    && let Some(oldest) = framework.unreachable_order.pop_front()
                {
                    unreachable.remove(&oldest);
                }
            }
        }
    }
}
