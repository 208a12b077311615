//! Finding out what became of tasks after a time without news.
//!
//! After every subscription: the tasks that are known are asked for by name, in chunks, with
//! back-off until each was answered (a master that has just failed over doesn't answer for agents
//! that aren't back yet); then all that the master knows, which brings up tasks the framework
//! forgot. And again every now and then, in case an update was lost.
//!
//! A machine without a clock. Start at [`Reconciler::start`].

use std::collections::BTreeMap;
use std::time::Duration;

use meros_proto::ids::{AgentId, TaskId};
use meros_proto::time::Mono;
use rand::SeedableRng;
use rand::rngs::StdRng;

use crate::backoff::Backoff;

/// How much is asked at once, how often, for how long.
#[derive(Debug, Clone)]
pub struct Pace {
    /// Tasks in one call. Default 500.
    pub chunk: usize,
    /// Before unanswered tasks are asked for again, at first. Default 2 s, doubling.
    pub retry_first: Duration,
    /// The same, at last. Default 30 s.
    pub retry_last: Duration,
    /// Between one reconciliation and the next. Default 15 min.
    pub every: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            chunk: 500,
            retry_first: Duration::from_secs(2),
            retry_last: Duration::from_secs(30),
            every: Duration::from_secs(900),
        }
    }
}

/// What is to be asked now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Question {
    /// RECONCILE for each of these, one call for each element.
    Explicit(Vec<Vec<(TaskId, Option<AgentId>)>>),
    /// RECONCILE for everything.
    Implicit,
}

/// Asks until it knows. See the [module](self).
#[derive(Debug)]
pub struct Reconciler {
    pace: Pace,
    /// Not answered yet.
    pending: BTreeMap<TaskId, Option<AgentId>>,
    next: Option<Mono>,
    phase: Phase,
    backoff: Backoff,
    rng: StdRng,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Nothing is to be asked until [`Reconciler::start`].
    Idle,
    /// Asking by name.
    Explicit,
    /// All were answered: asking for everything is due.
    Implicit,
}

impl Reconciler {
    /// A reconciler that has nothing to ask yet.
    pub fn new(pace: Pace, seed: u64) -> Self {
        Self {
            backoff: Backoff::new(pace.retry_first, pace.retry_last),
            pace,
            pending: BTreeMap::new(),
            next: None,
            phase: Phase::Idle,
            rng: StdRng::seed_from_u64(seed),
        }
    }

    /// Begins anew, with all tasks that are known and not over. On every subscription, and when
    /// [`Reconciler::is_due`].
    pub fn start(&mut self, now: Mono, tasks: impl IntoIterator<Item = (TaskId, Option<AgentId>)>) {
        self.pending = tasks.into_iter().collect();
        self.phase = if self.pending.is_empty() { Phase::Implicit } else { Phase::Explicit };
        self.backoff.reset();
        self.next = Some(now);
    }

    /// Stops asking: there is no master to ask.
    pub fn stop(&mut self) {
        self.pending.clear();
        self.phase = Phase::Idle;
        self.next = None;
    }

    /// An update about `task` came, of whatever kind.
    pub fn answered(&mut self, now: Mono, task: &TaskId) {
        let was_last = self.pending.remove(task).is_some() && self.pending.is_empty();
        if was_last && self.phase == Phase::Explicit {
            self.phase = Phase::Implicit;
            self.next = Some(now);
        }
    }

    /// Tasks that were asked for and not answered yet.
    pub fn unanswered(&self) -> usize {
        self.pending.len()
    }

    /// Whether it is time to [`Reconciler::start`] again with what is known now.
    pub fn is_due(&self, now: Mono) -> bool {
        self.phase == Phase::Idle && self.next.is_some_and(|next| next <= now)
    }

    /// What is to be asked now, if anything.
    pub fn round(&mut self, now: Mono) -> Option<Question> {
        if self.next.is_none_or(|next| now < next) {
            return None;
        }
        match self.phase {
            Phase::Idle => None,
            Phase::Explicit => {
                // Half of the ceiling at least: the master needs a moment to answer.
                let ceiling = self.backoff.ceiling();
                self.next = Some(now + self.backoff.next(&mut self.rng).max(ceiling / 2));
                let tasks: Vec<_> = self.pending.clone().into_iter().collect();
                let chunks = tasks.chunks(self.pace.chunk.max(1)).map(<[_]>::to_vec).collect();
                Some(Question::Explicit(chunks))
            }
            Phase::Implicit => {
                self.phase = Phase::Idle;
                self.next = Some(now + self.pace.every);
                Some(Question::Implicit)
            }
        }
    }

    /// When [`Reconciler::round`] or [`Reconciler::is_due`] has something to say again.
    pub fn deadline(&self) -> Option<Mono> {
        self.next
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Mono {
        Mono::from_nanos(seconds * 1_000_000_000)
    }

    fn task(number: usize) -> TaskId {
        TaskId::parse(&format!("task-{number}")).expect("an id")
    }

    fn explicit(chunks: &[&[usize]]) -> Option<Question> {
        let chunk = |numbers: &&[usize]| numbers.iter().map(|n| (task(*n), None)).collect();
        Some(Question::Explicit(chunks.iter().map(chunk).collect()))
    }

    fn reconciler() -> Reconciler {
        Reconciler::new(Pace { chunk: 2, ..Pace::default() }, 1)
    }

    #[test]
    fn known_tasks_are_asked_for_in_chunks_until_each_is_answered_then_everything() {
        let mut reconciler = reconciler();
        reconciler.start(at(0), (1..=3).map(|n| (task(n), None)));
        assert_eq!(reconciler.round(at(0)), explicit(&[&[1, 2], &[3]]));
        assert_eq!(reconciler.round(at(0)), None);
        reconciler.answered(at(0), &task(2));
        assert_eq!(reconciler.round(at(2)), explicit(&[&[1, 3]]));
        reconciler.answered(at(3), &task(1));
        reconciler.answered(at(3), &task(9));
        reconciler.answered(at(3), &task(3));
        assert_eq!(reconciler.round(at(3)), Some(Question::Implicit));
        assert_eq!(reconciler.round(at(4)), None);
        assert!(!reconciler.is_due(at(902)) && reconciler.is_due(at(903)));
    }

    #[test]
    fn questions_grow_rarer_but_never_stop_while_a_task_is_unanswered() {
        let mut reconciler = reconciler();
        reconciler.start(at(0), [(task(1), None)]);
        let mut asked = Vec::new();
        for now in 0..600 {
            if reconciler.round(at(now)).is_some() {
                asked.push(now);
            }
        }
        assert!((15..60).contains(&asked.len()), "{asked:?}");
        assert!(asked.windows(2).all(|pair| pair[1] - pair[0] <= 31), "{asked:?}");
        assert_eq!(reconciler.unanswered(), 1);
    }

    #[test]
    fn with_no_task_known_everything_is_asked_for_at_once() {
        let mut reconciler = reconciler();
        reconciler.start(at(0), []);
        assert_eq!(reconciler.round(at(0)), Some(Question::Implicit));
    }

    #[test]
    fn a_lost_master_ends_the_questions_and_a_new_one_begins_them() {
        let mut reconciler = reconciler();
        reconciler.start(at(0), [(task(1), None)]);
        reconciler.stop();
        assert_eq!((reconciler.round(at(100)), reconciler.deadline()), (None, None));
        reconciler.start(at(100), [(task(1), None)]);
        assert_eq!(reconciler.round(at(100)), explicit(&[&[1]]));
    }
}
