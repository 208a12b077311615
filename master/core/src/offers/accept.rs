//! ACCEPT: uses offers to launch tasks; what is left over is declined.
//!
//! The offers must be of this framework, one agent and one role, or nothing is launched. Operations
//! are applied in order to what remains of the offers; one that fails is dropped and the next is
//! tried. Every failure is told on the event stream, since the call itself was accepted long ago.

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;
use meros_proto::ids::{OfferId, TaskId};
use meros_proto::resources::{Resources, Role};
use meros_proto::task_state::shown_to;
use meros_proto::time::Now;
use meros_proto::v1::TaskState;
use meros_proto::v1::task_status::{Reason, Source};

use crate::allocator::{AllocatorInput, Return};
use crate::arena::{AgentIx, FrameworkIx};
use crate::input::{Filters, Operation};
use crate::model::{LaunchTask, MadeStatus, Status, Task, TaskSpec};
use crate::output::{AgentMessage, SchedulerEvent};
use crate::tasks::{LiveTask, Made};
use crate::{Master, Out};

/// Why the offers of an ACCEPT can't be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
enum OffersError {
    #[error("No offers specified")]
    None,
    #[error("Offer {0} is no longer valid")]
    Gone(OfferId),
    #[error("Duplicate offer {0} in offer list")]
    Duplicate(OfferId),
    #[error("Offer {0} was made to another framework")]
    Foreign(OfferId),
    #[error("Aggregated offers must belong to one single agent; offer {0} is of another")]
    OtherAgent(OfferId),
    #[error("Aggregated offers must be allocated to one single role; offer {0} is to another")]
    OtherRole(OfferId),
}

/// Why a task can't be launched with the offers. Becomes TASK_ERROR.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
enum LaunchError {
    /// Found before it came to the offers.
    #[error("{0}")]
    Invalid(String),
    #[error("Operation ID must not be set for LAUNCH: use the task's status updates")]
    OperationId,
    #[error("LAUNCH_GROUP is not supported by this version of Meros")]
    Group,
    #[error("Executors are not supported by this version of Meros: set 'command' in the task")]
    Executor,
    #[error("Task uses the agent {wanted} while the offers are of {offered}")]
    OtherAgent { wanted: String, offered: String },
    #[error("Task has duplicate ID: {0}")]
    Duplicate(TaskId),
    #[error("Task ID {0} is that of a task on an unreachable agent")]
    Unreachable(TaskId),
    #[error("Task's resources are allocated to role '{given}', the offers to '{offered}'")]
    OtherRole { given: Role, offered: Role },
    #[error("Task sets 'limits', which its agent cannot enforce")]
    Limits,
    #[error("Total resources {wanted} required by task is more than available {offered}")]
    NotEnough { wanted: Resources, offered: Resources },
}

/// What the operations are applied to.
struct Pool {
    framework: FrameworkIx,
    agent: AgentIx,
    role: Role,
    /// Allocated to `role`.
    remaining: Resources,
}

impl Master {
    pub(crate) fn accept(
        &mut self,
        now: Now,
        index: FrameworkIx,
        offers: &[OfferId],
        operations: Vec<Operation>,
        filters: Filters,
        out: &mut Out,
    ) {
        let numbers = match self.usable(index, offers) {
            Ok(numbers) => numbers,
            Err(error) => return self.refuse_accept(now, index, offers, operations, &error, out),
        };
        let Some(mut pool) = self.pool(&numbers) else { return };
        for operation in operations {
            match operation {
                Operation::Launch { id, tasks } => {
                    let forbidden = id.map(|_| LaunchError::OperationId);
                    for task in tasks {
                        self.launch(now, &mut pool, task, forbidden.as_ref(), out);
                    }
                }
                Operation::LaunchGroup { tasks, .. } => {
                    for task in tasks {
                        let reason = Reason::TaskGroupInvalid;
                        self.refuse_task(now, &pool, &task.id, &LaunchError::Group, reason, out);
                    }
                }
                Operation::Unbuilt { name, id } => self.refuse_operation(&pool, name, id, out),
            }
        }
        self.allocator.handle(
            now,
            AllocatorInput::Returned {
                framework: pool.framework,
                role: pool.role,
                agent: pool.agent,
                resources: pool.remaining,
                why: Return::LeftOver { refuse_for: filters.refuse_for() },
            },
        );
    }

