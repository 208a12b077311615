//! A scheduler's calls other than SUBSCRIBE: who may make them, and what each leads to.
//!
//! 202 means that the call was taken in, no more: what goes wrong later is told on the event
//! stream, or not at all.

use std::time::Duration;

use bytes::Bytes;
use meros_proto::ids::{AgentId, ExecutorId, TaskId};
use meros_proto::time::Now;

use crate::allocator::AllocatorInput;
use crate::arena::FrameworkIx;
use crate::frameworks::Connection;
use crate::input::{Call, SchedulerCall};
use crate::output::{AgentMessage, Answer, Effect, Notice, Refusal};
use crate::tasks::Kill;
use crate::{Master, Out};

impl Master {
    pub(crate) fn call(&mut self, now: Now, call: Call, out: &mut Out) {
        let to = call.reply;
        match self.admissible(&call) {
            Ok(index) => {
                self.counters.calls.count(&call.call);
                out.effect(Effect::Reply { to, answer: Answer::Accepted });
                self.carry_out(now, index, call, out);
            }
            Err(refusal) => out.effect(Effect::Reply { to, answer: Answer::Refused(refusal) }),
        }
    }

    /// The checks that need the master's state, in Mesos's order.
    fn admissible(&self, call: &Call) -> Result<FrameworkIx, Refusal> {
        let Some((index, framework)) = self.frameworks.find(&call.framework) else {
            return Err(Refusal::FrameworkNotFound);
        };
        if let Some(caller) = &call.caller.principal
            && Some(caller) != framework.spec.principal.as_ref()
        {
            return Err(Refusal::PrincipalMismatch {
                caller: caller.clone(),
                framework: framework.spec.principal.clone().unwrap_or_default(),
            });
        }
        let Connection::Connected { stream_id, .. } = &framework.connection else {
            return Err(Refusal::NotSubscribed);
        };
        match &call.stream_id {
            None => Err(Refusal::StreamIdMissing),
            Some(given) if given != stream_id.as_str() => Err(Refusal::StreamIdMismatch {
                given: given.clone(),
                framework: call.framework.clone(),
            }),
            Some(_) => match &call.call {
                SchedulerCall::Unbuilt { name } => Err(Refusal::NotImplemented(name)),
                _ => Ok(index),
            },
        }
    }

    fn carry_out(&mut self, now: Now, index: FrameworkIx, call: Call, out: &mut Out) {
        use SchedulerCall as Wanted;
        match call.call {
            Wanted::Accept { offers, operations, filters } => {
                self.accept(now, index, &offers, operations, filters, out);
            }
            Wanted::Decline { offers, filters } => {
                self.decline(now, &call.framework, &offers, filters);
            }
            Wanted::Revive { roles } => self.revive(now, index, &roles, out),
            Wanted::Suppress { roles } => self.suppress(now, index, &roles, out),
            Wanted::Kill { task, agent, grace } => {
                self.kill(now, index, &task, agent.as_ref(), grace, out);
            }
            Wanted::Acknowledge { agent, task, uuid } => {
                self.acknowledge(now, index, &agent, task, uuid, out);
            }
            Wanted::Reconcile { tasks } => self.reconcile(now, index, tasks, out),
            Wanted::Teardown => {
                self.remove_framework(now, index, "its scheduler tore it down", out);
            }
            Wanted::Shutdown { executor, agent } => {
                self.shutdown(now, index, &executor, &agent, out);
            }
            Wanted::Message { agent, executor, data } => {
                self.message(index, &agent, executor, data, out);
            }
            // Accepted and ignored, as the built-in allocator of Mesos does.
            Wanted::Request | Wanted::Unbuilt { .. } => {}
        }
    }

    /// REVIVE: offers are wanted again, and refusals are void.
    fn revive(&mut self, now: Now, index: FrameworkIx, roles: &[String], out: &mut Out) {
        self.for_roles(now, index, roles, "REVIVE", out, |framework, role| {
            AllocatorInput::Revived { framework, role }
        });
    }

