//! What the master knows of frameworks, subscribed or not, and how it tells them things.
//!
//! SUBSCRIBE is in [`super::subscribe`], the end of a stream or of a framework in
//! [`super::failover`].

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
use crate::shared_map::SharedMap;
use crate::snapshot::FrameworkView;
use crate::tasks::LiveTask;
use crate::{Master, Out};

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
    pub(crate) tasks: SharedMap<TaskId, LiveTask>,
    /// Tasks on agents that became unreachable, with the order in which they did. Shared with
    /// pictures.
    pub(crate) unreachable: Arc<BTreeMap<TaskId, Arc<Task>>>,
    pub(crate) unreachable_order: VecDeque<TaskId>,
    /// Tasks that ended, oldest first. Shared with pictures.
    pub(crate) completed: Arc<VecDeque<Arc<Task>>>,
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

/// All frameworks that this master heard of. Those that were removed, whenever, are in the registry.
#[derive(Debug)]
pub(crate) struct Frameworks {
    pub(crate) all: Arena<FrameworkIx, Framework>,
    pub(crate) by_id: BTreeMap<FrameworkId, FrameworkIx>,
    pub(crate) by_stream: BTreeMap<StreamRef, FrameworkIx>,
    pub(crate) completed: VecDeque<Arc<FrameworkView>>,
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
            tasks: SharedMap::default(),
            unreachable: Arc::default(),
            unreachable_order: VecDeque::new(),
            completed: Arc::default(),
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
        }
    }

    /// The framework of this id, with its number.
    pub(crate) fn find(&self, id: &FrameworkId) -> Option<(FrameworkIx, &Framework)> {
        let index = *self.by_id.get(id)?;
        Some((index, self.all.get(index)?))
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
