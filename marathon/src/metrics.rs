//! What is counted, under Marathon's names.

use std::sync::atomic::{AtomicU64, Ordering};

use http::StatusCode;
use meros_marathon_core::output::Call;
use meros_proto::v1::TaskState;

/// A number that goes up, or up and down.
#[derive(Debug, Default)]
pub(crate) struct Number(AtomicU64);

impl Number {
    /// So many more.
    pub(crate) fn add(&self, count: u64) {
        self.0.fetch_add(count, Ordering::Relaxed);
    }

    /// So many fewer.
    pub(crate) fn sub(&self, count: u64) {
        self.0.fetch_sub(count, Ordering::Relaxed);
    }

    /// Another value.
    pub(crate) fn set(&self, value: u64) {
        self.0.store(value, Ordering::Relaxed);
    }

    /// The value.
    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// The states that statuses are counted by.
const TASK_STATES: [TaskState; 13] = [
    TaskState::TaskStaging,
    TaskState::TaskStarting,
    TaskState::TaskRunning,
    TaskState::TaskKilling,
    TaskState::TaskFinished,
    TaskState::TaskFailed,
    TaskState::TaskKilled,
    TaskState::TaskError,
    TaskState::TaskDropped,
    TaskState::TaskUnreachable,
    TaskState::TaskGone,
    TaskState::TaskGoneByOperator,
    TaskState::TaskUnknown,
];

/// Everything that is counted where it happens. Sizes of things are read off the core's view.
#[derive(Debug, Default)]
pub(crate) struct Metrics {
    /// Streams of events that are open.
    pub(crate) event_streams: Number,
    /// Requests being answered.
    pub(crate) requests_active: Number,
    responses: [Number; 5],
    /// Deployments that were started.
    pub(crate) deployments: Number,
    /// Changes that were refused because of too many deployments or a lock.
    pub(crate) deployments_dismissed: Number,
    /// Offers that came in.
    pub(crate) offers_incoming: Number,
    offers_used: Number,
    offers_declined: Number,
    tasks_launched: Number,
    revives: Number,
    suppresses: Number,
    updates: [Number; TASK_STATES.len()],
}

impl Metrics {
    /// Counts an answer.
    pub(crate) fn answered(&self, status: StatusCode) {
        if let Some(class) = self.responses.get(usize::from(status.as_u16() / 100).wrapping_sub(1))
        {
            class.add(1);
        }
    }

    /// Counts a call to the master.
    pub(crate) fn called(&self, call: &Call) {
        match call {
            Call::Accept { launches, .. } => {
                self.offers_used.add(1);
                self.tasks_launched.add(launches.len() as u64);
            }
            Call::Decline { offers, .. } => self.offers_declined.add(offers.len() as u64),
            Call::Revive { .. } => self.revives.add(1),
            Call::Suppress { .. } => self.suppresses.add(1),
            _ => {}
        }
    }

    /// Counts a status.
    pub(crate) fn updated(&self, state: TaskState) {
        if let Some(at) = TASK_STATES.iter().position(|known| *known == state) {
            self.updates[at].add(1);
        }
    }

    /// The counters by their names.
    pub(crate) fn counters(&self) -> Vec<(String, u64)> {
        let fixed = [
            ("marathon.deployments.counter", &self.deployments),
            ("marathon.deployments.dismissed.counter", &self.deployments_dismissed),
            ("marathon.tasks.launched.counter", &self.tasks_launched),
            ("marathon.mesos.calls.revive.counter", &self.revives),
            ("marathon.mesos.calls.suppress.counter", &self.suppresses),
            ("marathon.mesos.offers.incoming.counter", &self.offers_incoming),
            ("marathon.mesos.offers.used.counter", &self.offers_used),
            ("marathon.mesos.offers.declined.counter", &self.offers_declined),
            ("marathon.mesos.offer-operations.launch.counter", &self.tasks_launched),
        ];
        let fixed = fixed.into_iter().map(|(name, number)| (name.to_owned(), number.get()));
        let responses = self.responses.iter().enumerate().map(|(class, number)| {
            (format!("marathon.http.responses.{}xx.counter", class + 1), number.get())
        });
        let updates = TASK_STATES.iter().zip(&self.updates).map(|(state, number)| {
            let state = state.as_str_name().to_ascii_lowercase().replace('_', "-");
            (format!("marathon.mesos.task-updates.{state}.counter"), number.get())
        });
        fixed.chain(responses).chain(updates).collect()
    }

    /// The gauges that are counted here, by their names.
    pub(crate) fn gauges(&self) -> Vec<(String, u64)> {
        vec![
            ("marathon.http.event-streams.active.gauge".to_owned(), self.event_streams.get()),
            ("marathon.http.requests.active.gauge".to_owned(), self.requests_active.get()),
        ]
    }
}
