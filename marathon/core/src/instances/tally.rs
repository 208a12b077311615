//! Counts of instances, kept up to date with each change, so that nobody has to count.

use std::ops::{Add, AddAssign, SubAssign};

use super::{Goal, Instance};
use crate::health::{self, Verdict};

/// How many instances there are, by what matters of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Tally {
    /// All.
    pub(crate) all: usize,
    /// Those that are to run.
    pub(crate) wanted: usize,
    /// Those of them that count towards the number that their app wants.
    pub(crate) counted: usize,
    /// Those that count and are healthy.
    pub(crate) healthy: usize,
    /// Those that count, are healthy, and ready.
    pub(crate) up: usize,
    /// Those that are to run but don't work: not running, or unhealthy.
    pub(crate) broken: usize,
    /// Those whose task takes resources, as far as is known.
    pub(crate) active: usize,
    /// Those that are to end.
    pub(crate) ending: usize,
}

impl Tally {
    /// One instance.
    pub(crate) fn of(instance: &Instance) -> Self {
        let wanted = instance.goal == Goal::Running;
        let counted = instance.counts();
        let verdict = health::verdict(instance);
        let healthy = counted && verdict == Verdict::Healthy;
        Self {
            all: 1,
            wanted: usize::from(wanted),
            counted: usize::from(counted),
            healthy: usize::from(healthy),
            up: usize::from(healthy && health::is_ready(instance)),
            broken: usize::from(wanted && verdict == Verdict::Unhealthy),
            active: usize::from(instance.condition().is_active()),
            ending: usize::from(instance.goal == Goal::Decommissioned),
        }
    }
}

impl Add for Tally {
    type Output = Self;

    fn add(mut self, other: Self) -> Self {
        self += other;
        self
    }
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.all += other.all;
        self.wanted += other.wanted;
        self.counted += other.counted;
        self.healthy += other.healthy;
        self.up += other.up;
        self.broken += other.broken;
        self.active += other.active;
        self.ending += other.ending;
    }
}

impl SubAssign for Tally {
    /// Takes out what was added before.
    fn sub_assign(&mut self, other: Self) {
        self.all -= other.all;
        self.wanted -= other.wanted;
        self.counted -= other.counted;
        self.healthy -= other.healthy;
        self.up -= other.up;
        self.broken -= other.broken;
        self.active -= other.active;
        self.ending -= other.ending;
    }
}
