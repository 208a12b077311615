//! Why offers weren't used: the answer to "why isn't my app running?".

use std::collections::BTreeMap;
use std::sync::Arc;

use meros_proto::ids::AgentId;
use meros_proto::time::Timestamp;

use super::Offer;

/// How many agents' last unused offers are remembered for an app.
const AGENTS_MAX: usize = 100;

/// Why an offer doesn't suit a launch. In the order in which they are looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum NoMatch {
    /// There would be enough, but for roles that the app doesn't take resources of.
    UnfulfilledRole,
    /// A constraint keeps instances off this agent.
    UnfulfilledConstraint,
    /// It doesn't hold the volumes that the instance left behind.
    NoCorrespondingReservationFound,
    /// The agent is about to be taken down.
    AgentMaintenance,
    /// Too few CPUs.
    InsufficientCpus,
    /// Too little memory.
    InsufficientMemory,
    /// Too little disk.
    InsufficientDisk,
    /// Too few GPUs.
    InsufficientGpus,
    /// Too few ports, or not those wanted.
    InsufficientPorts,
    /// It has what is scarce and the app doesn't need.
    DeclinedScarceResources,
}

impl NoMatch {
    /// All reasons, in order.
    pub const ALL: [Self; 10] = [
        Self::UnfulfilledRole,
        Self::UnfulfilledConstraint,
        Self::NoCorrespondingReservationFound,
        Self::AgentMaintenance,
        Self::InsufficientCpus,
        Self::InsufficientMemory,
        Self::InsufficientDisk,
        Self::InsufficientGpus,
        Self::InsufficientPorts,
        Self::DeclinedScarceResources,
    ];

    /// As Marathon writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::UnfulfilledRole => "UnfulfilledRole",
            Self::UnfulfilledConstraint => "UnfulfilledConstraint",
            Self::NoCorrespondingReservationFound => "NoCorrespondingReservationFound",
            Self::AgentMaintenance => "AgentMaintenance",
            Self::InsufficientCpus => "InsufficientCpus",
            Self::InsufficientMemory => "InsufficientMemory",
            Self::InsufficientDisk => "InsufficientDisk",
            Self::InsufficientGpus => "InsufficientGpus",
            Self::InsufficientPorts => "InsufficientPorts",
            Self::DeclinedScarceResources => "DeclinedScarceResources",
        }
    }
}

/// What became of the offers that an app's launches were looked for in.
#[derive(Debug, Clone, Default)]
pub struct OfferStats {
    /// How many offers were looked at.
    pub processed: u64,
    /// How many of them didn't suit.
    pub unused: u64,
    /// When one last didn't suit.
    pub last_unused_at: Option<Timestamp>,
    /// When one was last used.
    pub last_used_at: Option<Timestamp>,
    /// The last offer of each agent that didn't suit.
    pub last_unused: BTreeMap<AgentId, UnusedOffer>,
    /// How many offers didn't suit, by their first reason.
    declined: [u64; NoMatch::ALL.len()],
}

/// An offer that didn't suit, and why.
#[derive(Debug, Clone)]
pub struct UnusedOffer {
    /// The offer.
    pub offer: Arc<Offer>,
    /// All that was wrong with it, in order; never empty.
    pub reasons: Vec<NoMatch>,
    /// When it came.
    pub at: Timestamp,
}

/// One line of the funnel that offers go through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reject {
    /// What was looked at.
    pub reason: NoMatch,
    /// How many offers failed here.
    pub declined: u64,
    /// How many came so far.
    pub processed: u64,
}

impl OfferStats {
    /// Notes that an offer was used.
    pub(crate) fn used(&mut self, agent: &AgentId, at: Timestamp) {
        self.processed += 1;
        self.last_used_at = Some(at);
        self.last_unused.remove(agent);
    }

    /// Notes that an offer didn't suit.
    pub(crate) fn not_used(&mut self, unused: UnusedOffer) {
        self.processed += 1;
        self.unused += 1;
        self.last_unused_at = Some(unused.at);
        if let Some(first) = unused.reasons.first() {
            self.declined[*first as usize] += 1;
        }
        let agent = unused.offer.agent.id.clone();
        self.last_unused.insert(agent, unused);
        if self.last_unused.len() > AGENTS_MAX {
            let oldest = self.last_unused.iter().min_by_key(|(_, unused)| unused.at);
            if let Some(agent) = oldest.map(|(agent, _)| agent.clone()) {
                self.last_unused.remove(&agent);
            }
        }
    }

    /// The funnel of all offers since the app began to wait.
    pub fn since_start(&self) -> [Reject; NoMatch::ALL.len()] {
        funnel(&self.declined, self.processed)
    }

    /// The funnel of the last offer of each agent.
    pub fn last_offers(&self) -> [Reject; NoMatch::ALL.len()] {
        let mut declined = [0; NoMatch::ALL.len()];
        for first in self.last_unused.values().filter_map(|unused| unused.reasons.first()) {
            declined[*first as usize] += 1;
        }
        funnel(&declined, self.last_unused.len() as u64)
    }
}

fn funnel(declined: &[u64], mut processed: u64) -> [Reject; NoMatch::ALL.len()] {
    NoMatch::ALL.map(|reason| {
        let declined = declined[reason as usize];
        let line = Reject { reason, declined, processed };
        processed = processed.saturating_sub(declined);
        line
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::offers::tests::offer;

    #[test]
    fn an_offer_falls_out_of_the_funnel_at_its_first_reason() {
        let mut stats = OfferStats::default();
        let mut unused = |agent: &str, reasons: &[NoMatch]| {
            let offer = Arc::new(offer(agent, "cpus:1"));
            let at = Timestamp::default();
            stats.not_used(UnusedOffer { offer, reasons: reasons.to_vec(), at });
        };
        unused("a", &[NoMatch::UnfulfilledConstraint, NoMatch::InsufficientCpus]);
        unused("b", &[NoMatch::InsufficientCpus, NoMatch::InsufficientPorts]);
        unused("a", &[NoMatch::InsufficientCpus]);
        stats.used(&offer("b", "cpus:1").agent.id, Timestamp::default());

        let lines = |funnel: [Reject; 10]| funnel.map(|line| (line.declined, line.processed));
        let mut all = [(0, 1); 10];
        all[..5].copy_from_slice(&[(0, 4), (1, 4), (0, 3), (0, 3), (2, 3)]);
        assert_eq!(lines(stats.since_start()), all);
        let mut last = [(0, 0); 10];
        last[..5].copy_from_slice(&[(0, 1), (0, 1), (0, 1), (0, 1), (1, 1)]);
        assert_eq!(lines(stats.last_offers()), last);
        assert_eq!((stats.processed, stats.unused), (4, 3));
    }

    #[test]
    fn a_large_cluster_is_remembered_in_part() {
        let mut stats = OfferStats::default();
        for nth in 0..AGENTS_MAX as u64 + 5 {
            let offer = Arc::new(offer(&format!("agent-{nth}"), "cpus:1"));
            let reasons = vec![NoMatch::InsufficientMemory];
            stats.not_used(UnusedOffer { offer, reasons, at: Timestamp::from_millis(nth) });
        }
        assert_eq!(stats.last_unused.len(), AGENTS_MAX);
        assert!(stats.last_unused.values().all(|unused| unused.at >= Timestamp::from_millis(5)));
    }
}
