//! The whole of Marathon's memory, and what everything in it needs: marking, publishing, looking.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use meros_proto::ids::FrameworkId;
use meros_proto::machine::Outputs;
use meros_proto::time::Now;
use rand::SeedableRng;
use rand::rngs::StdRng;

use crate::apps::AppSpec;
use crate::config::Config;
use crate::connection::Connection;
use crate::deployment::progress::Deployments;
use crate::events::{Event, EventKind};
use crate::groups::Root;
use crate::health::announce::Announced;
use crate::health::probing::Probes;
use crate::instances::kill::Kills;
use crate::instances::registry::Registry;
use crate::launch_queue::LaunchQueue;
use crate::offers::Offer;
use crate::output::Effect;
use crate::path_id::PathId;
use crate::records::Record;
use crate::timers::Timers;
use crate::version::{Version, Versions};
use crate::view::{TaskFailure, VersionsOfApp, View};

/// What one batch asks for.
pub(crate) type Out = Outputs<Record, Effect>;

/// Marathon: apps, instances, deployments, and the connection to the master.
#[derive(Debug)]
pub struct Marathon {
    pub(crate) config: Config,
    pub(crate) chance: Chance,
    pub(crate) versions: Versions,
    pub(crate) root: Arc<Root>,
    pub(crate) history: Arc<BTreeMap<PathId, VersionsOfApp>>,
    pub(crate) failures: Arc<BTreeMap<PathId, Arc<TaskFailure>>>,
    pub(crate) deployments: Deployments,
    pub(crate) instances: Registry,
    pub(crate) kills: Kills,
    pub(crate) probes: Probes,
    pub(crate) announced: Announced,
    pub(crate) queue: LaunchQueue,
    /// Offers that came in this batch.
    pub(crate) offers: Vec<Offer>,
    pub(crate) connection: Connection,
    pub(crate) timers: Timers,
    /// Apps that are to be compared with what is wanted of them, before the batch ends.
    pub(crate) dirty: BTreeSet<PathId>,
    /// The last snapshot, until something changes.
    pub(crate) snapshot: Option<Arc<View>>,
}

/// A generator for each purpose, so that one more draw here shifts none there.
#[derive(Debug)]
pub(crate) struct Chance {
    pub(crate) instances: StdRng,
    pub(crate) deployments: StdRng,
    pub(crate) matching: StdRng,
    pub(crate) ports: StdRng,
}

impl Chance {
    pub(crate) fn new(seed: u64) -> Self {
        let mut root = StdRng::seed_from_u64(seed);
        let mut split = || StdRng::from_rng(&mut root);
        Self { instances: split(), deployments: split(), matching: split(), ports: split() }
    }
}

impl Marathon {
    /// A Marathon that has never run anything.
    pub(crate) fn new(config: Config, seed: u64) -> Self {
        Self {
            queue: LaunchQueue::new(config.launch_tokens),
            config,
            chance: Chance::new(seed),
            versions: Versions::default(),
            root: Arc::default(),
            history: Arc::default(),
            failures: Arc::default(),
            deployments: Deployments::default(),
            instances: Registry::default(),
            kills: Kills::default(),
            probes: Probes::default(),
            announced: Announced::default(),
            offers: Vec::new(),
            connection: Connection::default(),
            timers: Timers::default(),
            dirty: BTreeSet::new(),
            snapshot: None,
        }
    }

    /// The id to subscribe with. `None`: the master is to give one.
    pub fn framework(&self) -> Option<&FrameworkId> {
        self.connection.framework.as_ref()
    }

    /// The roles to subscribe with: the framework's own, and those of all apps and instances.
    pub fn roles(&self) -> BTreeSet<String> {
        let of_apps = self.root.apps.values().map(|spec| spec.role.clone());
        let of_instances = self.instances.all().map(|instance| instance.spec.role.clone());
        of_apps.chain(of_instances).chain([self.config.role.clone()]).collect()
    }

    /// Has `app` compared with what is wanted of it before the batch ends.
    pub(crate) fn mark(&mut self, app: &PathId) {
        self.snapshot = None;
        self.connection.demand.touch(app);
        if !self.dirty.contains(app) {
            self.dirty.insert(app.clone());
        }
    }

    /// Publishes an event.
    pub(crate) fn publish(&mut self, now: Now, kind: EventKind, out: &mut Out) {
        out.effect(Effect::Publish(Event { at: now.wall, kind }));
    }

    /// A snapshot of everything. Taken anew only when something changed.
    pub(crate) fn view(&mut self, now: Now) -> Arc<View> {
        if let Some(view) = &self.snapshot {
            return Arc::clone(view);
        }
        let view = Arc::new(View {
            framework: self.connection.framework.clone(),
            master: self.connection.master.as_ref().map(|master| master.host.clone()),
            root: Arc::clone(&self.root),
            versions: Arc::clone(&self.history),
            instances: self.instances.share(),
            deployments: self.deployments.views(),
            queue: self.queue_items(now),
            failures: Arc::clone(&self.failures),
        });
        self.snapshot = Some(Arc::clone(&view));
        view
    }

    /// Keeps a version of an app, and drops the oldest that nothing runs.
    pub(crate) fn remember(&mut self, spec: &Arc<AppSpec>, out: &mut Out) {
        out.persist(Record::App(Arc::clone(spec)));
        self.snapshot = None;
        let all = Arc::make_mut(&mut self.history);
        let history = Arc::make_mut(all.entry(spec.id.clone()).or_default());
        history.insert(spec.version, Arc::clone(spec));
        let surplus = history.len().saturating_sub(self.config.max_versions.max(1));
        if surplus == 0 {
            return;
        }
        let in_use: BTreeSet<Version> = self.instances.versions(&spec.id).collect();
        let dropped: Vec<Version> = history
            .keys()
            .filter(|version| !in_use.contains(version) && **version != spec.version)
            .take(surplus)
            .copied()
            .collect();
        for version in dropped {
            history.remove(&version);
            out.persist(Record::AppGone(spec.id.clone(), version));
        }
    }

    /// Forgets all about an app of which nothing is left.
    pub(crate) fn forget(&mut self, app: &PathId, out: &mut Out) {
        self.snapshot = None;
        let history = Arc::make_mut(&mut self.history).remove(app);
        for version in history.iter().flat_map(|history| history.keys()) {
            out.persist(Record::AppGone(app.clone(), *version));
        }
        if self.failures.contains_key(app) {
            Arc::make_mut(&mut self.failures).remove(app);
            out.persist(Record::FailureGone(app.clone()));
        }
        self.forget_delay(app);
        self.queue.forget(app);
    }
}
