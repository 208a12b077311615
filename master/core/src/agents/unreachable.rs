//! Agents that fall silent, break off or leave.
//!
//! ```text
//! connected ──link closed──▶ disconnected ──missed pings──▶ unreachable
//!     └───────────────missed pings──────────────────────────────┘
//! ```
//! A disconnected agent's offers are rescinded and its tasks stay as they are, also those of
//! frameworks that don't checkpoint: an agent of ours keeps every task over a restart. It counts
//! as unreachable once it has been silent for as long as pings would have taken to find out.

use meros_proto::ids::{AgentId, TaskId};
use meros_proto::task_state::is_terminal;
use meros_proto::time::Now;
use meros_proto::v1::TaskState;
use meros_proto::v1::task_status::Reason;

use crate::allocator::AllocatorInput;
use crate::arena::{AgentIx, FrameworkIx};
use crate::input::LinkRef;
use crate::output::{AgentMessage, Effect, Notice, SchedulerEvent};
use crate::registry::ops::{AgentRemoved, AgentUnreachable};
use crate::tasks::{Made, Shelf};
use crate::timers::Timer;
use crate::{Master, Out};

impl Master {
    /// An agent's link broke.
    pub(crate) fn link_closed(&mut self, now: Now, link: LinkRef, out: &mut Out) {
        // A link that was replaced or never registered is nobody's.
        let Some((index, agent)) = self.agents.on_link(link) else { return };
        let agent = agent.id.clone();
        out.effect(Effect::Notice(Notice::AgentDisconnected { agent }));
        self.agents.set_link(index, None);
        self.deactivate(now, index, out);
        self.timers.set(Timer::Ping(index), now.mono + self.config.ping_interval);
    }

    /// Ends the link of an agent, if it has one: it connected anew, or is to do so.
    pub(crate) fn disconnect_agent(&mut self, now: Now, index: AgentIx, out: &mut Out) {
        if let Some(link) = self.agents.set_link(index, None) {
            out.effect(Effect::CloseLink { link });
        }
        self.deactivate(now, index, out);
    }

    fn deactivate(&mut self, now: Now, index: AgentIx, out: &mut Out) {
        if let Some(pings) = self.agents.pings_mut(index) {
            pings.unanswered = true;
        }
        self.allocator.handle(now, AllocatorInput::AgentDeactivated { agent: index });
        self.rescind_offers_of(now, index, out);
    }

    /// An agent is to be pinged, unless it has missed too many pings already.
    pub(crate) fn ping(&mut self, now: Now, index: AgentIx, out: &mut Out) {
        let Some(pings) = self.agents.pings_mut(index) else { return };
        if pings.unanswered {
            pings.missed += 1;
        }
        if pings.missed >= self.config.ping_timeouts {
            return self.mark_unreachable(now, index, out);
        }
        pings.unanswered = true;
        pings.sequence += 1;
        let message = AgentMessage::Ping { sequence: pings.sequence };
        self.agents.tell(index, message, out);
        self.timers.set(Timer::Ping(index), now.mono + self.config.ping_interval);
    }

    /// An agent answered a ping. An answer to an earlier one is late, but a sign of life too.
    pub(crate) fn pong(&mut self, now: Now, link: LinkRef, sequence: u64, out: &mut Out) {
        let Some((index, _)) = self.agents.on_link(link) else {
            return self.drop_agent_message(link, "Pong", "its link is not registered", out);
        };
        if let Some(pings) = self.agents.pings_mut(index) {
            pings.missed = 0;
            pings.unanswered = sequence < pings.sequence;
        }
        self.confirm_registration(now, index, out);
    }

    /// An agent leaves for good.
    pub(crate) fn unregister(&mut self, now: Now, link: LinkRef, reason: String, out: &mut Out) {
        let Some((index, agent)) = self.agents.on_link(link) else {
            return self.drop_agent_message(link, "Unregister", "its link is not registered", out);
        };
        out.effect(Effect::Notice(Notice::AgentUnregistered { agent: agent.id.clone(), reason }));
        self.remove_agent(now, index, "the agent unregistered", out);
    }

