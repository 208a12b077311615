//! The talk with the master: who the agent is, that it lives, and when to connect again.
//!
//! Knows nothing of back-off: which master to try, and how often, is the shell's.

use std::time::Duration;

use meros_proto::ids::{AgentId, FrameworkId};
use meros_proto::time::{Mono, Now};

use crate::dispatch::{Agent, Out, info};
use crate::effect::{Effect, Registration, TaskReport, ToMaster};
use crate::record::Record;
use crate::stop::Leaving;
use crate::task::TaskKey;
use crate::timers::Timer;

/// The stream to the master.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Link {
    /// None.
    Down,
    /// Open; the registration was sent and not answered.
    Open { session: u64 },
    /// The agent is part of the cluster.
    Registered { session: u64, master: String, silence: Duration, heard_at: Mono },
}

impl Link {
    pub(crate) fn session(&self) -> Option<u64> {
        match self {
            Self::Down => None,
            Self::Open { session } | Self::Registered { session, .. } => Some(*session),
        }
    }

    /// The stream over which updates may go.
    pub(crate) fn registered(&self) -> Option<u64> {
        match self {
            Self::Registered { session, .. } => Some(*session),
            Self::Down | Self::Open { .. } => None,
        }
    }

    pub(crate) fn heard(&mut self, now: Mono) {
        if let Self::Registered { heard_at, .. } = self {
            *heard_at = now;
        }
    }
}

impl Agent {
    /// A stream is open: says who the agent is and all that it holds.
    pub(crate) fn link_up(&mut self, session: u64, out: &mut Out) {
        self.link = Link::Open { session };
        self.pause_updates();
        let message = ToMaster::Register(self.registration());
        out.effect(Effect::ToMaster { session, message });
    }

    /// The stream is gone: updates wait for the next one.
    pub(crate) fn link_down(&mut self, session: u64) {
        if self.link.session() == Some(session) {
            self.link = Link::Down;
            self.pause_updates();
        }
    }

    pub(crate) fn registered(
        &mut self,
        now: Now,
        agent: AgentId,
        master: String,
        silence: Duration,
        out: &mut Out,
    ) {
        let Some(session) = self.link.session() else { return };
        match &self.id {
            Some(known) if *known != agent => {
                // Sandboxes and statuses carry the id; two of them in one life can't be told apart.
                let reason = format!(
                    "the master registered this agent as {agent}, but its work directory belongs \
                     to {known}"
                );
                return self.leave(now, Leaving::after_error(reason), out);
            }
            Some(_) => {}
            None => {
                out.persist(Record::Admitted(agent.clone()));
                self.id = Some(agent.clone());
            }
        }
        info(out, format!("registered as {agent} with master {master}"));
        self.counters.registrations += 1;
        self.link = Link::Registered { session, master, silence, heard_at: now.mono };
        self.timers.set(now.mono + silence, Timer::Silence);
        let keys: Vec<TaskKey> = self.tasks.keys().cloned().collect();
        for key in keys {
            self.forward(now, &key, out);
        }
    }

    pub(crate) fn refused(&mut self, now: Now, reason: String, is_final: bool, out: &mut Out) {
        let Some(session) = self.link.session() else { return };
        let reason = format!("the master refused this agent: {reason}");
        if is_final {
            self.leave(now, Leaving::after_error(reason), out);
        } else {
            out.effect(Effect::Disconnect { session, reason });
        }
    }

    pub(crate) fn pong(&mut self, sequence: u64, out: &mut Out) {
        if let Some(session) = self.link.session() {
            out.effect(Effect::ToMaster { session, message: ToMaster::Pong { sequence } });
        }
    }

    /// Gives the stream up when the master has been silent for too long.
    pub(crate) fn check_silence(&mut self, now: Now, out: &mut Out) {
        let Link::Registered { session, silence, heard_at, .. } = &self.link else { return };
        let silent_at = *heard_at + *silence;
        if now.mono < silent_at {
            self.timers.set(silent_at, Timer::Silence);
            return;
        }
        let reason = format!("nothing heard from the master for {silence:?}");
        out.effect(Effect::Disconnect { session: *session, reason });
        // Said once: the shell answers with LinkDown.
        self.link = Link::Open { session: *session };
        self.pause_updates();
    }

    fn pause_updates(&mut self) {
        for task in self.tasks.values_mut() {
            task.updates.pause();
        }
    }

    fn registration(&self) -> Registration {
        // An entry without a TaskInfo only carries the answer to a kill of an unknown task.
        let known = self.tasks.values().filter(|task| !task.spec.encoded.is_empty());
        let tasks: Vec<TaskReport> = known
            .map(|task| TaskReport {
                spec: task.spec.clone(),
                container: task.container.clone(),
                latest: task.updates.said().last().cloned(),
            })
            .collect();
        let has_tasks = |id: &FrameworkId| tasks.iter().any(|task| task.spec.key.framework == *id);
        let frameworks =
            self.frameworks.values().filter(|framework| has_tasks(&framework.id)).cloned();
        let frameworks = frameworks.collect();
        Registration { agent: self.id.clone(), tasks, frameworks }
    }
}
