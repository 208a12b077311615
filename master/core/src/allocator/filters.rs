//! What was refused, by whom, on which agent, and until when.
//!
//! Two kinds. A *filter* is what a framework asked for with `refuse_seconds`: it stands until it
//! expires or the role is revived, and it blocks only what was refused or a part of it, so that
//! more or other resources of the agent pass (Mesos, MESOS-9616). A *hold* is ours: what somebody
//! left over isn't offered to the same one again within an allocation interval, whatever its
//! filter says, unless the agent's free resources grow from elsewhere. Without it, a framework that
//! refuses for 0 seconds would be offered the same at the speed of the wire.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use meros_proto::resources::Resources;
use meros_proto::time::Mono;

use crate::allocator::ClientIx;
use crate::arena::{AgentIx, Dense};
use crate::input;

/// `Filters.refuse_seconds` when it is unset or makes no sense.
const REFUSE_DEFAULT: Duration = Duration::from_secs(5);

/// The greatest `Filters.refuse_seconds`: 365 days.
const REFUSE_MAX: Duration = Duration::from_secs(365 * 24 * 3_600);

impl input::Filters {
    /// How long what is left over isn't wanted: 5 s unless said otherwise, at most 365 days;
    /// negative and not-a-number count as unsaid.
    pub fn refuse_for(self) -> Duration {
        match self.refuse_seconds {
            Some(seconds) if seconds >= REFUSE_MAX.as_secs_f64() => REFUSE_MAX,
            Some(seconds) if seconds >= 0.0 => Duration::from_secs_f64(seconds),
            Some(_) | None => REFUSE_DEFAULT,
        }
    }
}

/// One thing that is blocked.
#[derive(Debug)]
struct Refusal {
    resources: Resources,
    until: Mono,
    is_hold: bool,
}

/// All that is blocked.
#[derive(Debug, Default)]
pub(crate) struct Refusals {
    by_agent: Vec<BTreeMap<ClientIx, Vec<Refusal>>>,
    by_client: BTreeMap<ClientIx, BTreeSet<AgentIx>>,
    due: BTreeSet<(Mono, AgentIx, ClientIx)>,
}

/// What is blocked of one agent.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RefusalsOf<'a>(Option<&'a BTreeMap<ClientIx, Vec<Refusal>>>);

impl RefusalsOf<'_> {
    /// Whether `client` is not to be offered these resources.
    pub(crate) fn block(self, client: ClientIx, resources: &Resources) -> bool {
        self.0
            .and_then(|clients| clients.get(&client))
            .is_some_and(|refusals| refusals.iter().any(|one| one.covers(resources)))
    }
}

impl Refusal {
    /// Whether these resources, or more, were refused. Mostly just the same are: that is quick.
    fn covers(&self, resources: &Resources) -> bool {
        self.resources == *resources || self.resources.contains(resources)
    }
}

impl Refusals {
    /// Remembers that `client` left `resources` of `agent` over.
    ///
    /// A `refuse_for` of zero makes a hold, any other a filter; both last `interval` at least.
    pub(crate) fn add(
        &mut self,
        now: Mono,
        agent: AgentIx,
        client: ClientIx,
        resources: Resources,
        refuse_for: Duration,
        interval: Duration,
    ) {
        let until = now + refuse_for.max(interval);
        if self.by_agent.len() <= agent.at() {
            self.by_agent.resize_with(agent.at() + 1, BTreeMap::new);
        }
        let refusals = self.by_agent[agent.at()].entry(client).or_default();
        let is_hold = refuse_for.is_zero();
        // What the new one covers, for as long and as firmly, need not be kept beside it.
        refusals.retain(|old| {
            let covered = old.until <= until
                && (!is_hold || old.is_hold)
                && resources.contains(&old.resources);
            if covered {
                self.due.remove(&(old.until, agent, client));
            }
            !covered
        });
        refusals.push(Refusal { resources, until, is_hold });
        for refusal in refusals.iter() {
            self.due.insert((refusal.until, agent, client));
        }
        self.by_client.entry(client).or_default().insert(agent);
    }