    /// SUPPRESS: no offers are wanted. Those that are out stay.
    fn suppress(&mut self, now: Now, index: FrameworkIx, roles: &[String], out: &mut Out) {
        self.for_roles(now, index, roles, "SUPPRESS", out, |framework, role| {
            AllocatorInput::Suppressed { framework, role }
        });
    }

    /// Tells the allocator something for each of the roles, all when none is named. One role that
    /// the framework isn't subscribed to voids the whole call, silently.
    fn for_roles(
        &mut self,
        now: Now,
        index: FrameworkIx,
        names: &[String],
        call: &'static str,
        out: &mut Out,
        input: impl Fn(FrameworkIx, meros_proto::resources::Role) -> AllocatorInput,
    ) {
        let Some(framework) = self.frameworks.all.get(index) else { return };
        let subscribed = &framework.spec.roles;
        let mut roles = Vec::new();
        for name in names {
            match subscribed.iter().find(|role| role.as_str() == name) {
                Some(role) => roles.push(role.clone()),
                None => {
                    let reason = format!("it is not subscribed to role '{name}'");
                    return self.drop_call(index, call, reason, out);
                }
            }
        }
        if names.is_empty() {
            roles.clone_from(subscribed);
        }
        for role in roles {
            self.allocator.handle(now, input(index, role));
        }
    }

    /// KILL: passed on to the agent, and remembered until the task ends, since the message may be
    /// lost with the link. Of an unknown task the scheduler is told what is known.
    fn kill(
        &mut self,
        now: Now,
        index: FrameworkIx,
        task: &TaskId,
        agent: Option<&AgentId>,
        grace: Option<Duration>,
        out: &mut Out,
    ) {
        let Some(framework) = self.frameworks.all.get_mut(index) else { return };
        let Some(live) = framework.tasks.get_mut(task) else {
            return self.reconcile_one(now, index, task, agent, out);
        };
        if let Some(agent) = agent
            && *agent != live.task.agent
        {
            let reason = format!("task {task} is on agent {}, not {agent}", live.task.agent);
            return self.drop_call(index, "KILL", reason, out);
        }
        live.kill = Some(Kill { grace });
        let message =
            AgentMessage::KillTask { framework: framework.id.clone(), task: task.clone(), grace };
        self.agents.tell(live.agent, message, out);
    }

    /// SHUTDOWN: the executor of a command task is called as the task, and ends with it. Other
    /// executors can't be there yet.
    fn shutdown(
        &mut self,
        now: Now,
        index: FrameworkIx,
        executor: &ExecutorId,
        agent: &AgentId,
        out: &mut Out,
    ) {
        let framework = self.frameworks.all.get(index);
        let task = framework
            .and_then(|framework| framework.tasks.get(executor.as_str()))
            .filter(|live| live.task.executor.is_none() && live.task.agent == *agent)
            .map(|live| live.task.id.clone());
        match task {
            Some(task) => self.kill(now, index, &task, Some(agent), None, out),
            None => {
                let reason = format!("executor {executor} is unknown on agent {agent}");
                self.drop_call(index, "SHUTDOWN", reason, out);
            }
        }
    }

    /// MESSAGE: passed on, or lost.
    fn message(
        &self,
        index: FrameworkIx,
        agent: &AgentId,
        executor: ExecutorId,
        data: Bytes,
        out: &mut Out,
    ) {
        let Some(framework) = self.frameworks.all.get(index) else { return };
        match self.agents.connected(agent) {
            Some(on) => {
                let framework = framework.id.clone();
                let message = AgentMessage::ExecutorMessage { framework, executor, data };
                self.agents.tell(on, message, out);
            }
            None => {
                self.drop_call(index, "MESSAGE", format!("agent {agent} is not connected"), out);
            }
        }
    }

    /// Notes that a call was accepted and has no effect.
    pub(crate) fn drop_call(
        &self,
        index: FrameworkIx,
        call: &'static str,
        reason: String,
        out: &mut Out,
    ) {
        let Some(framework) = self.frameworks.all.get(index) else { return };
        let framework = framework.id.clone();
        out.effect(Effect::Notice(Notice::CallDropped { framework, call, reason }));
    }
}