    fn mark_unreachable(&mut self, now: Now, index: AgentIx, out: &mut Out) {
        let Some(agent) = self.agents.get(index) else { return };
        let id = agent.id.clone();
        self.remember_unreachable(now, id, out);
        let made = Made {
            state: TaskState::TaskUnreachable,
            reason: Reason::AgentRemoved,
            message: "Agent became unreachable: it did not answer pings",
        };
        self.lose_agent(now, index, &made, out);
    }

    fn remember_unreachable(&mut self, now: Now, agent: AgentId, out: &mut Out) {
        self.remember(AgentUnreachable { agent: agent.clone(), since: now.wall }, out);
        out.effect(Effect::Notice(Notice::AgentUnreachable { agent }));
        self.counters.agent_unreachable += 1;
    }

    /// Removes an agent that isn't coming back under its id.
    pub(crate) fn remove_agent(&mut self, now: Now, index: AgentIx, why: &str, out: &mut Out) {
        let Some(agent) = self.agents.get(index) else { return };
        self.remember(AgentRemoved { agent: agent.id.clone() }, out);
        // TASK_LOST also for frameworks that know better states, as in Mesos.
        let message = format!("Agent was removed: {why}");
        let made =
            Made { state: TaskState::TaskLost, reason: Reason::AgentRemoved, message: &message };
        self.lose_agent(now, index, &made, out);
    }

    /// Takes an agent out of the books: its offers are rescinded, its tasks end or are set aside,
    /// all frameworks are told.
    fn lose_agent(&mut self, now: Now, index: AgentIx, made: &Made<'_>, out: &mut Out) {
        self.counters.agent_removals += 1;
        self.disconnect_agent(now, index, out);
        let tasks = self.agents.get(index).map(|agent| agent.tasks.clone());
        for (framework, task) in tasks.into_iter().flatten() {
            self.lose_task(now, framework, &task, made, out);
        }
        self.timers.cancel(Timer::Ping(index));
        self.allocator.handle(now, AllocatorInput::AgentRemoved { agent: index });
        let Some(agent) = self.agents.remove(index) else { return };
        for (_, framework) in self.frameworks.all.iter() {
            let agent = agent.id.clone();
            let event = SchedulerEvent::Failure { agent, executor: None, wait_status: None };
            framework.tell(event, out);
        }
    }

    fn lose_task(
        &mut self,
        now: Now,
        index: FrameworkIx,
        task: &TaskId,
        made: &Made<'_>,
        out: &mut Out,
    ) {
        let live = self.frameworks.all.get(index).and_then(|framework| framework.tasks.get(task));
        let Some(live) = live else { return };
        // One that was over already, and only waits for its acknowledgement, is simply done.
        let may_return = made.state == TaskState::TaskUnreachable && !is_terminal(live.task.state);
        self.end_task(now, index, task, made, out);
        let shelf = if may_return { Shelf::Unreachable } else { Shelf::Completed };
        self.shelve(now, index, task, shelf);
    }

    /// Agents known from before the master's start have had their time to come back.
    pub(crate) fn give_up_recovered_agents(&mut self, now: Now, out: &mut Out) {
        let admitted = self.registry.state().admitted().keys();
        let awaited: Vec<_> = admitted.filter(|agent| self.awaits(agent)).cloned().collect();
        for agent in awaited {
            self.remember_unreachable(now, agent, out);
        }
    }

    /// Notes that a message of an agent has no effect.
    pub(crate) fn drop_agent_message(
        &self,
        link: LinkRef,
        message: &'static str,
        reason: &str,
        out: &mut Out,
    ) {
        let agent = self.agents.on_link(link).map(|(_, agent)| agent.id.clone());
        let reason = reason.to_owned();
        out.effect(Effect::Notice(Notice::AgentMessageDropped { agent, message, reason }));
    }
}
