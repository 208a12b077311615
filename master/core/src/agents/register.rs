//! An agent registers: it is new, it comes back with what it runs, or it is refused.
//!
//! The agent owns the truth about its tasks: what it reports is taken into the books, what it
//! doesn't report any more is told to the framework as dropped. Kills that were asked for are asked
//! for again.

use std::collections::BTreeSet;
use std::sync::Arc;

use meros_proto::ids::{AgentId, FrameworkId, TaskId};
use meros_proto::resources::{Resources, Role};
use meros_proto::task_state::is_terminal;
use meros_proto::time::Now;
use meros_proto::v1::TaskState;
use meros_proto::v1::task_status::{Reason, Source};

use crate::agents::{Agent, Pings};
use crate::allocator::AllocatorInput;
use crate::arena::{AgentIx, FrameworkIx};
use crate::frameworks::Framework;
use crate::input::{AgentRegister, FrameworkReport, LinkRef, TaskReport};
use crate::model::{AgentSpec, MadeStatus, Status, Task};
use crate::output::{AgentMessage, Effect, Notice, SchedulerEvent};
use crate::registry::Activity;
use crate::registry::ops::{AgentAdmitted, AgentReachable};
use crate::tasks::{LiveTask, Made, Shelf};
use crate::timers::Timer;
use crate::{Master, Out};

/// What is known of a registering agent beside its report.
struct Arrival {
    index: AgentIx,
    id: AgentId,
    /// It was known before.
    again: bool,
    was_unreachable: bool,
}

/// Why an agent may not take part.
struct Refusal {
    reason: String,
    /// It is not to come back.
    fatal: bool,
}

impl Master {
    pub(crate) fn register_agent(&mut self, now: Now, register: AgentRegister, out: &mut Out) {
        let AgentRegister { link, agent_id, spec, tasks, frameworks, .. } = register;
        if self.agents.on_link(link).is_some() {
            self.drop_agent_message(link, "Register", "the link is registered already", out);
            return;
        }
        if let Some(refusal) = self.refusal(agent_id.as_ref(), &spec) {
            return refuse(link, &spec, refusal, out);
        }
        let arrival = match agent_id {
            Some(id) => self.returning(now, id, spec, link, out),
            None => self.new_agent(now, spec, link, out),
        };
        self.timers.set(Timer::Ping(arrival.index), now.mono + self.config.ping_interval);

        let removed_frameworks = self.removed_among(&tasks, &frameworks);
        out.effect(Effect::ToAgent {
            link,
            message: AgentMessage::Registered {
                agent: arrival.id.clone(),
                master: self.config.master_id.clone(),
                ping_interval: self.config.ping_interval,
                ping_timeouts: self.config.ping_timeouts,
                removed_frameworks,
            },
        });
        for report in frameworks {
            self.take_in_reported_framework(now, arrival.index, report, out);
        }
        self.reconcile_tasks(now, &arrival, tasks, out);
        if self.registry.state().activity(&arrival.id).is_some_and(Activity::is_active) {
            self.allocator.handle(now, AllocatorInput::AgentActivated { agent: arrival.index });
        }
        self.announce(&arrival, out);
    }

    /// Why an agent may not take part, by what operators said.
    fn refusal(&self, id: Option<&AgentId>, spec: &AgentSpec) -> Option<Refusal> {
        let registry = self.registry.state();
        if let Some(id) = id.filter(|id| registry.is_gone(id)) {
            return Some(Refusal { reason: format!("agent {id} was marked gone"), fatal: true });
        }
        let ip = spec.ip().map(|ip| ip.to_string()).unwrap_or_default();
        let is_down = registry.maintenance().is_down(&spec.hostname, &ip);
        let reason = "its machine is down for maintenance".to_owned();
        is_down.then_some(Refusal { reason, fatal: false })
    }

    fn announce(&mut self, arrival: &Arrival, out: &mut Out) {
        let again = arrival.again || arrival.was_unreachable;
        match again {
            true => self.counters.agent_reregistrations += 1,
            false => self.counters.agent_registrations += 1,
        }
        let Some(agent) = self.agents.get(arrival.index) else { return };
        out.effect(Effect::Notice(Notice::AgentRegistered {
            agent: arrival.id.clone(),
            hostname: Arc::clone(&agent.spec.hostname),
            again,
        }));
    }

    /// An agent without an id. If one that is disconnected had the same address, this is what
    /// became of it: it lost its work directory, and with it all that it ran.
    fn new_agent(&mut self, now: Now, spec: AgentSpec, link: LinkRef, out: &mut Out) -> Arrival {
        if let Some(index) = self.agents.disconnected_at(&spec) {
            self.remove_agent(now, index, "a new agent registered at its address", out);
        }
        let id = self.registry.new_agent_id(out);
        self.remember(AgentAdmitted { agent: id.clone(), info: spec.raw.clone() }, out);
        self.add_agent(now, id, spec, link)
    }

