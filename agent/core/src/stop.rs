//! The agent's own end: all tasks first, then goodbye.

use meros_proto::time::{Mono, Now};

use crate::dispatch::{Agent, Out, info, warn};
use crate::effect::{Effect, ToMaster};
use crate::record::Record;
use crate::task::{TaskKey, Why};
use crate::timers::Timer;

/// The agent is going.
#[derive(Debug)]
pub(crate) struct Leaving {
    /// Tell the master, which then forgets this agent; what starts here next is a new one.
    unregister: bool,
    outcome: Result<(), String>,
    /// Until then the last updates may be acknowledged; set when the last task has ended.
    farewell: Option<Mono>,
    stopped: bool,
}

impl Leaving {
    /// Because it was asked to.
    fn in_order() -> Self {
        Self { unregister: true, outcome: Ok(()), farewell: None, stopped: false }
    }

    /// Because it can't go on. It stays in the master's books, for the next start to take up.
    pub(crate) fn after_error(reason: String) -> Self {
        Self { unregister: false, outcome: Err(reason), farewell: None, stopped: false }
    }
}

impl Agent {
    /// Somebody wants the agent to end.
    pub(crate) fn stop(&mut self, now: Now, out: &mut Out) {
        info(out, format!("stopping; ending {} tasks", self.containers.len()));
        self.leave(now, Leaving::in_order(), out);
    }

    /// Ends all tasks; the first reason to leave is the one that counts.
    pub(crate) fn leave(&mut self, now: Now, leaving: Leaving, out: &mut Out) {
        if self.leaving.is_some() {
            return;
        }
        if let Err(reason) = &leaving.outcome {
            warn(out, format!("ending {} tasks: {reason}", self.containers.len()));
        }
        self.leaving = Some(leaving);
        let live: Vec<TaskKey> = self.containers.values().cloned().collect();
        for key in live {
            self.stop_task(now, &key, Why::Killed, self.config.shutdown_grace, out);
        }
    }

    /// Whether goodbye was said.
    pub(crate) fn has_left(&self) -> bool {
        self.leaving.as_ref().is_some_and(|leaving| leaving.stopped)
    }

    /// Says goodbye once no container is left and all was heard, or waited for long enough.
    pub(crate) fn leave_when_done(&mut self, now: Now, out: &mut Out) {
        let Some(leaving) = &mut self.leaving else { return };
        if leaving.stopped || !self.containers.is_empty() {
            return;
        }
        let owed = self.tasks.values().any(|task| task.updates.are_owed());
        if owed && self.link.registered().is_some() {
            let until = *leaving.farewell.get_or_insert(now.mono + self.config.farewell);
            if now.mono < until {
                return self.timers.set(until, Timer::Farewell);
            }
        }
        leaving.stopped = true;
        let (unregister, outcome) = (leaving.unregister, leaving.outcome.clone());
        if let Some(session) = self.link.registered()
            && unregister
        {
            out.persist(Record::Left);
            let message = ToMaster::Unregister { reason: "the agent was told to stop".to_owned() };
            out.effect(Effect::ToMaster { session, message });
        }
        out.effect(Effect::Stopped(outcome));
    }
}
