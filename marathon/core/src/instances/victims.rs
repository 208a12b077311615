//! Which instances go when an app has too many.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use super::{Condition, Instance, InstanceId};
use crate::apps::KillSelection;
use crate::placement::{self, Operator};

/// Chooses `count` of an app's instances to go.
///
/// Those that never started go first. Where the app wants its instances spread evenly (GROUP_BY),
/// each next one is taken from the fullest group of the field that is spread least evenly. Then
/// those go that are furthest from serving, then by age as the app says.
pub(crate) fn choose<'a>(
    instances: impl Iterator<Item = &'a Arc<Instance>>,
    count: usize,
    selection: KillSelection,
) -> Vec<InstanceId> {
    if count == 0 {
        return Vec::new();
    }
    let mut candidates: Vec<&Arc<Instance>> = instances.collect();
    candidates.sort_by_cached_key(|instance| rank(instance, selection));
    let fields: BTreeSet<&str> =
        candidates.first().map(|instance| spread_by(instance)).unwrap_or_default();
    let chosen: Vec<&Arc<Instance>> = match fields.is_empty() {
        true => candidates.into_iter().take(count).collect(),
        false => from_fullest(candidates, count, &fields),
    };
    chosen.into_iter().map(|instance| instance.id.clone()).collect()
}

/// The fields over whose values an app wants its instances spread evenly.
fn spread_by(instance: &Instance) -> BTreeSet<&str> {
    let constraints = instance.spec.constraints.iter();
    let group_by = constraints.filter(|constraint| constraint.operator == Operator::GroupBy);
    group_by.map(|constraint| &*constraint.field).collect()
}

/// Takes `count` instances, each from the group that holds most at that moment, by the field whose
/// groups differ most.
fn from_fullest<'a>(
    candidates: Vec<&'a Arc<Instance>>,
    count: usize,
    fields: &BTreeSet<&str>,
) -> Vec<&'a Arc<Instance>> {
    // Scheduled ones are in no group, and go first of all.
    let (mut chosen, placed): (Vec<_>, Vec<_>) =
        candidates.into_iter().partition(|instance| instance.task.is_none());
    chosen.truncate(count);
    let mut spreads: Vec<Spread> = fields.iter().map(|field| Spread::of(field, &placed)).collect();
    // Those that are in the same group by all fields, in the order in which they go.
    let mut alike: BTreeMap<Vec<usize>, VecDeque<usize>> = BTreeMap::new();
    for at in 0..placed.len() {
        let groups = spreads.iter().map(|spread| spread.group_of[at]).collect();
        alike.entry(groups).or_default().push_back(at);
    }
    while chosen.len() < count {
        let mut uneven: Vec<usize> = (0..spreads.len()).collect();
        uneven.sort_by_key(|field| std::cmp::Reverse(spreads[*field].difference()));
        let fullest: Vec<usize> = spreads.iter().map(Spread::fullest).collect();
        // A group that is not the fullest by the least even field is worst.
        let missed = |groups: &[usize]| {
            uneven.iter().fold(0_u64, |missed, field| {
                let full = spreads[*field].sizes[groups[*field]] == fullest[*field];
                (missed << 1) | u64::from(!full)
            })
        };
        let heads = alike
            .iter()
            .filter_map(|(groups, queue)| Some((missed(groups), *queue.front()?, groups)));
        let Some((_, at, groups)) = heads.min() else { break };
        let groups = groups.clone();
        for (spread, group) in spreads.iter_mut().zip(&groups) {
            spread.sizes[*group] -= 1;
        }
        if let Some(queue) = alike.get_mut(&groups) {
            queue.pop_front();
            if queue.is_empty() {
                alike.remove(&groups);
            }
        }
        chosen.push(placed[at]);
    }
    chosen
}

/// How instances are spread over the values of a field.
struct Spread {
    /// The group of each instance, by its place.
    group_of: Vec<usize>,
    /// How many are left in each group.
    sizes: Vec<usize>,
}