    /// An agent that was given its id before, by whichever master.
    fn returning(
        &mut self,
        now: Now,
        id: AgentId,
        spec: AgentSpec,
        link: LinkRef,
        out: &mut Out,
    ) -> Arrival {
        let Some(index) = self.agents.by_id.get(&id).copied() else {
            let again = self.awaits(&id);
            let was_unreachable = self.registry.state().unreachable_since(&id).is_some();
            self.readmit(&id, &spec, out);
            let arrival = self.add_agent(now, id, spec, link);
            return Arrival { again, was_unreachable, ..arrival };
        };
        self.readmit(&id, &spec, out);
        // Its old link may not be known to be broken yet.
        self.disconnect_agent(now, index, out);
        if let Some(agent) = self.agents.get_mut(index) {
            let changed =
                agent.spec.resources != spec.resources || agent.spec.attributes != spec.attributes;
            if changed {
                let total = spec.resources.clone();
                self.allocator.handle(now, AllocatorInput::AgentChanged { agent: index, total });
            }
            agent.spec = Arc::new(spec);
            agent.reregistered = Some(now.wall);
            agent.pings = Pings::default();
        }
        self.agents.set_link(index, Some(link));
        Arrival { index, id, again: true, was_unreachable: false }
    }

    /// Has the registry know a returning agent as it is now. One that comes back as it was costs
    /// nothing: so a master that starts doesn't write down its whole cluster again.
    fn readmit(&mut self, id: &AgentId, spec: &AgentSpec, out: &mut Out) {
        let registry = self.registry.state();
        let (agent, info) = (id.clone(), spec.raw.clone());
        if registry.unreachable_since(id).is_some() {
            self.remember(AgentReachable { agent, info }, out);
        } else if registry.admitted().get(id).is_none_or(|known| known.info != info) {
            self.remember(AgentAdmitted { agent, info }, out);
        }
    }

    /// Takes in an agent that isn't registered and is admitted.
    fn add_agent(&mut self, now: Now, id: AgentId, spec: AgentSpec, link: LinkRef) -> Arrival {
        let added = (spec.resources.clone(), spec.can("MULTI_ROLE"), spec.can("HIERARCHICAL_ROLE"));
        let (total, multi_role, hierarchical_role) = added;
        let index = self.agents.insert(Agent::new(id.clone(), spec, link, now.wall));
        self.allocator.handle(
            now,
            AllocatorInput::AgentAdded { agent: index, total, multi_role, hierarchical_role },
        );
        Arrival { index, id, again: false, was_unreachable: false }
    }

    fn removed_among(
        &self,
        tasks: &[TaskReport],
        frameworks: &[FrameworkReport],
    ) -> Vec<FrameworkId> {
        let reported: BTreeSet<_> = tasks
            .iter()
            .map(|task| &task.framework)
            .chain(frameworks.iter().map(|one| &one.id))
            .collect();
        reported.into_iter().filter(|id| self.registry.state().is_removed(id)).cloned().collect()
    }

    /// A framework that the master doesn't know is taken in as recovered: it may subscribe yet. One
    /// that changed while the agent was away is told to the agent.
    fn take_in_reported_framework(
        &mut self,
        now: Now,
        agent: AgentIx,
        report: FrameworkReport,
        out: &mut Out,
    ) {
        let FrameworkReport { id, mut spec } = report;
        if self.registry.state().is_removed(&id) {
            return;
        }
        match self.frameworks.find(&id) {
            Some((_, known)) if known.spec.raw != spec.raw => {
                let framework_info = known.spec.raw.clone();
                let message = AgentMessage::UpdateFramework { framework: id, framework_info };
                self.agents.tell(agent, message, out);
            }
            Some(_) => {}
            None => {
                spec.set_id(&id);
                self.add_framework(now, Framework::new(id, spec, now.wall));
            }
        }
    }

    fn reconcile_tasks(
        &mut self,
        now: Now,
        arrival: &Arrival,
        reports: Vec<TaskReport>,
        out: &mut Out,
    ) {
        let Some(agent) = self.agents.get(arrival.index) else { return };
        let mut missing = agent.tasks.clone();
        for report in reports {
            let Some((index, _)) = self.frameworks.find(&report.framework) else {
                // Torn down: the agent is told so. Or it reports tasks without their framework.
                continue;
            };
            match missing.remove(&(index, report.id.clone())) {
                true => self.task_is_still_there(now, index, &report, out),
                false => self.take_in_task(now, arrival, index, report, out),
            }
        }
        if missing.is_empty() {
            return;
        }
        if let Some(agent) = self.agents.get_mut(arrival.index) {
            agent.doubtful = missing;
        }
        self.ping(now, arrival.index, out);
    }

    /// The agent answered on the link over which it registered: it means what it said there.
    ///
    /// A registration alone doesn't prove that. It may have been given up long ago, by this life of
    /// the agent or an earlier one, and have lain in the network until now.
    pub(crate) fn confirm_registration(&mut self, now: Now, agent: AgentIx, out: &mut Out) {
        let Some(agent) = self.agents.get_mut(agent) else { return };
        for (index, task) in std::mem::take(&mut agent.doubtful) {
            self.task_is_missing(now, index, &task, out);
        }
    }

