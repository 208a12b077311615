//! How often each thing happened: so that one sees that it did.

use std::collections::BTreeMap;
use std::fmt;

use crate::faults;
use meros_marathon_core::deployment::ActionKind;
use meros_marathon_core::events::EventKind;
use meros_master_core::Notice;

/// What must have happened somewhere in a batch of seeds, or the simulation proves too little.
pub(crate) const EXPECTED: &[&str] = &[
    "a call was sent again",
    "a launch came to nothing",
    "a start failed",
    "agent became unreachable",
    "agent gave up a silent master",
    "agent registered again",
    "agent started and found containers",
    "agent was stopped in order",
    "an agent's log was shortened",
    "connections were cut",
    "deployment finished",
    "deployment was given up",
    "died of a full disk",
    "framework failed over",
    "framework tore itself down",
    "framework was removed",
    "killed after a sync, before its effects",
    "killed before a sync",
    "killed between two effects",
    "killed in the middle of a sync",
    "marathon adopted instances",
    "marathon resumed deployments",
    "operator tore a framework down",
    "stray task ended",
    "tasks were killed",
    "the master's log was shortened",
    "upgrade finished",
];

/// Counters by name.
#[derive(Debug, Default, Clone)]
pub(crate) struct Counts(BTreeMap<&'static str, u64>);

impl Counts {
    /// It happened once more.
    pub(crate) fn add(&mut self, what: &'static str) {
        *self.0.entry(what).or_default() += 1;
    }

    /// What should have happened and did not.
    pub(crate) fn missing(&self) -> Vec<&'static str> {
        let expected = EXPECTED.iter().chain(faults::names());
        expected.filter(|what| !self.0.contains_key(**what)).copied().collect()
    }

    /// Adds all of another run's.
    pub(crate) fn absorb(&mut self, other: &Self) {
        for (what, count) in &other.0 {
            *self.0.entry(what).or_default() += count;
        }
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (what, count) in &self.0 {
            writeln!(f, "{count:>10}  {what}")?;
        }
        Ok(())
    }
}

impl Counts {
    /// What Marathon says of itself.
    pub(crate) fn published(&mut self, event: &EventKind) {
        match event {
            EventKind::DeploymentSuccess { plan, .. } => {
                let mut actions = plan.steps.iter().flat_map(|step| &step.actions);
                if actions.any(|action| action.kind == ActionKind::Restart) {
                    self.add("upgrade finished");
                } else if !plan.steps.is_empty() {
                    self.add("deployment finished");
                }
            }
            EventKind::DeploymentFailed { .. } => self.add("deployment was given up"),
            EventKind::UnknownInstanceTerminated { .. } => self.add("stray task ended"),
            _ => {}
        }
    }

    /// What the master says of itself.
    pub(crate) fn noticed(&mut self, notice: &Notice) {
        match notice {
            Notice::AgentRegistered { again: true, .. } => self.add("agent registered again"),
            Notice::AgentUnreachable { .. } => self.add("agent became unreachable"),
            Notice::FrameworkRemoved { .. } => self.add("framework was removed"),
            _ => {}
        }
    }
}
