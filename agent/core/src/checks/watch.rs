//! Who is looked at when, and what is said of it.

use std::fmt;
use std::time::Duration;

use meros_proto::ids::ContainerId;
use meros_proto::time::{Mono, Now};
use meros_proto::v1::task_status::{Reason, Source};

use super::health::{Health, Verdict};
use super::result::CheckStatus;
use super::terms::{CheckTerms, HealthTerms, How, Pace};
use crate::dispatch::{Agent, Out, info};
use crate::effect::{Effect, Launch};
use crate::input::Room;
use crate::status::Status;
use crate::task::{Phase, Task, TaskKey, Why, passed};
use crate::timers::Timer;

/// One look at a task, to be answered by one [`Input::Checked`](crate::Input::Checked).
#[derive(Debug, Clone, PartialEq)]
pub struct Probe {
    /// Names it in the answer.
    pub id: ProbeId,
    /// What to look at.
    pub how: How,
    /// After so long the answer is [`Answer::Failed`]; `None`: never.
    pub timeout: Option<Duration>,
    /// The task, as it was launched.
    pub of: Launch,
}

/// Names a look.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ProbeId {
    /// At which task.
    pub task: TaskKey,
    /// What for.
    pub purpose: Purpose,
    /// Which of all looks of this agent's life.
    pub number: u64,
}

impl fmt::Display for ProbeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} of task {}", self.purpose, self.number, self.task)
    }
}

/// Which of a task's two checks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Purpose {
    /// `TaskInfo.health_check`.
    Health,
    /// `TaskInfo.check`.
    Check,
}

impl fmt::Display for Purpose {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Health => "health check",
            Self::Check => "check",
        })
    }
}

/// What was seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// The command's exit status.
    Exited(i32),
    /// The status of the HTTP answer, redirections followed.
    Http(u16),
    /// Whether a connection was made.
    Tcp(bool),
    /// Nothing could be seen, or not in time.
    Failed(String),
}

/// The looks at one task that runs.
#[derive(Debug)]
pub(crate) struct Watches {
    /// A task of the same name may have come after it.
    container: ContainerId,
    health: Option<(Turn, Health)>,
    check: Option<(Turn, CheckStatus)>,
}

/// Who is to move.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Turn {
    /// We: look again then.
    At(Mono),
    /// The shell: it owes the answer to this look.
    Asked(u64),
}

impl Watches {
    fn turn(&mut self, purpose: Purpose) -> Option<&mut Turn> {
        match purpose {
            Purpose::Health => self.health.as_mut().map(|(turn, _)| turn),
            Purpose::Check => self.check.as_mut().map(|(turn, _)| turn),
        }
    }
}

impl Agent {
    /// A task runs: since now, or since an earlier life of the agent.
    pub(crate) fn begin_checks(&mut self, now: Now, key: &TaskKey) {
        let Some(task) = self.tasks.get(key) else { return };
        let Some(terms) = task.spec.checks.as_deref() else { return };
        let mut first = |purpose, pace: Pace| {
            let due = now.mono + pace.delay;
            self.timers.set(due, Timer::Check(key.clone(), purpose));
            Turn::At(due)
        };
        let health = terms.health.as_ref();
        let check = terms.check.as_ref();
        let watches = Watches {
            container: task.container.clone(),
            health: health.map(|t| (first(Purpose::Health, t.pace), health_of(now, task))),
            check: check.map(|t| (first(Purpose::Check, t.pace), last_told(task, t))),
        };
        self.watches.insert(key.clone(), watches);
    }

    /// A time at which a task was to be looked at.
    pub(crate) fn check_due(&mut self, now: Now, key: &TaskKey, purpose: Purpose, out: &mut Out) {
        let Some((task, turn)) = self.watched(key, purpose) else { return };
        let Turn::At(due) = *turn else { return };
        // Otherwise the timer belongs to a task of that name that is gone.
        if due > now.mono {
            return;
        }
        let Some((how, pace)) = terms_of(task, purpose) else { return };
        let (spec, container) = (task.spec.clone(), task.container.clone());
        let (Some(agent), Some(framework)) =
            (self.id.clone(), self.frameworks.get(&key.framework).cloned())
        else {
            return;
        };
        self.probes += 1;
        let number = self.probes;
        let id = ProbeId { task: key.clone(), purpose, number };
        if let Some(turn) = self.watches.get_mut(key).and_then(|watches| watches.turn(purpose)) {
            *turn = Turn::Asked(number);
        }
        let of = Launch { container, agent, task: spec, framework };
        out.effect(Effect::Check(Probe { id, how, timeout: pace.timeout, of }));
    }