impl Spread {
    fn of(field: &str, placed: &[&Arc<Instance>]) -> Self {
        let mut known: BTreeMap<Option<&str>, usize> = BTreeMap::new();
        let mut sizes: Vec<usize> = Vec::new();
        let mut group_of = Vec::with_capacity(placed.len());
        for instance in placed {
            let agent = instance.task.as_ref().map(|task| &task.agent);
            let value = agent.and_then(|agent| placement::value_of(field, agent));
            let group = *known.entry(value).or_insert(sizes.len());
            if group == sizes.len() {
                sizes.push(0);
            }
            sizes[group] += 1;
            group_of.push(group);
        }
        Self { group_of, sizes }
    }

    fn fullest(&self) -> usize {
        self.sizes.iter().max().copied().unwrap_or(0)
    }

    /// By how much the fullest group is fuller than the emptiest.
    fn difference(&self) -> usize {
        self.fullest() - self.sizes.iter().min().copied().unwrap_or(0)
    }
}

/// Smaller goes first.
fn rank(instance: &Instance, selection: KillSelection) -> (u8, u64, InstanceId) {
    let weight = match instance.condition() {
        Condition::Scheduled => 0,
        Condition::Unreachable => 1,
        Condition::Provisioned | Condition::Staging => 2,
        Condition::Starting => 3,
        Condition::Running => 4,
        _ => 5,
    };
    let started = instance.active_since().unwrap_or(instance.since).as_nanos();
    let age = match selection {
        KillSelection::YoungestFirst => u64::MAX - started,
        KillSelection::OldestFirst => started,
    };
    (weight, age, instance.id.clone())
}

#[cfg(test)]
mod tests {
    use meros_proto::time::Timestamp;

    use super::*;
    use crate::instances::tests::{instance, with_task};

    #[test]
    fn those_that_serve_least_go_first_and_equals_go_by_age() {
        let conditions = [
            (Condition::Running, 1),
            (Condition::Running, 2),
            (Condition::Starting, 9),
            (Condition::Unreachable, 9),
            (Condition::Staging, 9),
        ];
        let mut instances: Vec<_> = conditions
            .into_iter()
            .map(|(condition, at)| with_task("/a", condition, "h1", Timestamp::from_millis(at)))
            .collect();
        instances.push(instance("/a"));
        for (selection, order) in [
            (KillSelection::YoungestFirst, [5, 3, 4, 2, 1, 0]),
            (KillSelection::OldestFirst, [5, 3, 4, 2, 0, 1]),
        ] {
            let expected: Vec<_> = order.iter().map(|at| instances[*at].id.clone()).collect();
            assert_eq!(choose(instances.iter(), 6, selection), expected);
            assert_eq!(choose(instances.iter(), 2, selection), expected[..2]);
        }
    }

    #[test]
    fn an_app_that_is_spread_loses_instances_from_its_fullest_groups() {
        let hosts = ["h1", "h1", "h1", "h2", "h2", "h3"];
        let instances: Vec<_> = hosts
            .iter()
            .enumerate()
            .map(|(at, host)| {
                let running =
                    with_task("/a", Condition::Running, host, Timestamp::from_millis(at as u64));
                let mut spread = Instance::clone(&running);
                let mut spec = crate::apps::AppSpec::clone(&spread.spec);
                spec.constraints = vec![placement::Constraint {
                    field: "hostname".into(),
                    operator: Operator::GroupBy,
                    value: None,
                }];
                spread.spec = Arc::new(spec);
                Arc::new(spread)
            })
            .collect();
        let chosen = choose(instances.iter(), 3, KillSelection::YoungestFirst);
        let left: Vec<_> = instances
            .iter()
            .filter(|instance| !chosen.contains(&instance.id))
            .map(|instance| instance.task.as_ref().unwrap().agent.hostname.as_str())
            .collect();
        assert_eq!(left, ["h1", "h2", "h3"]);
    }
}
