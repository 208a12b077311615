//! Status updates of one task: in order, one in flight, retried until acknowledged.
//!
//! Mesos's status update manager: 10 s, doubling to 10 min; a new head starts at 10 s; nothing is
//! sent while the master is away, and all heads are sent again when it is back.

use std::sync::Arc;
use std::time::Duration;

use meros_proto::task_state::is_terminal;
use meros_proto::time::{Mono, Now, Timestamp};
use meros_proto::v1::TaskState;

use crate::dispatch::{Agent, Out, info};
use crate::effect::{Effect, StatusUpdate, ToMaster};
use crate::record::Record;
use crate::status::{Status, Update};
use crate::task::{Phase, TaskKey};
use crate::timers::Timer;

/// After this long without an acknowledgement an update is sent again.
pub const RETRY_MIN: Duration = Duration::from_secs(10);
/// The longest wait between two sendings of one update.
pub const RETRY_MAX: Duration = Duration::from_secs(600);

/// So many updates that were heard are kept of a task that runs.
const HEARD_MAX: usize = 16;

/// All that was said about a task, and how much of it was heard.
#[derive(Debug, Default)]
pub(crate) struct Updates {
    said: Vec<Arc<Update>>,
    acknowledged: usize,
    in_flight: Option<InFlight>,
}

#[derive(Debug, Clone, Copy)]
struct InFlight {
    wait: Duration,
    retry_at: Mono,
}

impl Updates {
    /// Everything said so far, first to last.
    pub(crate) fn said(&self) -> &[Arc<Update>] {
        &self.said
    }

    /// How many of those were acknowledged, counted from the first.
    pub(crate) fn acknowledged(&self) -> usize {
        self.acknowledged
    }

    /// The latest state, STAGING while nothing was said.
    pub(crate) fn state(&self) -> TaskState {
        self.said.last().map_or(TaskState::TaskStaging, |update| update.status.state)
    }

    /// Whether the task was ever said to be in `state`.
    pub(crate) fn has_said(&self, state: TaskState) -> bool {
        self.said.iter().any(|update| update.status.state == state)
    }

    /// What was said last.
    pub(crate) fn latest(&self) -> Option<&Status> {
        self.said.last().map(|update| &update.status)
    }

    /// When the task was said to run, first of all.
    pub(crate) fn running_since(&self) -> Option<Timestamp> {
        let running = |update: &&Arc<Update>| update.status.state == TaskState::TaskRunning;
        self.said.iter().find(running).map(|update| update.status.timestamp)
    }

    /// Whether something is still to be heard.
    pub(crate) fn are_owed(&self) -> bool {
        self.acknowledged < self.said.len()
    }

    /// Adds what was said last.
    pub(crate) fn push(&mut self, update: Arc<Update>) {
        self.said.push(update);
    }

    /// Takes an acknowledgement of the head. Any other (late, doubled, out of order) changes
    /// nothing and gives `false`.
    pub(crate) fn acknowledge(&mut self, uuid: &[u8]) -> bool {
        let is_head = self.head().is_some_and(|head| head.uuid.as_slice() == uuid);
        if is_head {
            self.acknowledged += 1;
            self.in_flight = None;
            self.drop_repeated();
        }
        is_head
    }

    /// Checks make a task say that it runs again and again. Of what was heard of that, the first,
    /// the newest, and the newest that says that it was healthy are kept.
    fn drop_repeated(&mut self) {
        if self.acknowledged <= HEARD_MAX {
            return;
        }
        let said = &self.said[..self.acknowledged];
        let runs = |update: &Arc<Update>| update.status.state == TaskState::TaskRunning;
        let kept = [
            said.iter().position(runs),
            said.iter().rposition(runs),
            said.iter().rposition(|update| update.status.healthy == Some(true)),
        ];
        let (mut at, before) = (0, self.said.len());
        let heard = self.acknowledged;
        self.said.retain(|update| {
            let index = at;
            at += 1;
            index >= heard || !runs(update) || kept.contains(&Some(index))
        });
        self.acknowledged -= before - self.said.len();
    }

    /// Nothing is on its way any more: the link broke.
    pub(crate) fn pause(&mut self) {
        self.in_flight = None;
    }

    fn head(&self) -> Option<&Arc<Update>> {
        self.said.get(self.acknowledged)
    }
}

impl Agent {
    /// Records `status` as the task's latest and sends it when nothing is before it. Of a task whose
    /// framework was removed nothing is said.
    pub(crate) fn report(&mut self, now: Now, key: &TaskKey, status: Status, out: &mut Out) {
        let uuid = self.fresh_uuid();
        let Some(task) = self.tasks.get_mut(key).filter(|task| !task.silent) else { return };
        let update = Arc::new(Update { uuid, status: task.with_check(status) });
        if task.recorded {
            out.persist(Record::Update { task: key.clone(), update: Arc::clone(&update) });
        }
        self.counters.count(update.status.state);
        if is_terminal(update.status.state) {
            let message = update.status.message.as_deref().unwrap_or_default();
            info(out, format!("task {key}: {}: {message}", update.status.state.as_str_name()));
        }
        task.updates.push(update);
        self.forward(now, key, out);
    }

    /// Sends the head of a task's queue, unless it is on its way or the master is away.
    pub(crate) fn forward(&mut self, now: Now, key: &TaskKey, out: &mut Out) {
        let Some(task) = self.tasks.get_mut(key) else { return };
        if task.updates.in_flight.is_none() && !task.silent {
            self.send_head(now, key, RETRY_MIN, out);
        }
    }

    /// An update's time is up: sends it again, and waits twice as long.
    pub(crate) fn retry(&mut self, now: Now, due: Mono, key: &TaskKey, out: &mut Out) {
        let Some(in_flight) = self.tasks.get(key).and_then(|task| task.updates.in_flight) else {
            return;
        };
        // Otherwise the timer belongs to an update that was acknowledged meanwhile.
        if in_flight.retry_at == due {
            self.counters.retried_updates += 1;
            self.send_head(now, key, (in_flight.wait * 2).min(RETRY_MAX), out);
        }
    }

    /// The framework has heard an update.
    pub(crate) fn acknowledge(&mut self, now: Now, key: &TaskKey, uuid: &[u8], out: &mut Out) {
        let Some(task) = self.tasks.get_mut(key) else { return };
        let head = task.updates.head().map(|update| update.uuid);
        if !task.updates.acknowledge(uuid) {
            return;
        }
        let uuid = head.expect("an acknowledged update was the head");
        if task.recorded {
            out.persist(Record::Acknowledged { task: key.clone(), uuid });
        }
        if matches!(task.phase, Phase::Ended) && !task.updates.are_owed() {
            self.retire(key);
        } else {
            self.forward(now, key, out);
        }
    }

    fn send_head(&mut self, now: Now, key: &TaskKey, wait: Duration, out: &mut Out) {
        let (Some(session), Some(agent)) = (self.link.registered(), self.id.clone()) else {
            return;
        };
        let Some(task) = self.tasks.get_mut(key) else { return };
        let Some(head) = task.updates.head() else { return };
        out.effect(Effect::ToMaster {
            session,
            message: ToMaster::Update(StatusUpdate {
                agent,
                task: key.clone(),
                container: task.container.clone(),
                update: Arc::clone(head),
                latest: task.updates.state(),
            }),
        });
        let retry_at = now.mono + wait;
        task.updates.in_flight = Some(InFlight { wait, retry_at });
        self.timers.set(retry_at, Timer::Retry(key.clone()));
    }
}
