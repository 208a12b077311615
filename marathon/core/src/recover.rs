//! Marathon after a restart: all that is on record, as if nothing had happened in between.
//!
//! States seen on the wire are taken as they were last known; reconciliation corrects them once the
//! master took the subscription. Delays are forgotten. Running deployments begin their steps anew,
//! and find done what is done.

use std::sync::Arc;
use std::time::Duration;

use meros_proto::time::Now;

use crate::apps::AppSpec;
use crate::config::Config;
use crate::groups::Root;
use crate::health::{HealthCheck, HealthRecord};
use crate::instances::{Condition, Goal, Instance, InstanceId, RunTime, Task};
use crate::path_id::PathId;
use crate::records::BadRow;
use crate::records::row::{self, Stored, StoredInstance};
use crate::state::Marathon;
use crate::version::Version;

/// Why what is on record can't be taken up.
#[derive(Debug, thiserror::Error)]
pub enum RecoverError {
    /// A row can't be read.
    #[error("read what is stored")]
    Row(#[from] BadRow),
    /// A row speaks of a version of an app that there is no row of.
    #[error("version {version} of app {app} is not stored, but {who} needs it")]
    MissingVersion {
        /// The app.
        app: PathId,
        /// The version.
        version: Version,
        /// What needs it.
        who: String,
    },
    /// Instances may be running under an id that is lost.
    #[error("the framework id is not stored, but instances are")]
    MissingFramework,
}

impl Marathon {
    /// Takes up what is on record; nothing at all for a first start. `seed` starts all chance.
    ///
    /// # Errors
    /// When a row is not one of this release's, or rows that belong together are missing. Nothing
    /// is guessed: another start would kill what runs.
    pub fn recover(
        config: Config,
        seed: u64,
        now: Now,
        rows: impl IntoIterator<Item = (String, Vec<u8>)>,
    ) -> Result<Self, RecoverError> {
        let mut marathon = Self::new(config, seed);
        let mut root = Root::default();
        let (mut current, mut instances) = (Vec::new(), Vec::new());
        for (key, value) in rows {
            match row::decode(&key, &value)? {
                Stored::Framework(id) => marathon.connection.framework = Some(id),
                Stored::Root(version, groups) => {
                    root.version = version;
                    root.groups.extend(groups);
                }
                Stored::Current(app, version) => current.push((app, version)),
                Stored::App(spec) => {
                    marathon.versions.seen(spec.version);
                    let all = Arc::make_mut(&mut marathon.history);
                    let history = all.entry(spec.id.clone()).or_default();
                    Arc::make_mut(history).insert(spec.version, spec);
                }
                Stored::Instance(instance) => instances.push(instance),
                Stored::Deployment(plan) => {
                    marathon.dirty.extend(plan.affected.keys().cloned());
                    marathon.deployments.add(plan);
                }
                Stored::Failure(failure) => {
                    let all = Arc::make_mut(&mut marathon.failures);
                    all.insert(failure.app.clone(), failure);
                }
            }
        }
        marathon.versions.seen(root.version);
        for (app, version) in current {
            let spec = marathon.version_of(&app, version, "the root")?;
            root.apps.insert(app, spec);
        }
        if marathon.connection.framework.is_none()
            && instances.iter().any(|instance| instance.task.is_some())
        {
            return Err(RecoverError::MissingFramework);
        }
        for instance in instances {
            marathon.take_up(now, *instance)?;
        }
        marathon.dirty.extend(root.apps.keys().cloned());
        marathon.dirty.extend(marathon.history.keys().cloned());
        marathon.root = Arc::new(root);
        marathon.connection.roles = marathon.roles();
        Ok(marathon)
    }

    fn take_up(&mut self, now: Now, stored: StoredInstance) -> Result<(), RecoverError> {
        let app = stored.id.app().clone();
        let spec = self.version_of(&app, stored.version, stored.id.as_str())?;
        let task = stored.task.map(|task| task_found(now, &spec, task));
        let instance = Instance {
            id: stored.id,
            spec,
            goal: stored.goal,
            incarnation: stored.incarnation,
            since: stored.since,
            task,
        };
        if instance.is_scheduled() {
            self.queue_begins(now, &app);
        }
        self.watch_launch(now, &instance);
        if instance.condition() == Condition::Running {
            self.watch_health(now, &instance);
        }
        self.note_checks(&instance.spec);
        self.mark(&app);
        let (id, goal): (InstanceId, Goal) = (instance.id.clone(), instance.goal);
        self.watch_unreachable(now, &instance);
        self.instances.put(Arc::new(instance));
        if goal == Goal::Decommissioned {
            self.kill_task_of(&id);
        }
        Ok(())
    }

    fn version_of(
        &self,
        app: &PathId,
        version: Version,
        who: &str,
    ) -> Result<Arc<crate::apps::AppSpec>, RecoverError> {
        let known = self.history.get(app).and_then(|history| history.get(&version));
        known.map(Arc::clone).ok_or_else(|| RecoverError::MissingVersion {
            app: app.clone(),
            version,
            who: who.into(),
        })
    }
}

/// A task as it is known after a restart: how long it has run by the wall clock, and what its agent
/// last said of its health. Marathon's own checks begin anew.
fn task_found(now: Now, spec: &AppSpec, mut task: Task) -> Task {
    task.run_time = task.started_at.map(|started| {
        let before = now.wall.as_nanos().saturating_sub(started.as_nanos());
        RunTime::counted(now.mono, Duration::from_nanos(before))
    });
    if let Some(healthy) = task.agent_healthy {
        let said = |check: &HealthCheck| {
            let mut record = HealthRecord::default();
            match (check.kind.is_run_here(), healthy) {
                (true, _) => {}
                (false, true) => record.passed(now.wall),
                (false, false) => record.failed(now.wall, ""),
            }
            record
        };
        task.health = spec.health_checks.iter().map(said).collect();
    }
    task
}
