//! What users and operators do.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use meros_marathon_core::apps::{
    AppSpec, Backoff, KillSelection, PortDefinition, Protocol, ResourceLimits, UnreachableStrategy,
    UpgradeStrategy, VersionInfo,
};
use meros_marathon_core::health::{CheckPort, HealthCheck, HealthCheckKind};
use meros_marathon_core::input::{Expect, Input, KillMode, KillTargets, PutApp, RootChange};
use meros_marathon_core::path_id::PathId;
use meros_marathon_core::version::Version;
use meros_proto::caller::Caller;
use meros_proto::ids::TaskId;
use rand::RngExt;
use rand::rngs::StdRng;

use crate::schedule::{Event, Story};
use crate::world::World;

const APPS: [&str; 5] = ["/a", "/b", "/g/c", "/g/d", "/e"];

impl World {
    /// The next wish.
    pub(crate) fn user(&mut self) {
        self.watch_silence();
        match self.chance.random_range(0..100) {
            0..12 => {
                let index = self.chance.random_range(0..self.batches.len());
                self.batches[index].kill_one(&mut self.kernel);
            }
            12..14 => {
                let index = self.chance.random_range(0..self.batches.len());
                if let Some(id) = self.batches[index].framework().cloned() {
                    self.master.tear_down(&mut self.kernel, id);
                }
            }
            14..16 => {
                let index = self.chance.random_range(0..self.batches.len());
                self.batches[index].tear_down(&mut self.kernel);
            }
            16..80 => self.use_marathon(),
            _ => {}
        }
        let wait = Duration::from_millis(self.chance.random_range(200..12_000));
        let at = self.kernel.now() + wait;
        self.kernel.schedule.at(at, Event::Story(Story::User));
    }

    /// Something that a user asks of Marathon. What is refused is refused.
    fn use_marathon(&mut self) {
        let app = path(APPS[self.chance.random_range(0..APPS.len())]);
        let force = self.chance.random_bool(0.4);
        let caller = Caller::default();
        let instances = self.chance.random_range(0..6);
        let change = match self.chance.random_range(0..20) {
            0..8 => RootChange::PutApps(vec![PutApp {
                spec: Arc::new(self.some_app(app)),
                expect: Expect::Any,
            }]),
            8..11 => RootChange::ScaleApp { app, instances },
            11..13 => RootChange::RestartApp(app),
            13 => RootChange::DeleteApp(app),
            14..17 => return self.kill_tasks(app, force),
            17 => return self.cancel_deployment(force),
            _ => {
                let ask = |reply| Input::ResetDelay { caller, reply, app };
                return self.marathon.ask(&mut self.kernel, ask);
            }
        };
        let now = self.kernel.now();
        self.kernel.trace.note(now, 9, &[], || format!("user: force={force} {change:?}"));
        let ask = |reply| Input::Change { caller, reply, force, change };
        self.marathon.ask(&mut self.kernel, ask);
    }

    fn kill_tasks(&mut self, app: PathId, force: bool) {
        let mode = match self.chance.random_range(0..3) {
            0 => KillMode::Relaunch,
            1 => KillMode::Wipe,
            _ => KillMode::Scale { force },
        };
        let targets = match self.chance.random_bool(0.3) {
            true => KillTargets::App { app, host: None },
            false => KillTargets::Tasks(self.some_task().into_iter().collect()),
        };
        let now = self.kernel.now();
        self.kernel.trace.note(now, 9, &[], || format!("user: kill {targets:?} {mode:?}"));
        let caller = Caller::default();
        let ask = |reply| Input::Kill { caller, reply, targets, mode };
        self.marathon.ask(&mut self.kernel, ask);
    }

    fn cancel_deployment(&mut self, force: bool) {
        let Some(view) = self.marathon.look(&self.kernel) else { return };
        let Some(deployment) = view.deployments.first() else { return };
        let id = deployment.plan.id.clone();
        let now = self.kernel.now();
        self.kernel.trace.note(now, 9, &[], || format!("user: cancel {id} force={force}"));
        let caller = Caller::default();
        let ask = |reply| Input::CancelDeployment { caller, reply, id, force };
        self.marathon.ask(&mut self.kernel, ask);
    }

