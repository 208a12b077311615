//! Reasons, counted.

use std::collections::BTreeMap;
use std::fmt;

use super::reason::{Kind, Reason};

/// How many offers were looked at, and how often each reason spoke against one.
#[derive(Debug, Clone, Default)]
pub struct Tally {
    looked_at: u64,
    taken: u64,
    against: BTreeMap<Kind, u64>,
}

impl Tally {
    /// Counts what [`Want::try_offer`](super::Want::try_offer) answered.
    pub fn count<T>(&mut self, outcome: &Result<T, Vec<Reason>>) {
        self.looked_at += 1;
        match outcome {
            Ok(_) => self.taken += 1,
            Err(reasons) => {
                for reason in reasons {
                    *self.against.entry(reason.kind()).or_default() += 1;
                }
            }
        }
    }

    /// How many offers were looked at.
    pub fn looked_at(&self) -> u64 {
        self.looked_at
    }

    /// How many of them fit.
    pub fn taken(&self) -> u64 {
        self.taken
    }

    /// How often each kind of reason spoke against an offer.
    pub fn against(&self) -> impl Iterator<Item = (&Kind, u64)> {
        self.against.iter().map(|(kind, count)| (kind, *count))
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {} offers fit", self.taken, self.looked_at)?;
        for (index, (kind, count)) in self.against().enumerate() {
            write!(f, "{} {count} × {kind}", if index == 0 { ":" } else { "," })?;
        }
        Ok(())
    }
}
