//! What became of tasks that are over, kept until the agent has it on record.

use std::{collections::BTreeMap, rc::Rc};

use super::wire::{End, Notice};

/// So many are kept at most. An agent that works has a handful of them unconfirmed, and while none
/// is there nothing is started.
const KEPT_MAX: usize = 65_536;
/// Of each report so much is kept: those that are asked for are shorter.
const REPORT_MAX: usize = 4096;

/// How a task that was ordered came to its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Outcome {
    Failed { step: String, errno: i32 },
    Exited { end: End, oom: bool, reports: Vec<Vec<u8>> },
}

impl Outcome {
    pub(super) fn notice(self, container: String) -> Notice {
        match self {
            Self::Failed { step, errno } => Notice::StartFailed { container, step, errno },
            Self::Exited { end, oom, reports } => Notice::Exited { container, end, oom, reports },
        }
    }

    /// The reverse of [`notice`](Self::notice).
    pub(super) fn of(notice: Notice) -> Option<(String, Self)> {
        match notice {
            Notice::StartFailed { container, step, errno } => {
                Some((container, Self::Failed { step, errno }))
            }
            Notice::Exited { container, end, oom, reports } => {
                Some((container, Self::Exited { end, oom, reports }))
            }
            _ => None,
        }
    }
}

/// The ends that no agent has confirmed.
#[derive(Debug, Default)]
pub(super) struct Ends {
    by_age: BTreeMap<u64, (Rc<str>, Outcome)>,
    ages: BTreeMap<Rc<str>, u64>,
    next: u64,
}

impl Ends {
    pub(super) fn contains(&self, task: &str) -> bool {
        self.ages.contains_key(task)
    }

    /// Keeps an end. The first of a name counts.
    pub(super) fn keep(&mut self, task: &str, mut outcome: Outcome) {
        if self.contains(task) {
            return;
        }
        if self.by_age.len() >= KEPT_MAX
            && let Some((_, (oldest, _))) = self.by_age.pop_first()
        {
            eprintln!("too many ends that no agent confirmed: dropping that of {oldest}");
            self.ages.remove(&oldest);
        }
        if let Outcome::Exited { reports, .. } = &mut outcome {
            reports.iter_mut().for_each(|report| report.truncate(REPORT_MAX));
        }
        let name: Rc<str> = task.into();
        self.ages.insert(Rc::clone(&name), self.next);
        self.by_age.insert(self.next, (name, outcome));
        self.next += 1;
    }

    pub(super) fn forget(&mut self, task: &str) {
        if let Some(age) = self.ages.remove(task) {
            self.by_age.remove(&age);
        }
    }

    /// All, the oldest first.
    pub(super) fn all(&self) -> impl Iterator<Item = (&str, &Outcome)> {
        self.by_age.values().map(|(task, outcome)| (task.as_ref(), outcome))
    }

    /// The same, as they are told.
    pub(super) fn notices(&self) -> impl Iterator<Item = Notice> {
        self.all().map(|(task, outcome)| outcome.clone().notice(task.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exited(status: u8, report: usize) -> Outcome {
        Outcome::Exited { end: End::Exit(status), oom: false, reports: vec![vec![b'x'; report]] }
    }

    #[test]
    fn an_end_is_told_until_it_is_forgotten() {
        let mut ends = Ends::default();
        ends.keep("b", exited(1, 0));
        ends.keep("a", Outcome::Failed { step: "exec".to_owned(), errno: 2 });
        ends.keep("b", exited(2, 0));
        let told: Vec<_> =
            ends.notices().map(|notice| Outcome::of(notice).expect("an end")).collect();
        assert_eq!(told[0], ("b".to_owned(), exited(1, 0)));
        assert_eq!(told[1].0, "a");
        assert_eq!(told.len(), 2);
        ends.forget("b");
        ends.forget("nobody");
        assert!(!ends.contains("b") && ends.contains("a"));
        assert_eq!(ends.notices().count(), 1);
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let mut ends = Ends::default();
        for n in 0..=KEPT_MAX {
            ends.keep(&n.to_string(), exited(0, if n == 1 { 1 << 20 } else { 0 }));
        }
        assert_eq!(ends.by_age.len(), KEPT_MAX);
        assert_eq!(ends.ages.len(), KEPT_MAX);
        assert!(!ends.contains("0") && ends.contains("1"));
        assert_eq!(ends.notices().next(), Some(exited(0, REPORT_MAX).notice("1".to_owned())));
    }
}
