//! Which instances go when an app has too many.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Condition, Instance, InstanceId};
use crate::apps::KillSelection;
use crate::placement::{self, Operator};

/// Chooses `count` of an app's instances to go.
///
/// Those that never started go first, then those that are furthest from serving, then by age as
/// the app says. Where the app wants its instances spread evenly (GROUP_BY), each is taken from
/// the fullest group.
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
    let spread_by = candidates.first().and_then(|instance| {
        let group_by =
            |constraint: &&placement::Constraint| constraint.operator == Operator::GroupBy;
        instance.spec.constraints.iter().find(group_by).map(|constraint| constraint.field.clone())
    });
    let chosen: Vec<&Arc<Instance>> = match spread_by {
        Some(field) => from_fullest(candidates, count, &field),
        None => candidates.into_iter().take(count).collect(),
    };
    chosen.into_iter().map(|instance| instance.id.clone()).collect()
}

/// Takes `count` instances, each from the group that holds most at that moment.
fn from_fullest<'a>(
    candidates: Vec<&'a Arc<Instance>>,
    count: usize,
    field: &str,
) -> Vec<&'a Arc<Instance>> {
    // Scheduled ones are in no group, and go first of all.
    let (mut chosen, placed): (Vec<_>, Vec<_>) =
        candidates.into_iter().partition(|instance| instance.task.is_none());
    chosen.truncate(count);
    let mut groups: BTreeMap<Option<String>, Vec<&Arc<Instance>>> = BTreeMap::new();
    for instance in placed {
        let agent = instance.task.as_ref().map(|task| &task.agent);
        let value = agent.and_then(|agent| placement::value_of(field, agent));
        groups.entry(value.map(str::to_owned)).or_default().push(instance);
    }
    for group in groups.values_mut() {
        group.reverse();
    }
    while chosen.len() < count {
        let Some(fullest) = groups.values_mut().rev().max_by_key(|group| group.len()) else {
            break;
        };
        match fullest.pop() {
            Some(instance) => chosen.push(instance),
            None => break,
        }
    }
    chosen
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
