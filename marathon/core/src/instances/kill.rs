//! Kills: a bounded number under way, each repeated until it is answered.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use meros_proto::ids::{AgentId, TaskId};
use meros_proto::time::Now;

use super::{Goal, Instance, InstanceId};
use crate::input::{KillMode, KillTargets, RootChange};
use crate::instances::Condition;
use crate::output::{Call, ChangeError, Effect, KillDone};
use crate::path_id::PathId;
use crate::state::{Marathon, Out};
use crate::timers::Timer;

/// Tasks that are to end.
#[derive(Debug, Default)]
pub(crate) struct Kills {
    /// Those that the master is to be told of.
    waiting: BTreeSet<TaskId>,
    /// Those that it was told of, and has not answered.
    sent: BTreeSet<TaskId>,
}

impl Kills {
    fn add(&mut self, task: TaskId) {
        if !self.sent.contains(&task) {
            self.waiting.insert(task);
        }
    }

    fn remove(&mut self, task: &TaskId) {
        self.waiting.remove(task);
        self.sent.remove(task);
    }

    /// The kill of `task` was not answered in time.
    pub(crate) fn retry(&mut self, task: TaskId) {
        if self.sent.remove(&task) {
            self.waiting.insert(task);
        }
    }

    /// The master may be another, which was told of none.
    pub(crate) fn retry_all(&mut self) {
        self.waiting.append(&mut self.sent);
    }
}

impl Marathon {
    /// Has the task of an instance killed, if it has one.
    pub(crate) fn kill_task_of(&mut self, id: &InstanceId) {
        if let Some(task) = self.instances.get(id).and_then(|instance| instance.task.as_ref()) {
            self.kills.add(task.id.clone());
        }
    }

    /// A task has ended, or is given up: no kill of it is needed any more.
    pub(crate) fn kill_answered(&mut self, task: &TaskId) {
        self.kills.remove(task);
        self.timers.cancel(&Timer::KillRetry(task.clone()));
    }

    /// Tells the master of as many kills as may be under way.
    pub(crate) fn send_kills(&mut self, now: Now, out: &mut Out) {
        if !self.connection.is_up() {
            return;
        }
        while self.kills.sent.len() < self.config.max_kills {
            let Some(task) = self.kills.waiting.pop_first() else { return };
            let Some((agent, grace)) = self.whereabouts(&task) else { continue };
            out.effect(Effect::Call(Call::Kill { task: task.clone(), agent: Some(agent), grace }));
            self.timers.set(Timer::KillRetry(task.clone()), now.mono + self.config.kill_retry);
            self.kills.sent.insert(task);
        }
    }

    /// The agent of a task that an instance has, and the grace it is to be killed with.
    fn whereabouts(&self, task: &TaskId) -> Option<(AgentId, Option<Duration>)> {
        let instance = self.instances.get(&InstanceId::of_task(task.as_str())?)?;
        let known = instance.task.as_ref().filter(|known| known.id == *task)?;
        Some((known.agent.id.clone(), instance.kill_grace()))
    }

    /// Kills a task that belongs to no instance. Told once: it will turn up again if it is missed.
    pub(crate) fn kill_stray(&mut self, task: TaskId, agent: Option<AgentId>, out: &mut Out) {
        if self.connection.is_up() {
            out.effect(Effect::Call(Call::Kill { task, agent, grace: None }));
        }
    }

    /// Kills tasks as a user asks.
    pub(crate) fn kill_tasks(
        &mut self,
        now: Now,
        targets: &KillTargets,
        mode: KillMode,
        out: &mut Out,
    ) -> Result<KillDone, ChangeError> {
        let instances = self.chosen(targets)?;
        let change = match mode {
            KillMode::Scale { force } => {
                let mut victims = victims_by_app(&instances);
                // What is being removed goes anyway.
                victims.retain(|app, _| self.root.apps.contains_key(app));
                let changes = victims.iter().map(|(app, chosen)| RootChange::ScaleApp {
                    app: app.clone(),
                    instances: self.scaled_down(app, chosen),
                });
                let changes: Vec<_> = changes.collect();
                Some(self.scale_with_victims(now, &changes, victims, force, out)?)
            }
            KillMode::Wipe => {
                for instance in &instances {
                    self.decommission(now, &instance.id, out);
                }
                None
            }
            KillMode::Relaunch => {
                for instance in &instances {
                    // A task that nobody can reach can't be killed; its instance can be replaced.
                    match instance.condition().ignores_kills() {
                        true => self.decommission(now, &instance.id, out),
                        false => self.kill_task_of(&instance.id),
                    }
                }
                None
            }
        };
        Ok(KillDone { instances, change })
    }

    /// The instances with a task that a user means.
    fn chosen(&self, targets: &KillTargets) -> Result<Vec<Arc<Instance>>, ChangeError> {
        match targets {
            KillTargets::Tasks(tasks) => {
                let mut seen = BTreeSet::new();
                let known = tasks.iter().filter(|task| seen.insert((*task).clone()));
                Ok(known
                    .filter_map(|task| {
                        let id = InstanceId::of_task(task.as_str())?;
                        let instance = self.instances.get(&id)?;
                        let current = instance.task.as_ref()?;
                        (current.id == *task).then(|| Arc::clone(instance))
                    })
                    .collect())
            }
            KillTargets::App { app, host } => {
                if !self.root.apps.contains_key(app) {
                    return Err(ChangeError::AppNotFound(app.clone()));
                }
                let meant = self.instances.of(app).filter(|instance| {
                    instance.task.as_ref().is_some_and(|task| {
                        host.as_ref().is_none_or(|host| task.agent.hostname == *host)
                    })
                });
                Ok(meant.cloned().collect())
            }
        }
    }

    /// How many instances an app is to have once `victims` are gone for good.
    fn scaled_down(&self, app: &PathId, victims: &[InstanceId]) -> u32 {
        let wanted = self.root.apps.get(app).map_or(0, |spec| spec.instances);
        let counted = victims.iter().filter_map(|id| self.instances.get(id)).filter(|instance| {
            instance.goal == Goal::Running
                && instance.condition().is_active()
                && instance.condition() != Condition::Killing
        });
        wanted.saturating_sub(u32::try_from(counted.count()).unwrap_or(u32::MAX))
    }
}

fn victims_by_app(instances: &[Arc<Instance>]) -> BTreeMap<PathId, Vec<InstanceId>> {
    let mut victims: BTreeMap<PathId, Vec<InstanceId>> = BTreeMap::new();
    for instance in instances {
        victims.entry(instance.id.app().clone()).or_default().push(instance.id.clone());
    }
    victims
}