    /// What was refused of an agent.
    pub(crate) fn of(&self, agent: AgentIx) -> RefusalsOf<'_> {
        RefusalsOf(self.by_agent.get(agent.at()).filter(|clients| !clients.is_empty()))
    }

    /// Drops what has expired, and says where somebody may be interested again.
    pub(crate) fn expire(&mut self, now: Mono) -> BTreeSet<(AgentIx, ClientIx)> {
        let mut again = BTreeSet::new();
        while let Some(&(until, agent, client)) = self.due.first().filter(|(due, ..)| *due <= now) {
            self.due.remove(&(until, agent, client));
            self.retain(agent, client, |refusal| refusal.until > now);
            again.insert((agent, client));
        }
        again
    }

    /// When the next one expires.
    pub(crate) fn next_due(&self) -> Option<Mono> {
        self.due.first().map(|(until, ..)| *until)
    }

    /// Ends the holds on an agent: its free resources grew from elsewhere.
    pub(crate) fn end_holds(&mut self, agent: AgentIx) {
        let Some(clients) = self.by_agent.get(agent.at()) else { return };
        let held = |refusals: &Vec<Refusal>| refusals.iter().any(|refusal| refusal.is_hold);
        let clients: Vec<_> = clients
            .iter()
            .filter(|(_, refusals)| held(refusals))
            .map(|(client, _)| *client)
            .collect();
        for client in clients {
            self.retain(agent, client, |refusal| !refusal.is_hold);
        }
    }

    /// Forgets all that a client refused.
    pub(crate) fn clear_client(&mut self, client: ClientIx) {
        for agent in self.by_client.remove(&client).unwrap_or_default() {
            self.retain(agent, client, |_| false);
        }
    }

    /// Forgets all that was refused of an agent.
    pub(crate) fn clear_agent(&mut self, agent: AgentIx) {
        let Some(clients) = self.by_agent.get(agent.at()) else { return };
        for client in clients.keys().copied().collect::<Vec<_>>() {
            self.retain(agent, client, |_| false);
        }
    }

    fn retain(&mut self, agent: AgentIx, client: ClientIx, keep: impl Fn(&Refusal) -> bool) {
        let Some(clients) = self.by_agent.get_mut(agent.at()) else { return };
        let Some(refusals) = clients.get_mut(&client) else { return };
        refusals.retain(|refusal| {
            let kept = keep(refusal);
            if !kept {
                self.due.remove(&(refusal.until, agent, client));
            }
            kept
        });
        // Two of the same end share one entry of the queue.
        for refusal in refusals.iter() {
            self.due.insert((refusal.until, agent, client));
        }
        if refusals.is_empty() {
            clients.remove(&client);
            if let Some(agents) = self.by_client.get_mut(&client) {
                agents.remove(&agent);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use meros_proto::resources::Role;

    const SECOND: Duration = Duration::from_secs(1);

    fn resources(text: &str) -> Resources {
        Resources::parse(text, &Role::star()).expect("resources of a test")
    }

    fn at(seconds: u64) -> Mono {
        Mono::default() + Duration::from_secs(seconds)
    }

    #[test]
    fn refuse_seconds_follow_the_rules_of_the_field() {
        let year = Duration::from_secs(31_536_000);
        for (seconds, duration) in [
            (None, Duration::from_secs(5)),
            (Some(0.0), Duration::ZERO),
            (Some(0.5), Duration::from_millis(500)),
            (Some(-1.0), Duration::from_secs(5)),
            (Some(f64::NAN), Duration::from_secs(5)),
            (Some(f64::NEG_INFINITY), Duration::from_secs(5)),
            (Some(f64::INFINITY), year),
            (Some(1e30), year),
            (Some(31_536_000.0), year),
        ] {
            assert_eq!(input::Filters { refuse_seconds: seconds }.refuse_for(), duration);
        }
    }

    #[test]
    fn a_refusal_blocks_what_was_refused_or_less_until_it_expires() {
        let (agent, client, other) = (AgentIx::of(3), ClientIx::of(1), ClientIx::of(2));
        for (refuse_s, end_s) in [(0, 1), (1, 1), (5, 5)] {
            let mut refusals = Refusals::default();
            let refuse_for = Duration::from_secs(refuse_s);
            refusals.add(at(0), agent, client, resources("cpus:2;mem:64"), refuse_for, SECOND);
            for (offer, blocked) in [
                ("cpus:2;mem:64", true),
                ("cpus:1", true),
                ("cpus:3;mem:64", false),
                ("cpus:2;mem:64;disk:1", false),
            ] {
                assert_eq!(refusals.of(agent).block(client, &resources(offer)), blocked, "{offer}");
                assert!(!refusals.of(agent).block(other, &resources(offer)));
                assert!(!refusals.of(AgentIx::of(0)).block(client, &resources(offer)));
            }
            assert_eq!(refusals.next_due(), Some(at(end_s)));
            assert!(refusals.expire(at(end_s) - Duration::from_nanos(1)).is_empty());
            assert!(refusals.of(agent).block(client, &resources("cpus:1")));
            assert_eq!(refusals.expire(at(end_s)), BTreeSet::from([(agent, client)]));
            assert!(!refusals.of(agent).block(client, &resources("cpus:1")));
            assert_eq!(refusals.next_due(), None);
        }
    }

    #[test]
    fn growth_ends_a_hold_but_no_filter() {
        let (agent, holding, filtering) = (AgentIx::of(0), ClientIx::of(0), ClientIx::of(1));
        let mut refusals = Refusals::default();
        refusals.add(at(0), agent, holding, resources("cpus:2"), Duration::ZERO, SECOND);
        refusals.add(at(0), agent, filtering, resources("cpus:2"), SECOND, SECOND);
        refusals.end_holds(agent);
        assert!(!refusals.of(agent).block(holding, &resources("cpus:1")));
        assert!(refusals.of(agent).block(filtering, &resources("cpus:1")));
        refusals.clear_client(filtering);
        assert!(!refusals.of(agent).block(filtering, &resources("cpus:1")));
        assert_eq!(refusals.next_due(), None);
    }

    #[test]
    fn refusing_the_same_again_and_again_is_remembered_once() {
        let (agent, client) = (AgentIx::of(0), ClientIx::of(0));
        let mut refusals = Refusals::default();
        for second in 0..100 {
            let cpus = format!("cpus:{}", second % 3 + 1);
            refusals.add(at(second), agent, client, resources(&cpus), 5 * SECOND, SECOND);
            assert!(refusals.by_agent[0][&client].len() <= 3);
            assert_eq!(refusals.due.len(), refusals.by_agent[0][&client].len());
        }
        refusals.clear_agent(agent);
        assert!(refusals.due.is_empty() && refusals.by_agent[0].is_empty());
    }
}
