//! Readiness: asked while a deployment waits for it, until the first time that it is there.
//!
//! A task is asked as soon as it runs, and again an interval after each answer. Once it was ready
//! it counts as that for as long as it runs, and isn't asked any more.

use std::sync::Arc;
use std::time::Duration;

use meros_proto::time::Now;

use super::probe::{ProbeId, ReadinessOutcome, ReadinessProbe};
use super::probing::{Asked, What, url};
use super::readiness::{ReadinessCheck, ReadinessResponse, ReadinessResult};
use crate::instances::{Condition, Goal, Instance, InstanceId, Task};
use crate::output::Effect;
use crate::state::{Marathon, Out};
use crate::timers::Timer;

/// The shortest time from an answer to the next question.
const LEAST_INTERVAL: Duration = Duration::from_secs(1);
/// What a question that nobody answered counts as.
const NO_ANSWER: u16 = 504;

impl Marathon {
    /// An instance runs, or a deployment begins to wait for it: it is asked at once.
    pub(crate) fn watch_readiness(&mut self, now: Now, instance: &Instance) {
        for (at, _) in (0..).zip(&instance.spec.readiness_checks) {
            if result_of(instance, at).is_none_or(|result| !result.ready) {
                self.timers.set_once(Timer::Readiness(instance.id.clone(), at), now.mono);
            }
        }
    }

    /// A readiness check of an instance is to be asked.
    pub(crate) fn readiness_due(&mut self, now: Now, id: &InstanceId, at: u32, out: &mut Out) {
        let Some(instance) = self.instances.get(id).map(Arc::clone) else { return };
        let Some(check) = nth(&instance, at).filter(|_| self.waits_for_readiness(&instance)) else {
            return;
        };
        let Some(task) = &instance.task else { return };
        if result_of(&instance, at).is_some_and(|result| result.ready) {
            return;
        }
        let Some(port) = port(check, &instance, task) else {
            let cause = format!("there is no port {:?}", check.port_name);
            self.note_readiness(now, &instance, at, ReadinessOutcome::Failed { cause });
            return;
        };
        let incarnation = instance.incarnation;
        let asked = Asked { instance: id.clone(), incarnation, at, what: What::Readiness };
        if self.probes.under_way(&asked) > 0 {
            return; // Its answer leads on.
        }
        let probe = ReadinessProbe {
            id: self.probes.ask(asked),
            url: url(check.https, &task.agent.hostname, port, &check.path),
            timeout: check.timeout,
            keep_body: check.preserve_last_response,
        };
        out.effect(Effect::ReadinessProbe(probe));
    }

    /// A readiness probe was answered.
    pub(crate) fn readiness_probed(&mut self, now: Now, id: ProbeId, outcome: ReadinessOutcome) {
        let Some(asked) = self.probes.answered(id, What::Readiness) else { return };
        let Some(instance) = self.instances.get(&asked.instance).map(Arc::clone) else { return };
        if instance.incarnation == asked.incarnation {
            self.note_readiness(now, &instance, asked.at, outcome);
        }
    }

    fn note_readiness(
        &mut self,
        now: Now,
        instance: &Instance,
        at: u32,
        outcome: ReadinessOutcome,
    ) {
        let (Some(check), Some(task)) = (nth(instance, at), &instance.task) else { return };
        if task.condition != Condition::Running {
            return; // It is asked again when it runs again.
        }
        let response = match outcome {
            ReadinessOutcome::Answered { status, content_type, body } => {
                ReadinessResponse { status, content_type, body }
            }
            ReadinessOutcome::Failed { cause } => ReadinessResponse {
                status: NO_ANSWER,
                content_type: "text/plain".into(),
                body: cause,
            },
        };
        let ready = check.ready_statuses.contains(&response.status);
        let result = ReadinessResult {
            name: check.name.clone(),
            task: task.id.clone(),
            ready,
            last_response: check.preserve_last_response.then_some(response),
        };
        self.snapshot = None;
        self.instances.change(&instance.id, |instance| put(instance, at, result));
        if ready {
            self.mark(instance.id.app());
        } else {
            let again = now.mono + check.interval.max(LEAST_INTERVAL);
            self.timers.set(Timer::Readiness(instance.id.clone(), at), again);
        }
    }

    /// Whether a deployment waits for an instance to be ready.
    fn waits_for_readiness(&self, instance: &Instance) -> bool {
        instance.goal == Goal::Running
            && instance.condition() == Condition::Running
            && self.deployments.brings_up(instance)
    }
}

fn nth(instance: &Instance, at: u32) -> Option<&ReadinessCheck> {
    instance.spec.readiness_checks.get(usize::try_from(at).ok()?)
}

fn result_of(instance: &Instance, at: u32) -> Option<&ReadinessResult> {
    instance.task.as_ref()?.readiness.get(usize::try_from(at).ok()?)
}

/// Keeps a result in its place; those before it that are not known yet are not ready.
fn put(instance: &mut Instance, at: u32, result: ReadinessResult) {
    let checks = &instance.spec.readiness_checks;
    let (Some(task), Ok(at)) = (&mut instance.task, usize::try_from(at)) else { return };
    for check in &checks[task.readiness.len().min(checks.len())..] {
        task.readiness.push(ReadinessResult {
            name: check.name.clone(),
            task: task.id.clone(),
            ready: false,
            last_response: None,
        });
    }
    if let Some(place) = task.readiness.get_mut(at) {
        *place = result;
    }
}

/// The host port that a check names.
fn port(check: &ReadinessCheck, instance: &Instance, task: &Task) -> Option<u16> {
    let named = |name: Option<&str>| name == Some(&*check.port_name);
    let at = instance.spec.ports.iter().position(|port| named(port.name.as_deref()))?;
    task.ports.get(at).copied()
}