    /// The numbers of the offers, if they can be used together.
    fn usable(&self, index: FrameworkIx, ids: &[OfferId]) -> Result<Vec<u64>, OffersError> {
        let mut numbers = Vec::new();
        let mut seen = BTreeSet::new();
        let mut first = None;
        for id in ids {
            let (number, live) =
                self.offers.find(id).ok_or_else(|| OffersError::Gone(id.clone()))?;
            let first = first.get_or_insert(live);
            if !seen.insert(number) {
                return Err(OffersError::Duplicate(id.clone()));
            }
            if live.framework != index {
                return Err(OffersError::Foreign(id.clone()));
            }
            if live.agent != first.agent {
                return Err(OffersError::OtherAgent(id.clone()));
            }
            if live.offer.role != first.offer.role {
                return Err(OffersError::OtherRole(id.clone()));
            }
            numbers.push(number);
        }
        if numbers.is_empty() { Err(OffersError::None) } else { Ok(numbers) }
    }

    /// Takes the offers out of the books; what they held is in the pool.
    fn pool(&mut self, numbers: &[u64]) -> Option<Pool> {
        let mut pool: Option<Pool> = None;
        for number in numbers {
            let live = self.take_offer(*number)?;
            let pool = pool.get_or_insert_with(|| Pool {
                framework: live.framework,
                agent: live.agent,
                role: live.offer.role.clone(),
                remaining: Resources::new(),
            });
            pool.remaining += &live.offer.resources;
        }
        pool
    }

    fn launch(
        &mut self,
        now: Now,
        pool: &mut Pool,
        task: LaunchTask,
        forbidden: Option<&LaunchError>,
        out: &mut Out,
    ) {
        let id = task.id;
        let checked = match forbidden {
            Some(error) => Err(error.clone()),
            None => task
                .spec
                .map_err(LaunchError::Invalid)
                .and_then(|spec| Ok((self.allocation(pool, &spec)?, spec))),
        };
        let (resources, spec) = match checked {
            Ok(checked) => checked,
            Err(error) => {
                return self.refuse_task(now, pool, &id, &error, Reason::TaskInvalid, out);
            }
        };
        let (Some(framework), Some(agent)) =
            (self.frameworks.all.get(pool.framework), self.agents.get(pool.agent))
        else {
            return;
        };
        let message = AgentMessage::RunTask {
            framework: framework.id.clone(),
            framework_info: framework.spec.raw.clone(),
            task: spec.raw.clone(),
            role: pool.role.clone(),
        };
        let task = Task {
            id: spec.id,
            name: spec.name,
            framework: framework.id.clone(),
            agent: agent.id.clone(),
            executor: spec.executor,
            role: pool.role.clone(),
            resources: resources.clone(),
            state: TaskState::TaskStaging,
            statuses: Vec::new(),
            // A copy of its own, made here: what is kept for long doesn't lie scattered among what
            // the shell's threads throw away after each call.
            raw: Bytes::copy_from_slice(&spec.raw),
        };
        pool.remaining -= &resources;
        self.add_task(pool.framework, LiveTask::new(task, pool.agent));
        self.agents.tell(pool.agent, message, out);
    }

    /// What the task takes of the pool, once it is known to be valid.
    fn allocation(&self, pool: &Pool, spec: &TaskSpec) -> Result<Resources, LaunchError> {
        let framework = self.frameworks.all.get(pool.framework);
        let framework = framework.expect("an offer's framework lives as long as the offer");
        let agent = self.agents.get(pool.agent);
        let agent = agent.expect("an offer's agent lives as long as the offer");
        if spec.agent != agent.id {
            return Err(LaunchError::OtherAgent {
                wanted: spec.agent.to_string(),
                offered: agent.id.to_string(),
            });
        }
        if spec.executor.is_some() {
            return Err(LaunchError::Executor);
        }
        if framework.tasks.contains_key(&spec.id) {
            return Err(LaunchError::Duplicate(spec.id.clone()));
        }
        if framework.unreachable.contains_key(&spec.id) {
            return Err(LaunchError::Unreachable(spec.id.clone()));
        }
        if spec.has_limits && !agent.spec.can("TASK_RESOURCE_LIMITS") {
            return Err(LaunchError::Limits);
        }
        let other = spec.resources.iter().filter_map(|one| one.allocation_role());
        if let Some(given) = other.into_iter().find(|role| **role != pool.role) {
            let (given, offered) = (given.clone(), pool.role.clone());
            return Err(LaunchError::OtherRole { given, offered });
        }
        let wanted = spec.resources.allocated_to(&pool.role);
        match pool.remaining.contains(&wanted) {
            true => Ok(wanted),
            false => Err(LaunchError::NotEnough {
                wanted: wanted.unallocated(),
                offered: pool.remaining.unallocated(),
            }),
        }
    }

