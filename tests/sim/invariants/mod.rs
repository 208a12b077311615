//! What must always hold, watched from outside: what really runs, what is really on disk, and what
//! was really said, beside what each process believes.
//!
//! [`tasks`] follows tasks and their updates, [`offers`] how often something is offered, [`marathon`]
//! what users were promised; [`rest`] compares everybody once all is calm.

pub(crate) mod marathon;
pub(crate) mod offers;
pub(crate) mod rest;
pub(crate) mod tasks;

use meros_agent_core::Record as AgentRecord;
use meros_master_core::registry::{Op, State};
use meros_proto::ids::{AgentId, FrameworkId};

use marathon::MarathonWatch;
use offers::OfferWatch;
use tasks::TaskWatch;

/// An invariant that didn't hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Broken {
    /// Its name.
    pub(crate) invariant: &'static str,
    /// What was found in its place.
    pub(crate) how: String,
}

/// A rule and how it was broken.
pub(crate) type Breach = (&'static str, String);

/// What is really so.
#[derive(Debug)]
pub(crate) struct Truth {
    pub(crate) tasks: TaskWatch,
    pub(crate) offers: OfferWatch,
    pub(crate) marathon: MarathonWatch,
    /// The master's books are walked so often.
    pub(crate) look_every: u64,
    /// What the master has on disk.
    pub(crate) registry: State,
}

impl Default for Truth {
    fn default() -> Self {
        Self {
            tasks: TaskWatch::default(),
            offers: OfferWatch::default(),
            marathon: MarathonWatch::default(),
            look_every: 16,
            registry: State::default(),
        }
    }
}

impl Truth {
    /// The master starts (again).
    pub(crate) fn master_starts(&mut self) {
        self.offers = OfferWatch::default();
    }

    /// Something is on the master's disk.
    pub(crate) fn master_stored(&mut self, op: &Op) -> Option<Breach> {
        if let Op::FrameworkRemoved(removed) = op {
            self.tasks.framework_removed(&removed.framework);
        }
        let rejected = self.registry.apply(op).err()?;
        Some(("every operation on disk fits the registry", format!("{op:?}: {rejected}")))
    }

    pub(crate) fn is_admitted(&self, agent: &AgentId) -> bool {
        self.registry.admitted().contains_key(agent)
    }

    pub(crate) fn is_removed(&self, framework: &FrameworkId) -> bool {
        self.registry.is_removed(framework)
    }

    /// Something is on an agent's disk.
    pub(crate) fn agent_stored(&mut self, host: usize, record: &AgentRecord) -> Option<Breach> {
        match record {
            AgentRecord::Accepted { task, container } => {
                self.tasks.accepted(&task.key, container);
                None
            }
            AgentRecord::Update { task, update } => self.tasks.update_stored(host, task, update),
            AgentRecord::Stopping { task, .. } => {
                self.tasks.stopping(task);
                None
            }
            AgentRecord::Forgotten(key) => {
                self.tasks.forgotten(key);
                None
            }
            AgentRecord::Left => {
                self.tasks.agent_left(host);
                None
            }
            _ => None,
        }
    }
}
