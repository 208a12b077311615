//! What the master knows of frameworks, subscribed or not, and how it tells them things.
//!
//! SUBSCRIBE is in [`crate::subscribe`], the end of a stream or of a framework in
//! [`crate::failover`].

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use meros_proto::ids::{FrameworkId, StreamId, TaskId};
use meros_proto::resources::Resources;
use meros_proto::time::{Now, Timestamp};

use crate::allocator::AllocatorInput;
use crate::arena::{AgentIx, Arena, FrameworkIx};
use crate::input::StreamRef;
use crate::model::{FrameworkSpec, Task};
use crate::output::{Effect, SchedulerEvent};
use crate::snapshot::FrameworkView;
use crate::tasks::LiveTask;
use crate::{Master, Out};

/// Torn-down ids that are remembered; the oldest are forgotten first.
const REMOVED_MAX: usize = 100_000;

/// One framework.
#[derive(Debug)]
pub(crate) struct Framework {
    pub(crate) id: FrameworkId,
    pub(crate) spec: Arc<FrameworkSpec>,
    pub(crate) connection: Connection,
    pub(crate) registered: Timestamp,
    pub(crate) reregistered: Option<Timestamp>,
    pub(crate) unregistered: Option<Timestamp>,
    /// Live tasks, and terminal ones that are not acknowledged.
    pub(crate) tasks: BTreeMap<TaskId, LiveTask>,
    /// Tasks on agents that became unreachable, with the order in which they did.
    pub(crate) unreachable: BTreeMap<TaskId, Arc<Task>>,
    pub(crate) unreachable_order: VecDeque<TaskId>,
    /// Tasks that ended, oldest first.
    pub(crate) completed: VecDeque<Arc<Task>>,
    pub(crate) offers: BTreeSet<u64>,
    /// Scalars only: see [`summable`].
    pub(crate) used: Resources,
    /// Likewise.
    pub(crate) offered: Resources,
    /// Agents that hold tasks of it, with how many.
    pub(crate) tasks_on: BTreeMap<AgentIx, u32>,
}

/// How a framework is reached.
///
/// ```text
/// Recovered ──SUBSCRIBE──▶ Connected ◀──SUBSCRIBE── Disconnected
///                              └──stream closed──────▶──┘ └─failover timeout─▶ removed
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Connection {
    /// On this stream; calls have to carry its id.
    Connected { stream: StreamRef, stream_id: StreamId },
    /// It was connected, and may come back until its failover timeout is over.
    Disconnected,
    /// Known from agents only, since before the master's start. It is never timed out.
    Recovered,
}

/// All frameworks.
#[derive(Debug)]
pub(crate) struct Frameworks {
    pub(crate) all: Arena<FrameworkIx, Framework>,
    pub(crate) by_id: BTreeMap<FrameworkId, FrameworkIx>,
    pub(crate) by_stream: BTreeMap<StreamRef, FrameworkIx>,
    pub(crate) completed: VecDeque<Arc<FrameworkView>>,
    removed: BTreeSet<FrameworkId>,
    removed_order: VecDeque<FrameworkId>,
    minted: u32,
}

impl Framework {
    pub(crate) fn new(id: FrameworkId, spec: FrameworkSpec, now: Timestamp) -> Self {
        Self {
            id,
            spec: Arc::new(spec),
            connection: Connection::Recovered,
            registered: now,
            reregistered: None,
            unregistered: None,
            tasks: BTreeMap::new(),
            unreachable: BTreeMap::new(),
            unreachable_order: VecDeque::new(),
            completed: VecDeque::new(),
            offers: BTreeSet::new(),
            used: Resources::new(),
            offered: Resources::new(),
            tasks_on: BTreeMap::new(),
        }
    }

    /// The stream it listens on, while it does.
    pub(crate) fn stream(&self) -> Option<StreamRef> {
        match self.connection {
            Connection::Connected { stream, .. } => Some(stream),
            Connection::Disconnected | Connection::Recovered => None,
        }
    }

    /// Sends it an event if it is connected.
    pub(crate) fn tell(&self, event: SchedulerEvent, out: &mut Out) {
        if let Some(stream) = self.stream() {
            out.effect(Effect::Event { stream, event });
        }
    }

    /// Whether it knows more states than TASK_LOST.
    pub(crate) fn is_partition_aware(&self) -> bool {
        self.spec.capabilities.partition_aware
    }
}

/// The part of `resources` that adds up over agents: the same port of two agents is two things,
/// but would count as one.
pub(crate) fn summable(resources: &Resources) -> Resources {
    resources.filter(|one| one.as_scalar().is_some())
}

impl Frameworks {
    pub(crate) fn new() -> Self {
        Self {
            all: Arena::new(),
            by_id: BTreeMap::new(),
            by_stream: BTreeMap::new(),
            completed: VecDeque::new(),
            removed: BTreeSet::new(),
            removed_order: VecDeque::new(),
            minted: 0,
        }
    }

    /// A fresh id: `<master>-0000`, counted up.
    pub(crate) fn mint(&mut self, master: &str) -> FrameworkId {
        let id = format!("{master}-{:04}", self.minted);
        self.minted += 1;
        FrameworkId::parse(&id).expect("a master's id with a number is an id")
    }

    /// The framework of this id, with its number.
    pub(crate) fn find(&self, id: &FrameworkId) -> Option<(FrameworkIx, &Framework)> {
        let index = *self.by_id.get(id)?;
        Some((index, self.all.get(index)?))
    }

    /// Whether a framework of this id was torn down or timed out.
    pub(crate) fn was_removed(&self, id: &FrameworkId) -> bool {
        self.removed.contains(id)
    }

    /// Remembers that the id can't be used any more.
    pub(crate) fn remember_removed(&mut self, id: FrameworkId) {
        if !self.removed.insert(id.clone()) {
            return;
        }
        self.removed_order.push_back(id);
        if self.removed_order.len() > REMOVED_MAX
            && let Some(oldest) = self.removed_order.pop_front()
        {
            self.removed.remove(&oldest);
        }
    }
}

impl Master {
    /// Takes in a framework that wasn't known.
    pub(crate) fn add_framework(&mut self, now: Now, framework: Framework) -> FrameworkIx {
        let id = framework.id.clone();
        let index = self.frameworks.all.insert(framework);
        self.frameworks.by_id.insert(id, index);
        self.describe_framework(now, index);
        index
    }

    /// Tells the allocator what a framework says of itself.
    pub(crate) fn describe_framework(&mut self, now: Now, index: FrameworkIx) {
        let Some(framework) = self.frameworks.all.get(index) else { return };
        let spec = &framework.spec;
        let described = AllocatorInput::FrameworkDescribed {
            framework: index,
            name: framework.id.to_string(),
            roles: spec.roles.clone(),
            suppressed: spec.suppressed.clone(),
            capabilities: spec.capabilities,
            min_allocatable: spec.min_allocatable.clone(),
        };
        self.allocator.handle(now, described);
    }
}