    /// The agent confirms a task; it may have ended meanwhile, and it may have to be killed.
    fn task_is_still_there(
        &mut self,
        now: Now,
        index: FrameworkIx,
        report: &TaskReport,
        out: &mut Out,
    ) {
        self.set_task_state(now, index, &report.id, report.state);
        self.repeat_kill(index, &report.id, out);
    }

    /// A task that the agent ought to have. Its start or its end was lost with the link.
    fn task_is_missing(&mut self, now: Now, index: FrameworkIx, task: &TaskId, out: &mut Out) {
        let made = Made {
            state: TaskState::TaskDropped,
            reason: Reason::Reconciliation,
            message: "Task is unknown to the agent that registered again",
        };
        self.end_task(now, index, task, &made, out);
        self.shelve(now, index, task, Shelf::Completed);
    }

    /// A task that the master doesn't have: from before its start, or of an agent that was
    /// unreachable.
    fn take_in_task(
        &mut self,
        now: Now,
        arrival: &Arrival,
        index: FrameworkIx,
        report: TaskReport,
        out: &mut Out,
    ) {
        let Some(framework) = self.frameworks.all.get_mut(index) else { return };
        if framework.tasks.contains_key(&report.id) {
            // Launched a second time elsewhere while this agent was away. The later one counts.
            out.effect(Effect::Notice(Notice::AgentMessageDropped {
                agent: Some(arrival.id.clone()),
                message: "Register",
                reason: format!("task {} runs on another agent", report.id),
            }));
            return;
        }
        let known = framework.unreachable.contains_key(&report.id);
        let returned =
            known.then(|| Arc::make_mut(&mut framework.unreachable).remove(&report.id)).flatten();
        if known {
            framework.unreachable_order.retain(|id| *id != report.id);
        }
        let role = role_of(&report.resources, framework);
        let mut statuses = returned.map_or_else(Vec::new, |task| task.statuses.clone());
        statuses.reserve_exact(1);
        statuses.extend(report.status.map(|status| Status::Forwarded {
            state: status.state,
            timestamp: status.timestamp,
            raw: status.kept,
        }));
        let task = Task {
            id: report.id,
            name: report.name,
            framework: report.framework,
            agent: arrival.id.clone(),
            executor: report.executor,
            resources: report.resources.allocated_to(&role),
            role,
            state: report.state,
            statuses,
            raw: report.raw,
        };
        if arrival.was_unreachable && !is_terminal(task.state) {
            let status = back_again(now, &task);
            framework.tell(SchedulerEvent::Update(Status::Made(Arc::new(status))), out);
        }
        let live = LiveTask::new(task, arrival.index);
        if live.holds {
            self.allocator.handle(
                now,
                AllocatorInput::Claimed {
                    framework: index,
                    role: live.task.role.clone(),
                    agent: arrival.index,
                    resources: live.task.resources.clone(),
                },
            );
        }
        self.add_task(index, live);
    }

    /// Asks the agent once more for a kill that may have been lost with the link.
    fn repeat_kill(&self, index: FrameworkIx, task: &TaskId, out: &mut Out) {
        let Some(framework) = self.frameworks.all.get(index) else { return };
        let Some(live) = framework.tasks.get(task) else { return };
        let Some(kill) = live.kill.filter(|_| !is_terminal(live.task.state)) else { return };
        let message = AgentMessage::KillTask {
            framework: framework.id.clone(),
            task: task.clone(),
            grace: kill.grace,
        };
        self.agents.tell(live.agent, message, out);
    }
}

/// Tells an agent that it may not take part.
fn refuse(link: LinkRef, spec: &AgentSpec, refusal: Refusal, out: &mut Out) {
    let Refusal { reason, fatal } = refusal;
    let hostname = Arc::clone(&spec.hostname);
    out.effect(Effect::Notice(Notice::AgentRefused { hostname, reason: reason.clone() }));
    out.effect(Effect::ToAgent { link, message: AgentMessage::Refused { reason, fatal } });
    out.effect(Effect::CloseLink { link });
}

/// What a task's resources are allocated to. Every task was launched with an allocation.
fn role_of(resources: &Resources, framework: &Framework) -> Role {
    let allocated = resources.iter().find_map(|one| one.allocation_role());
    allocated.or(framework.spec.roles.first()).cloned().unwrap_or_else(Role::star)
}

/// What is told of a task whose agent came back.
fn back_again(now: Now, task: &Task) -> MadeStatus {
    MadeStatus {
        task: Arc::from(task.id.as_str()),
        agent: Some(task.agent.clone()),
        executor: task.executor.clone(),
        state: task.state,
        source: Source::Master,
        reason: Some(Reason::AgentReregistered),
        message: "Unreachable agent re-registered".to_owned(),
        timestamp: now.wall,
        unreachable_time: None,
        details: task.last_forwarded(),
    }
}