    /// What was seen of a task.
    pub(crate) fn checked(&mut self, now: Now, probe: ProbeId, answer: Answer, out: &mut Out) {
        let ProbeId { task: key, purpose, number } = probe;
        let Some((task, turn)) = self.watched(&key, purpose) else { return };
        if *turn != Turn::Asked(number) {
            return;
        }
        let Some((_, pace)) = terms_of(task, purpose) else { return };
        let spec = task.spec.clone();
        self.next_look(now, &key, purpose, pace);
        let terms = spec.checks.as_deref();
        if let (Purpose::Health, Some(terms)) = (purpose, terms.and_then(|t| t.health.as_ref())) {
            self.heard_of_health(now, &key, terms, &answer, out);
        }
        if let (Purpose::Check, Some(terms)) = (purpose, terms.and_then(|t| t.check.as_ref())) {
            self.heard_of_check(now, &key, &terms.how, &answer, out);
        }
    }

    fn next_look(&mut self, now: Now, key: &TaskKey, purpose: Purpose, pace: Pace) {
        let due = now.mono + pace.interval;
        if let Some(turn) = self.watches.get_mut(key).and_then(|watches| watches.turn(purpose)) {
            *turn = Turn::At(due);
            self.timers.set(due, Timer::Check(key.clone(), purpose));
        }
    }

    fn heard_of_health(
        &mut self,
        now: Now,
        key: &TaskKey,
        terms: &HealthTerms,
        answer: &Answer,
        out: &mut Out,
    ) {
        let Some(watches) = self.watches.get_mut(key) else { return };
        let Some((_, health)) = &mut watches.health else { return };
        match health.hear(now.mono, terms, answer) {
            Verdict::AsBefore => {}
            Verdict::Healthy => self.tell_health(now, key, true, out),
            Verdict::Unhealthy { why, kill } => {
                info(out, format!("task {key} is unhealthy: {why}"));
                self.tell_health(now, key, false, out);
                if kill {
                    let Some(task) = self.tasks.get(key) else { return };
                    self.stop_task(now, key, Why::Unhealthy, task.spec.kill_grace, out);
                }
            }
        }
    }

    fn tell_health(&mut self, now: Now, key: &TaskKey, healthy: bool, out: &mut Out) {
        let Some(last) = self.tasks.get(key).and_then(|task| task.updates.latest()) else { return };
        // What is set aside on a full disk is for ends: only news is worth some of it.
        if self.room == Room::Reserve && last.healthy == Some(healthy) {
            return;
        }
        let status = Status { healthy: Some(healthy), ..last.clone() };
        self.tell(now, key, status, Reason::TaskHealthCheckStatusUpdated, out);
    }

    fn heard_of_check(
        &mut self,
        now: Now,
        key: &TaskKey,
        how: &How,
        answer: &Answer,
        out: &mut Out,
    ) {
        let Some(watches) = self.watches.get_mut(key) else { return };
        let Some((_, told)) = &mut watches.check else { return };
        let seen = CheckStatus::of(how, answer);
        if std::mem::replace(told, seen) == seen {
            return;
        }
        let Some(last) = self.tasks.get(key).and_then(|task| task.updates.latest()) else { return };
        let status = Status { check: Some(seen), ..last.clone() };
        self.tell(now, key, status, Reason::TaskCheckStatusUpdated, out);
    }

    /// Says that a task runs once more, with all that was said before.
    fn tell(&mut self, now: Now, key: &TaskKey, status: Status, reason: Reason, out: &mut Out) {
        self.report(now, key, Status { timestamp: now.wall, ..status }.because(reason), out);
    }

    /// A task that runs, and whose turn it is in looking at it.
    fn watched(&mut self, key: &TaskKey, purpose: Purpose) -> Option<(&Task, &mut Turn)> {
        let task = self.tasks.get(key)?;
        let watches = self.watches.get_mut(key)?;
        let runs = matches!(task.phase, Phase::Running { .. });
        let turn =
            if runs && watches.container == task.container { watches.turn(purpose) } else { None };
        Some((task, turn?))
    }
}

impl Task {
    /// What the task's executor would say, which always tells of the check if there is one.
    pub(crate) fn with_check(&self, status: Status) -> Status {
        let terms = self.spec.checks.as_deref().filter(|_| status.source == Source::Executor);
        let check = terms.and_then(|terms| terms.check.as_ref());
        let unknown = || check.map(|check| CheckStatus::unknown(&check.how));
        Status { check: status.check.or_else(unknown), ..status }
    }
}

fn terms_of(task: &Task, purpose: Purpose) -> Option<(How, Pace)> {
    let (how, pace) = task.spec.checks.as_deref()?.of_purpose(purpose)?;
    Some((how.clone(), pace))
}

/// As it was left: the grace counts from the task's start, whoever the agent was then.
fn health_of(now: Now, task: &Task) -> Health {
    let since = task.updates.running_since();
    let gone = since.map_or(Duration::ZERO, |since| passed(since, now));
    let was_healthy = task.updates.said().iter().any(|update| update.status.healthy == Some(true));
    let told_sick = task.updates.latest().is_some_and(|status| status.healthy == Some(false));
    Health::new(now.mono - gone, was_healthy, told_sick)
}

fn last_told(task: &Task, terms: &CheckTerms) -> CheckStatus {
    let last = task.updates.latest().and_then(|status| status.check);
    last.unwrap_or_else(|| CheckStatus::unknown(&terms.how))
}