    /// Tells the framework that a task is invalid: it never was.
    fn refuse_task(
        &mut self,
        now: Now,
        pool: &Pool,
        task: &Arc<str>,
        error: &LaunchError,
        reason: Reason,
        out: &mut Out,
    ) {
        let message = error.to_string();
        let made = Made { state: TaskState::TaskError, reason, message: &message };
        self.tell_of_no_task(now, pool.framework, task, Some(pool.agent), &made, out);
    }

    /// An operation that isn't built fails; without an id there is nobody to tell.
    fn refuse_operation(&self, pool: &Pool, name: &str, id: Option<String>, out: &mut Out) {
        let Some(operation) = id else { return };
        let agent = self.agents.get(pool.agent).map(|agent| agent.id.clone());
        let message = format!("{name} is not supported by this version of Meros");
        if let Some(framework) = self.frameworks.all.get(pool.framework) {
            framework.tell(SchedulerEvent::OperationError { operation, agent, message }, out);
        }
    }

    /// The offers can't be used: those that are still out are returned, nothing is launched.
    fn refuse_accept(
        &mut self,
        now: Now,
        index: FrameworkIx,
        ids: &[OfferId],
        operations: Vec<Operation>,
        error: &OffersError,
        out: &mut Out,
    ) {
        for id in ids {
            if let Some((number, live)) = self.offers.find(id)
                && live.framework == index
            {
                // Not a filter, but held: a scheduler that repeats its mistake must not be able
                // to do so at the speed of the wire.
                let why = Return::LeftOver { refuse_for: std::time::Duration::ZERO };
                self.return_offer(now, number, why);
            }
        }
        let message = format!("Task launched with invalid offers: {error}");
        let made = Made {
            state: TaskState::TaskDropped,
            reason: Reason::InvalidOffers,
            message: &message,
        };
        for operation in operations {
            match operation {
                Operation::Launch { tasks, .. } | Operation::LaunchGroup { tasks, .. } => {
                    for task in tasks {
                        let agent = task.spec.as_ref().ok().map(|spec| &spec.agent);
                        let agent = agent.and_then(|id| self.agents.by_id.get(id)).copied();
                        self.tell_of_no_task(now, index, &task.id, agent, &made, out);
                    }
                }
                Operation::Unbuilt { name, id: Some(operation) } => {
                    let message = format!("{name} attempted with invalid offers: {error}");
                    if let Some(framework) = self.frameworks.all.get(index) {
                        let agent = None;
                        let event = SchedulerEvent::OperationError { operation, agent, message };
                        framework.tell(event, out);
                    }
                }
                Operation::Unbuilt { id: None, .. } => {}
            }
        }
    }

    /// Tells a framework what became of a task that never was.
    fn tell_of_no_task(
        &mut self,
        now: Now,
        index: FrameworkIx,
        task: &Arc<str>,
        agent: Option<AgentIx>,
        made: &Made<'_>,
        out: &mut Out,
    ) {
        let Some(framework) = self.frameworks.all.get(index) else { return };
        let agent = agent.and_then(|agent| self.agents.get(agent));
        let state = shown_to(made.state, framework.is_partition_aware());
        let status = MadeStatus {
            task: Arc::clone(task),
            agent: agent.map(|agent| agent.id.clone()),
            executor: None,
            state,
            source: Source::Master,
            reason: Some(made.reason),
            message: made.message.to_owned(),
            timestamp: now.wall,
            unreachable_time: None,
            details: None,
        };
        framework.tell(SchedulerEvent::Update(Status::Made(Arc::new(status))), out);
        self.counters.count_end(state);
    }
}
