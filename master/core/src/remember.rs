//! How the master's decisions get into its registry, and old ones out of it.

use meros_proto::ids::AgentId;
use meros_proto::time::{Now, Timestamp};

use crate::output::{Effect, Notice};
use crate::registry::Op;
use crate::registry::ops::{GoneTrimmed, RemovedFrameworksTrimmed, UnreachableTrimmed};
use crate::timers::Timer;
use crate::{Master, Out};

/// Removed frameworks that are remembered, whatever their age.
const REMOVED_FRAMEWORKS_MAX: u32 = 100_000;

impl Master {
    /// Has the registry remember a decision that was made. It was looked at what the registry says
    /// before; should it refuse all the same, that is noted, and the decision holds until a restart.
    pub(crate) fn remember(&mut self, op: impl Into<Op>, out: &mut Out) {
        if let Err(rejected) = self.registry.propose(op, out) {
            let reason = rejected.to_string();
            out.effect(Effect::Notice(Notice::OperationRejected { reason }));
        }
    }

    /// Whether agents that were admitted before the master's start aren't back yet.
    ///
    /// All that are registered are admitted, so counting tells.
    pub(crate) fn awaits_agents(&self) -> bool {
        self.registry.state().admitted().len() > self.agents.by_id.len()
    }

    /// Whether this agent was admitted before the master's start and isn't back yet.
    pub(crate) fn awaits(&self, agent: &AgentId) -> bool {
        self.registry.state().admitted().contains_key(agent)
            && !self.agents.by_id.contains_key(agent)
    }

    /// Has the registry forget what is too old or too much.
    pub(crate) fn forget_old(&mut self, now: Now, out: &mut Out) {
        let age = self.config.registry_max_agent_age;
        let (before, keep) = (now.wall - age, self.config.registry_max_agent_count);
        let always = Timestamp::default();
        let removed = RemovedFrameworksTrimmed { before: always, keep: REMOVED_FRAMEWORKS_MAX };
        for op in [
            Op::from(UnreachableTrimmed { before, keep }),
            Op::from(GoneTrimmed { before, keep }),
            Op::from(removed),
        ] {
            // Mostly there is nothing to forget, and then nothing to write.
            if op.check(self.registry.state()).is_ok() {
                self.remember(op, out);
            }
        }
        self.timers.set(Timer::Forget, now.mono + self.config.registry_gc_interval);
    }
}
