//! What answers to health checks lead to: counted, told, and in the end a kill.
//!
//! ```text
//! passed ──→ counted from 0 again
//! failed ──→ in its grace, or not running: nothing
//!       └──→ told; killed, where as many failures as allowed were counted before; counted
//! ```
//! The kill is decided on the failures counted *before* this one: with a limit of 3, the fourth
//! failure in a row kills. The agent's own checks are counted too, but the agent kills.

use std::sync::Arc;

use meros_proto::time::Now;

use super::checks::HealthCheck;
use super::probe::{ProbeId, ProbeOutcome};
use super::probing::{What, nth};
use super::record::HealthRecord;
use crate::events::EventKind;
use crate::instances::{Condition, Instance, InstanceId, Task};
use crate::records::Record;
use crate::state::{Marathon, Out};

impl Marathon {
    /// A probe was answered.
    pub(crate) fn probed(&mut self, now: Now, id: ProbeId, outcome: ProbeOutcome, out: &mut Out) {
        let Some(asked) = self.probes.answered(id, What::Health) else { return };
        let Some(instance) = self.instances.get(&asked.instance).map(Arc::clone) else { return };
        if instance.task.is_none() || instance.incarnation != asked.incarnation {
            return; // The task that was asked is no more.
        }
        match outcome {
            ProbeOutcome::Healthy => self.check_passed(now, &instance, asked.at, out),
            ProbeOutcome::Unhealthy { cause } => {
                self.check_failed(now, &instance, asked.at, &cause, out);
            }
            ProbeOutcome::Ignored => {}
        }
    }

    /// A check of an instance passed.
    fn check_passed(&mut self, now: Now, instance: &Instance, at: u32, out: &mut Out) {
        self.note_health(now, instance, at, |record| record.passed(now.wall), out);
    }

    /// A check of an instance failed.
    pub(super) fn check_failed(
        &mut self,
        now: Now,
        instance: &Instance,
        at: u32,
        cause: &str,
        out: &mut Out,
    ) {
        let Some(check) = nth(instance, at) else { return };
        let before = record_of(instance, at);
        if is_excused(now, instance, check, &before) {
            return;
        }
        self.tell_failed(now, instance, check, out);
        let most = check.max_consecutive_failures;
        if most > 0 && before.consecutive_failures >= most {
            self.kill_unhealthy(now, instance, cause, out);
        }
        self.note_health(now, instance, at, |record| record.failed(now.wall, cause), out);
    }

    fn kill_unhealthy(&mut self, now: Now, instance: &Instance, cause: &str, out: &mut Out) {
        let Some(task) = &instance.task else { return };
        let event = EventKind::UnhealthyInstanceKill {
            app: instance.id.app().clone(),
            task: task.id.clone(),
            instance: instance.id.clone(),
            version: instance.spec.version,
            reason: cause.to_owned(),
            host: task.agent.hostname.clone(),
            agent: task.agent.id.clone(),
        };
        self.publish(now, event, out);
        self.kill_task_of(&instance.id);
    }

    /// The agent told how its checks of a running task went. Told again, it is no news.
    pub(crate) fn agent_said(
        &mut self,
        now: Now,
        id: &InstanceId,
        healthy: bool,
        message: &str,
        out: &mut Out,
    ) {
        let Some(instance) = self.instances.get(id) else { return };
        let news = |task: &&Task| {
            task.condition == Condition::Running && task.agent_healthy != Some(healthy)
        };
        if instance.task.as_ref().filter(news).is_none() {
            return;
        }
        let spec = Arc::clone(&instance.spec);
        let agents =
            || (0u32..).zip(&spec.health_checks).filter(|(_, check)| !check.kind.is_run_here());
        if agents().next().is_none() {
            return;
        }
        self.instances.change(id, |instance| {
            if let Some(task) = &mut instance.task {
                task.agent_healthy = Some(healthy);
            }
        });
        for (at, check) in agents() {
            let Some(instance) = self.instances.get(id).map(Arc::clone) else { return };
            if healthy {
                self.check_passed(now, &instance, at, out);
            } else {
                self.tell_failed(now, &instance, check, out);
                self.note_health(
                    now,
                    &instance,
                    at,
                    |record| record.failed(now.wall, message),
                    out,
                );
            }
        }
        if let Some(instance) = self.instances.get(id) {
            out.persist(Record::Instance(Arc::clone(instance)));
        }
    }

    fn tell_failed(&mut self, now: Now, instance: &Instance, check: &HealthCheck, out: &mut Out) {
        let event = EventKind::FailedHealthCheck {
            app: instance.id.app().clone(),
            instance: instance.id.clone(),
            check: check.clone(),
        };
        self.publish(now, event, out);
    }

    /// Changes the record of a check, and tells what is another by that.
    fn note_health(
        &mut self,
        now: Now,
        instance: &Instance,
        at: u32,
        change: impl FnOnce(&mut HealthRecord),
        out: &mut Out,
    ) {
        let mut record = record_of(instance, at);
        let was_alive = record.is_alive();
        change(&mut record);
        let alive = record.is_alive();
        let before = instance.healthy();
        self.snapshot = None;
        self.instances.change(&instance.id, |instance| {
            let checks = instance.spec.health_checks.len();
            let Some(task) = &mut instance.task else { return };
            task.health.resize(checks, HealthRecord::default());
            if let Some(place) = usize::try_from(at).ok().and_then(|at| task.health.get_mut(at)) {
                *place = record;
            }
        });
        if alive != was_alive {
            let event = EventKind::HealthStatusChanged {
                app: instance.id.app().clone(),
                instance: instance.id.clone(),
                version: instance.spec.version,
                alive,
            };
            self.publish(now, event, out);
        }
        let Some(changed) = self.instances.get(&instance.id) else { return };
        if changed.healthy() != before {
            let changed = Arc::clone(changed);
            self.tell_health(now, &changed, out);
            self.mark(instance.id.app());
        }
    }
}

fn record_of(instance: &Instance, at: u32) -> HealthRecord {
    let task = instance.task.as_ref();
    let record = task.zip(usize::try_from(at).ok()).and_then(|(task, at)| task.health.get(at));
    record.cloned().unwrap_or_default()
}

/// Whether a failure of a check doesn't count: nobody runs who could answer, or the task has never
/// been healthy and may still be starting.
fn is_excused(now: Now, instance: &Instance, check: &HealthCheck, record: &HealthRecord) -> bool {
    let Some(task) = &instance.task else { return true };
    let run_time = task.run_time.map(|time| time.at(now.mono)).unwrap_or_default();
    task.condition != Condition::Running
        || record.first_success.is_none() && run_time < check.grace_period
}