    fn some_task(&mut self) -> Option<TaskId> {
        let view = self.marathon.look(&self.kernel)?;
        let instances = view.instances.values().flat_map(|instances| instances.values());
        let tasks: Vec<&TaskId> =
            instances.filter_map(|one| one.task.as_ref()).map(|task| &task.id).collect();
        (!tasks.is_empty()).then(|| tasks[self.chance.random_range(0..tasks.len())].clone())
    }

    fn some_app(&mut self, id: PathId) -> AppSpec {
        // An agent that leaves for good may never be heard of again: nobody may wait for it.
        let may_wait = !self.faults.stop_agents();
        let chance = &mut self.chance;
        let quarter = |chance: &mut StdRng| f64::from(chance.random_range(0..=4)) / 4.0;
        let upgrade = UpgradeStrategy {
            minimum_health_capacity: quarter(chance),
            maximum_over_capacity: quarter(chance),
        };
        let unreachable = match chance.random_range(0..4) {
            0 if may_wait => UnreachableStrategy::Disabled,
            1 => UnreachableStrategy::After {
                inactive: Duration::from_secs(60),
                expunge: Duration::from_secs(120),
            },
            _ => UnreachableStrategy::default(),
        };
        let mut dependencies = BTreeSet::new();
        if id.as_str() == "/b" && chance.random_bool(0.5) {
            dependencies.insert(path("/a"));
        }
        let kill_selection = match chance.random_bool(0.5) {
            true => KillSelection::OldestFirst,
            false => KillSelection::YoungestFirst,
        };
        let change = chance.random_range(0..4).to_string();
        AppSpec {
            cpus: f64::from(chance.random_range(1..=2)) / 10.0,
            instances: chance.random_range(0..6),
            env: BTreeMap::from([("CHANGE".to_owned(), change)]),
            dependencies,
            upgrade,
            kill_selection,
            unreachable,
            health_checks: some_checks(chance),
            ..plain_app(id.as_str())
        }
    }
}

/// An app that serves on one port.
pub(crate) fn plain_app(id: &str) -> AppSpec {
    AppSpec {
        id: path(id),
        cmd: Some("serve".to_owned()),
        args: Vec::new(),
        cpus: 0.1,
        mem: 32.0,
        disk: 0.0,
        gpus: 0,
        instances: 1,
        executor: String::new(),
        user: None,
        env: BTreeMap::new(),
        labels: BTreeMap::new(),
        constraints: Vec::new(),
        dependencies: BTreeSet::new(),
        fetch: Vec::new(),
        backoff: Backoff::default(),
        upgrade: UpgradeStrategy::default(),
        ports: vec![PortDefinition {
            port: 0,
            protocol: Protocol::Tcp,
            name: Some("http".to_owned()),
            labels: BTreeMap::new(),
        }],
        require_ports: false,
        kill_selection: KillSelection::default(),
        unreachable: UnreachableStrategy::default(),
        accepted_resource_roles: None,
        role: "*".to_owned(),
        kill_grace: None,
        tty: None,
        limits: ResourceLimits::default(),
        health_checks: Vec::new(),
        readiness_checks: Vec::new(),
        check: None,
        version: Version::default(),
        version_info: VersionInfo::default(),
    }
}

fn path(text: &str) -> PathId {
    PathId::parse(text).expect("a path of these tests")
}

fn some_checks(chance: &mut StdRng) -> Vec<HealthCheck> {
    let kind = match chance.random_range(0..6) {
        0 => HealthCheckKind::Tcp { port: CheckPort::Index(0) },
        1 => HealthCheckKind::AgentTcp { port: CheckPort::Index(0) },
        2 => HealthCheckKind::Command { command: "true".to_owned() },
        _ => return Vec::new(),
    };
    vec![HealthCheck {
        kind,
        grace_period: Duration::from_secs(chance.random_range(0..30)),
        interval: Duration::from_secs(chance.random_range(5..30)),
        timeout: Duration::from_secs(4),
        max_consecutive_failures: chance.random_range(0..4),
        delay: Duration::from_secs(chance.random_range(0..10)),
    }]
}
