//! Where a task leaves traces: its cgroups, the files to be read when it ended, its mark.
//!
//! The launcher keeps these for every task, and they differ in nothing but the task's name: so
//! tasks share them, each with a gap where its name belongs.

use std::{collections::BTreeSet, rc::Rc};

/// With so many different ones, those that no task uses any more are dropped.
const PRUNE_AT: usize = 32;

/// The traces of all tasks that are fenced in alike.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Traces {
    groups: Box<[Pattern]>,
    reports: Box<[Pattern]>,
    marker: Pattern,
}

/// A text in which one task's name may occur.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Pattern {
    before: Box<[u8]>,
    /// What follows the name; `None` when it doesn't occur.
    after: Option<Box<[u8]>>,
}

impl Traces {
    pub(super) fn has_groups(&self) -> bool {
        !self.groups.is_empty()
    }

    /// The cgroups of a task, in the order in which they were made.
    pub(super) fn groups(&self, task: &str) -> Vec<Vec<u8>> {
        self.groups.iter().map(|pattern| pattern.with(task)).collect()
    }

    /// The cgroup in which all its processes are.
    pub(super) fn first_group(&self, task: &str) -> Option<Vec<u8>> {
        self.groups.first().map(|pattern| pattern.with(task))
    }

    /// The files to be read when it ended.
    pub(super) fn reports(&self, task: &str) -> Vec<Vec<u8>> {
        self.reports.iter().map(|pattern| pattern.with(task)).collect()
    }

    /// The variable that only its environment has.
    pub(super) fn marker(&self, task: &str) -> Vec<u8> {
        self.marker.with(task)
    }
}

impl Pattern {
    fn of(text: &[u8], task: &str) -> Self {
        let name = task.as_bytes();
        let place = (0..=text.len().saturating_sub(name.len()))
            .rev()
            .find(|at| !name.is_empty() && text[*at..].starts_with(name));
        match place {
            Some(at) => {
                let (before, after) = (text[..at].into(), text[at + name.len()..].into());
                Self { before, after: Some(after) }
            }
            None => Self { before: text.into(), after: None },
        }
    }

    fn with(&self, task: &str) -> Vec<u8> {
        match &self.after {
            Some(after) => [&self.before, task.as_bytes(), after].concat(),
            None => self.before.to_vec(),
        }
    }
}

/// Every layout of traces that is in use.
#[derive(Debug, Default)]
pub(super) struct Layouts(BTreeSet<Rc<Traces>>);

impl Layouts {
    /// The traces of `task`, shared with all tasks that have the same.
    pub(super) fn share<'a>(
        &mut self,
        task: &str,
        groups: impl Iterator<Item = &'a [u8]>,
        reports: &[Vec<u8>],
        marker: &[u8],
    ) -> Rc<Traces> {
        let traces = Traces {
            groups: groups.map(|group| Pattern::of(group, task)).collect(),
            reports: reports.iter().map(|report| Pattern::of(report, task)).collect(),
            marker: Pattern::of(marker, task),
        };
        if let Some(known) = self.0.get(&traces) {
            return Rc::clone(known);
        }
        if self.0.len() >= PRUNE_AT {
            self.0.retain(|layout| Rc::strong_count(layout) > 1);
        }
        let traces = Rc::new(traces);
        self.0.insert(Rc::clone(&traces));
        traces
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn share(layouts: &mut Layouts, task: &str) -> Rc<Traces> {
        let groups = [format!("/cpu/meros/a/{task}"), "/other".to_owned()];
        let reports = [format!("/cpu/meros/a/{task}/usage").into_bytes()];
        let marker = format!("M=a/{task}").into_bytes();
        layouts.share(task, groups.iter().map(String::as_bytes), &reports, &marker)
    }

    #[test]
    fn tasks_that_are_fenced_in_alike_share_their_traces() {
        let mut layouts = Layouts::default();
        let (one, two) = (share(&mut layouts, "x-1"), share(&mut layouts, "x-2"));
        assert!(Rc::ptr_eq(&one, &two));
        assert_eq!(one.groups("x-2"), [b"/cpu/meros/a/x-2".to_vec(), b"/other".to_vec()]);
        assert_eq!(one.first_group("x-1"), Some(b"/cpu/meros/a/x-1".to_vec()));
        assert_eq!(one.reports("x-1"), [b"/cpu/meros/a/x-1/usage".to_vec()]);
        assert_eq!(one.marker("x-1"), b"M=a/x-1");
        // A name that occurs by chance elsewhere is put back where it was.
        let odd = share(&mut layouts, "a");
        assert_eq!(odd.reports("a"), [b"/cpu/meros/a/a/usage".to_vec()]);
        assert_eq!(odd.marker("a"), b"M=a/a");
    }

    #[test]
    fn layouts_that_nobody_uses_are_dropped() {
        let mut layouts = Layouts::default();
        let kept = layouts.share("k", [b"/kept/k".as_slice()].into_iter(), &[], b"");
        for n in 0..200 {
            let group = format!("/{n}/x");
            layouts.share("x", [group.as_bytes()].into_iter(), &[], b"");
        }
        assert!(layouts.0.len() <= PRUNE_AT, "{}", layouts.0.len());
        let again = layouts.share("z", [b"/kept/z".as_slice()].into_iter(), &[], b"");
        assert!(Rc::ptr_eq(&kept, &again));
    }
}
