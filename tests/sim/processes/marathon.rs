//! Marathon's process: its store, its driver and its prober, around the real core.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use meros_marathon_core::events::EventKind;
use meros_marathon_core::health::{ProbeId, ProbeOutcome, ReadinessOutcome};
use meros_marathon_core::input::{Input, KillMode, ReplyTo, RootChange};
use meros_marathon_core::instances::status::TaskUpdate;
use meros_marathon_core::offers::Offer;
use meros_marathon_core::output::{Answer, Call, Effect};
use meros_marathon_core::path_id::PathId;
use meros_marathon_core::records::Record;
use meros_marathon_core::view::View;
use meros_marathon_core::{Config, Marathon};
use meros_proto::ids::{AgentId, FrameworkId, TaskId};
use meros_proto::machine::{Core, Outputs};
use meros_proto::v1;
use meros_proto::v1::TaskState;
use meros_proto::v1::framework_info::{Capability, capability};
use meros_sdk::driver::{CallFailed, CallFailure, Event};
use rand::RngExt;

use super::driver::Driver;
use super::gate::{Gate, Released};
use crate::disk::Rows;
use crate::kernel::Kernel;
use crate::network::{Arrival, Node};
use crate::schedule::Timer;
use crate::wire;

/// Longer than any run.
const FAILOVER_TIMEOUT: f64 = 604_800.0;

/// A Marathon, whether it runs or not.
#[derive(Debug)]
pub(crate) struct MarathonProcess {
    pub(crate) node: Node,
    pub(crate) gate: Option<Gate<Marathon>>,
    driver: Option<Driver>,
    rows: Rows,
    info: v1::FrameworkInfo,
    asked: u64,
    /// Whether a probe is one of readiness.
    probes: BTreeMap<u64, bool>,
    seen: Option<Arc<View>>,
    /// Apps of which changes wait to be handled.
    changing: Vec<PathId>,
    /// In this batch somebody asked for tasks to be killed.
    meddled: bool,
}

impl MarathonProcess {
    pub(crate) fn new(node: Node) -> Self {
        let capabilities = [capability::Type::MultiRole, capability::Type::PartitionAware];
        let info = v1::FrameworkInfo {
            user: Some("marathon".to_owned()),
            name: Some("marathon".to_owned()),
            failover_timeout: Some(FAILOVER_TIMEOUT),
            checkpoint: Some(true),
            capabilities: capabilities
                .map(|kind| Capability { r#type: Some(kind.into()) })
                .to_vec(),
            ..v1::FrameworkInfo::default()
        };
        Self {
            node,
            gate: None,
            driver: None,
            rows: Rows::default(),
            info,
            asked: 0,
            probes: BTreeMap::new(),
            seen: None,
            changing: Vec::new(),
            meddled: false,
        }
    }

    pub(crate) fn start(&mut self, kernel: &mut Kernel) {
        let now = kernel.read_clock(self.node);
        let rows = self.rows.0.clone();
        let core = Marathon::recover(Config::default(), kernel.chance.random(), now, rows);
        let core = match core {
            Ok(core) => core,
            Err(error) => {
                let how = format!("{error}: {:?}", std::error::Error::source(&error));
                return kernel.breaks("what is stored can be read again", how);
            }
        };
        self.info.id = core.framework().map(|id| id.to_proto());
        self.info.roles = core.roles().into_iter().collect();
        let mut gate = Gate::new(self.node, core, |_| false);
        gate.soon(kernel);
        self.gate = Some(gate);
        self.driver = Some(Driver::start(kernel, self.node, self.info.clone()));
        self.probes.clear();
        self.seen = None;
        if let Some(view) = self.look(kernel) {
            if !view.instances.is_empty() {
                kernel.counts.add("marathon adopted instances");
            }
            if !view.deployments.is_empty() {
                kernel.counts.add("marathon resumed deployments");
            }
            if let Some(how) = kernel.truth.marathon.recovered(&view) {
                kernel.breaks("what was answered as stored is found again", how);
            }
        }
    }

    /// The process is gone; a batch whose sync was under way is on disk whole, or not at all.
    pub(crate) fn crash(&mut self, kernel: &mut Kernel) {
        self.driver = None;
        let Some(gate) = self.gate.take() else { return };
        let whole = gate.under_sync();
        let kept = gate.crash(kernel);
        if kept.len() == whole && whole > 0 {
            self.stored(&kept);
        }
    }

    /// The id that it goes by.
    pub(crate) fn framework(&self) -> Option<FrameworkId> {
        self.gate.as_ref()?.core.framework().cloned()
    }

    /// Asks Marathon for something.
    pub(crate) fn ask(&mut self, kernel: &mut Kernel, input: impl FnOnce(ReplyTo) -> Input) {
        self.asked += 1;
        let input = input(ReplyTo(self.asked));
        self.meddled |= !matches!(input, Input::View { .. });
        let forced = matches!(
            input,
            Input::Change { force: true, .. }
                | Input::CancelDeployment { force: true, .. }
                | Input::Kill { mode: KillMode::Scale { force: true }, .. }
        );
        if let Input::Change { change, .. } = &input {
            self.changing.extend(changed(change));
        }
        if forced && let Some(view) = self.look(kernel) {
            kernel.truth.marathon.forced(&view, self.changing.iter());
        }
        self.feed(kernel, input);
    }

    fn feed(&mut self, kernel: &mut Kernel, input: Input) {
        if let Some(gate) = &mut self.gate {
            gate.feed(kernel, input);
        }
    }

    pub(crate) fn arrived(&mut self, kernel: &mut Kernel, arrival: Arrival) {
        let Some(driver) = &mut self.driver else { return };
        let events = driver.arrived(kernel, arrival);
        self.hear(kernel, events);
    }

    pub(crate) fn timer(&mut self, kernel: &mut Kernel, timer: &Timer) {
        if let Timer::Probed(id) = timer {
            return self.probed(kernel, *id);
        }
        let Some(driver) = &mut self.driver else { return };
        let events = driver.timer(kernel, timer);
        self.hear(kernel, events);
    }

    fn hear(&mut self, kernel: &mut Kernel, events: Vec<Event>) {
        for event in events {
            match event {
                Event::Subscribed(subscribed) => {
                    kernel.counts.add("marathon subscribed");
                    let (framework, master) = (subscribed.framework_id, subscribed.master);
                    self.feed(kernel, Input::Registered { framework, master, region: None });
                }
                Event::Disconnected { .. } => self.feed(kernel, Input::Disconnected),
                Event::Offers(offers) => {
                    let parsed: Result<Vec<_>, _> = offers.iter().map(Offer::parse).collect();
                    match parsed {
                        Ok(offers) => self.feed(kernel, Input::Offers(offers)),
                        Err(error) => {
                            kernel.breaks("every message makes sense", error.to_string());
                        }
                    }
                }
                Event::Rescind(offer) => self.feed(kernel, Input::Rescinded(offer)),
                Event::Update(update) => self.updated(kernel, &update.status),
                Event::CallFailed(failed) => self.call_failed(kernel, *failed),
                // A SUBSCRIBE of an earlier life lay in the network and came after this life's: the
                // role ends, and whoever looks after it starts it again.
                Event::Error { message } if message.contains("failed over") => {
                    kernel.superseded(self.node);
                }
                Event::Error { message } | Event::Removed { message } => {
                    kernel.breaks("marathon is never sent away", message);
                }
                _ => {}
            }
        }
    }

    fn updated(&mut self, kernel: &mut Kernel, status: &v1::TaskStatus) {
        let update = match TaskUpdate::parse(status) {
            Ok(update) => update,
            Err(error) => return kernel.breaks("every message makes sense", error.to_string()),
        };
        let framework = self.gate.as_ref().and_then(|gate| gate.core.framework()).cloned();
        if let Some(framework) = framework
            && let Some((rule, how)) = kernel.truth.tasks.heard(&framework, &update.task, status)
        {
            kernel.breaks(rule, how);
        }
        self.feed(kernel, Input::Status(update));
    }

    fn call_failed(&mut self, kernel: &mut Kernel, failed: CallFailed) {
        let CallFailed { call, why } = failed;
        let operations = call.accept.into_iter().flat_map(|accept| accept.operations);
        let launched = operations.filter_map(|one| one.launch).flat_map(|one| one.task_infos);
        let tasks: Vec<(TaskId, Option<AgentId>)> = launched
            .filter_map(|task| {
                let agent = task.agent_id.as_ref().and_then(|id| AgentId::try_from(id).ok());
                Some((TaskId::from_proto(task.task_id.as_ref()).ok()?, agent))
            })
            .collect();
        if tasks.is_empty() {
            return;
        }
        kernel.counts.add("a launch came to nothing");
        match why {
            CallFailure::Refused { .. } => {
                self.dropped(kernel, tasks.into_iter().map(|(task, _)| task).collect());
            }
            CallFailure::Unanswered(_) => {
                if let Some(driver) = &mut self.driver {
                    driver.send(kernel, wire::marathon::reconcile(tasks));
                }
            }
        }
    }

    fn dropped(&mut self, kernel: &mut Kernel, tasks: Vec<TaskId>) {
        for task in tasks {
            let update = TaskUpdate {
                task,
                state: TaskState::TaskDropped,
                reason: None,
                message: "The launch was dropped".to_owned(),
                agent: None,
                uuid: None,
                healthy: None,
                check: None,
                unreachable_since: None,
                addresses: Vec::new(),
            };
            self.feed(kernel, Input::Status(update));
        }
    }

    pub(crate) fn turn(&mut self, kernel: &mut Kernel) {
        let before = self.seen.take();
        let meddled = std::mem::take(&mut self.meddled);
        self.changing.clear();
        let Some(gate) = &mut self.gate else { return };
        let released = gate.turn(kernel);
        if let Some(how) = gate.core.broken_invariant() {
            kernel.breaks("marathon's books hold together", how.to_string());
        }
        let after = self.look(kernel);
        if let Some(after) = &after
            && before.as_ref().is_none_or(|before| !Arc::ptr_eq(before, after))
        {
            let breach = kernel.truth.marathon.moved(before.as_deref(), after, meddled);
            if let Some((rule, how)) = breach {
                kernel.breaks(rule, how);
            }
        }
        self.seen = after;
        self.release(kernel, released);
    }

    pub(crate) fn synced(&mut self, kernel: &mut Kernel) {
        let Some(released) = self.gate.as_mut().and_then(Gate::synced) else { return };
        if kernel.is(self.node).disk_full {
            kernel.counts.add("died of a full disk");
            return kernel.died.push(self.node);
        }
        self.release(kernel, Some(released));
        let released = self.gate.as_mut().and_then(|gate| gate.go_on(kernel));
        self.release(kernel, released);
    }

    fn release(&mut self, kernel: &mut Kernel, released: Option<Released<Marathon>>) {
        let Some(Released { records, effects }) = released else { return };
        self.stored(&records);
        for effect in effects {
            if !kernel.survives_effect(self.node) {
                return;
            }
            self.perform(kernel, effect);
        }
    }

    fn stored(&mut self, records: &[Record]) {
        for record in records {
            let row = record.row();
            self.rows.write(row.key, row.value);
        }
    }

    fn perform(&mut self, kernel: &mut Kernel, effect: Effect) {
        match effect {
            Effect::Call(call) => self.call(kernel, call),
            Effect::Reply { answer, .. } => self.answered(kernel, answer),
            Effect::Publish(event) => {
                let now = kernel.now();
                if kernel.trace.is_shown() {
                    kernel.trace.note(now, 0, &[], || format!("marathon: {}", told(&event.kind)));
                }
                kernel.counts.published(&event.kind);
                kernel.truth.marathon.published(&event.kind);
            }
            Effect::Probe(probe) => self.probe(kernel, probe.id, probe.timeout, false),
            Effect::ReadinessProbe(probe) => self.probe(kernel, probe.id, probe.timeout, true),
        }
    }

    fn probe(&mut self, kernel: &mut Kernel, id: ProbeId, timeout: Duration, readiness: bool) {
        self.probes.insert(id.0, readiness);
        let most = u64::try_from(timeout.as_micros()).unwrap_or(u64::MAX).max(500);
        let wait = kernel.micros(300..most.min(300_000));
        kernel.after(wait, self.node, Timer::Probed(id.0));
    }

    fn probed(&mut self, kernel: &mut Kernel, number: u64) {
        let Some(readiness) = self.probes.remove(&number) else { return };
        let id = ProbeId(number);
        let bad = kernel.at_war && kernel.chance.random_bool(0.08);
        let cause = "it did not answer".to_owned();
        let input = match (readiness, bad) {
            (false, false) => Input::Probed { id, outcome: ProbeOutcome::Healthy },
            (false, true) => Input::Probed { id, outcome: ProbeOutcome::Unhealthy { cause } },
            (true, true) => {
                Input::ReadinessProbed { id, outcome: ReadinessOutcome::Failed { cause } }
            }
            (true, false) => {
                let (status, content_type, body) = (200, String::new(), String::new());
                let outcome = ReadinessOutcome::Answered { status, content_type, body };
                Input::ReadinessProbed { id, outcome }
            }
        };
        self.feed(kernel, input);
    }

    fn call(&mut self, kernel: &mut Kernel, call: Call) {
        if let Some(how) = self.without_record(kernel, &call) {
            kernel.breaks("no effect leaves before its record", how);
        }
        let launched: Vec<TaskId> = match &call {
            Call::Accept { launches, .. } => {
                let ids = launches.iter().map(|task| TaskId::from_proto(task.task_id.as_ref()));
                ids.filter_map(Result::ok).collect()
            }
            _ => Vec::new(),
        };
        let Some(driver) = &mut self.driver else { return };
        if let Call::ChangeRoles { roles, suppressed } = call {
            self.info.roles = roles;
            return driver.update_framework(kernel, self.info.clone(), suppressed);
        }
        let Some(call) = wire::marathon::call(call) else { return };
        if !driver.send(kernel, call) && !launched.is_empty() {
            self.dropped(kernel, launched);
        }
    }

    /// What a call rests on that is not on disk.
    fn without_record(&self, kernel: &Kernel, call: &Call) -> Option<String> {
        match call {
            Call::Accept { launches, .. } => launches.iter().find_map(|task| {
                let id = task.task_id.as_ref()?.value();
                (!self.rows.has_task(id)).then(|| format!("{id} is launched and not on record"))
            }),
            Call::Acknowledge { task, uuid, .. } => {
                let ended = kernel.truth.tasks.is_end(uuid);
                let id = task.as_str();
                (ended && self.rows.has_task(id))
                    .then(|| format!("the end of {id} is acknowledged, which is on record as live"))
            }
            _ => None,
        }
    }

    fn answered(&mut self, kernel: &mut Kernel, answer: Answer) {
        match answer {
            Answer::Changed(Ok(done)) => {
                kernel.counts.add("change was taken");
                kernel.truth.marathon.answered(done);
            }
            Answer::Changed(Err(_)) => kernel.counts.add("change was refused"),
            Answer::Killed(Ok(done)) => {
                if let Some(change) = done.change {
                    kernel.truth.marathon.answered(change);
                }
                kernel.counts.add("tasks were killed");
            }
            Answer::Killed(Err(_)) | Answer::DelayReset(_) | Answer::View(_) => {}
        }
    }

    /// A look at everything, past the write-ahead rule: for checks, and for users.
    pub(crate) fn look(&mut self, kernel: &Kernel) -> Option<Arc<View>> {
        let gate = self.gate.as_mut()?;
        let mut out = Outputs::default();
        let now = kernel.read_clock(self.node);
        gate.core.handle(now, Input::View { reply: ReplyTo(0) }, &mut out);
        out.effects.into_iter().find_map(|effect| match effect {
            Effect::Reply { answer: Answer::View(view), .. } => Some(view),
            _ => None,
        })
    }
}

/// The apps that a change is of.
fn changed(change: &RootChange) -> Vec<PathId> {
    match change {
        RootChange::PutApps(puts) => puts.iter().map(|put| put.spec.id.clone()).collect(),
        RootChange::ScaleApp { app, .. }
        | RootChange::DeleteApp(app)
        | RootChange::RestartApp(app) => vec![app.clone()],
    }
}

/// An event in short.
fn told(event: &EventKind) -> String {
    match event {
        EventKind::DeploymentInfo { plan, step } => {
            let actions = plan.steps.iter().flat_map(|step| &step.actions);
            let actions = actions.map(|action| format!("{} {}", action.kind.as_str(), action.app));
            format!("deployment {} step {step} of {:?}", plan.id, actions.collect::<Vec<_>>())
        }
        EventKind::DeploymentSuccess { id, .. } => format!("deployment {id} is done"),
        EventKind::DeploymentFailed { id, .. } => format!("deployment {id} was given up"),
        EventKind::InstanceChanged { instance, condition, .. } => {
            format!("{instance} is {condition:?}")
        }
        EventKind::InstanceHealthChanged { instance, healthy, .. } => {
            format!("{instance} healthy: {healthy:?}")
        }
        other => format!("{other:?}").chars().take(160).collect(),
    }
}
