//! The operators, one function each.
//!
//! GROUP_BY is the rule of Marathon's releases, not the rewrite that was never released: a value
//! that no instance has yet is always accepted; one that some have, only once there are as many
//! values as asked for, and then only if it has the fewest instances.

use std::collections::BTreeMap;

use meros_proto::resources::Scalar;
use regex::Regex;

use super::{Constraint, Operator, value_of};
use crate::apps::AppSpec;
use crate::instances::{Agent, Instance};

/// An app's constraints, ready to be asked about many offers.
#[derive(Debug)]
pub struct Rules<'a> {
    rules: Vec<(&'a Constraint, Option<Regex>)>,
}

/// The pattern of LIKE and UNLIKE: it has to match the whole text.
///
/// # Errors
/// When the text is no regular expression of this release. What Java knows beyond that (looking
/// around, referring back) isn't supported.
pub fn pattern(text: &str) -> Result<Regex, regex::Error> {
    Regex::new(&format!("^(?:{text})$"))
}

impl<'a> Rules<'a> {
    /// The rules of an app.
    pub fn of(spec: &'a AppSpec) -> Self {
        let with_pattern = |constraint: &'a Constraint| {
            let text = constraint.value.as_deref().unwrap_or_default();
            let regex = match constraint.operator {
                Operator::Like | Operator::Unlike => pattern(text).ok(),
                _ => None,
            };
            (constraint, regex)
        };
        Self { rules: spec.constraints.iter().map(with_pattern).collect() }
    }

    /// Whether there is no rule.
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// The first rule that keeps an instance off `agent`, given where the app's others are.
    pub fn broken<'b>(
        &self,
        agent: &Agent,
        placed: impl Iterator<Item = &'b Instance> + Clone,
    ) -> Option<&'a Constraint> {
        let holds = |(constraint, regex): &&(&Constraint, Option<Regex>)| {
            let Some(offered) = value_of(&constraint.field, agent) else {
                return constraint.operator == Operator::Unlike;
            };
            let others = placed
                .clone()
                .filter_map(|instance| instance.task.as_ref())
                .filter_map(|task| value_of(&constraint.field, &task.agent));
            let value = constraint.value.as_deref().filter(|value| !value.is_empty());
            match constraint.operator {
                Operator::Unique => unique(offered, others),
                Operator::Cluster => cluster(offered, value, others),
                Operator::GroupBy => group_by(offered, value, others),
                Operator::Like => like(offered, regex.as_ref()),
                Operator::Unlike => unlike(offered, regex.as_ref()),
                Operator::MaxPer => max_per(offered, value, others),
                Operator::Is => is(offered, value),
            }
        };
        self.rules.iter().find(|rule| !holds(rule)).map(|(constraint, _)| *constraint)
    }
}

fn unique<'a>(offered: &str, mut others: impl Iterator<Item = &'a str>) -> bool {
    others.all(|other| other != offered)
}

fn cluster<'a>(
    offered: &str,
    value: Option<&str>,
    mut others: impl Iterator<Item = &'a str>,
) -> bool {
    match value {
        Some(value) => value == offered,
        None => others.next().is_none_or(|first| first == offered),
    }
}

fn group_by<'a>(offered: &str, value: Option<&str>, others: impl Iterator<Item = &'a str>) -> bool {
    let wanted: usize = value.and_then(|value| value.parse().ok()).unwrap_or(0);
    let mut groups: BTreeMap<&str, usize> = BTreeMap::new();
    for other in others {
        *groups.entry(other).or_default() += 1;
    }
    match groups.get(offered) {
        None => true,
        Some(count) => groups.len() >= wanted && Some(count) == groups.values().min(),
    }
}

/// A pattern that can't be read matches nothing, and so keeps instances off everywhere.
fn like(offered: &str, pattern: Option<&Regex>) -> bool {
    pattern.is_some_and(|pattern| pattern.is_match(offered))
}

fn unlike(offered: &str, pattern: Option<&Regex>) -> bool {
    pattern.is_some_and(|pattern| !pattern.is_match(offered))
}

fn max_per<'a>(offered: &str, value: Option<&str>, others: impl Iterator<Item = &'a str>) -> bool {
    let most: usize = value.and_then(|value| value.parse().ok()).unwrap_or(0);
    others.filter(|other| *other == offered).count() < most
}

/// Numbers are compared as attributes write them, so `0.80` is `0.8`.
fn is(offered: &str, value: Option<&str>) -> bool {
    let value = value.unwrap_or_default();
    let number = value.parse().ok().and_then(|number| Scalar::from_f64(number).ok());
    offered == value || number.is_some_and(|number| number.to_string() == offered)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use meros_proto::time::Timestamp;

    use super::*;
    use crate::apps::tests::app;
    use crate::instances::Condition;
    use crate::instances::tests::with_task;

    /// Whether an instance may go to an agent whose `rack` is `offered`, the others being on the
    /// racks `placed`.
    #[track_caller]
    fn check(operator: Operator, value: &str, offered: &str, placed: &[&str], passes: bool) {
        let on_rack = |rack: &str| {
            let mut instance =
                Instance::clone(&with_task("/a", Condition::Running, "h", Timestamp::default()));
            if let Some(task) = &mut instance.task {
                task.agent.attributes.insert("rack".into(), rack.into());
            }
            instance
        };
        let agent = match offered {
            "" => with_task("/a", Condition::Running, "h", Timestamp::default()),
            rack => Arc::new(on_rack(rack)),
        };
        let agent = &agent.task.as_ref().unwrap().agent;
        let others: Vec<_> = placed.iter().map(|rack| on_rack(rack)).collect();
        let mut spec = app("/a", 1);
        let value = (!value.is_empty()).then(|| value.to_owned());
        spec.constraints = vec![Constraint { field: "rack".into(), operator, value }];
        let broken = Rules::of(&spec).broken(agent, others.iter()).is_some();
        assert_eq!(!broken, passes, "{operator:?} offered {offered:?} placed {placed:?}");
    }

    #[test]
    fn unique_wants_a_value_that_no_other_has() {
        check(Operator::Unique, "", "a", &[], true);
        check(Operator::Unique, "", "a", &["b"], true);
        check(Operator::Unique, "", "a", &["b", "a"], false);
        check(Operator::Unique, "", "", &[], false);
    }

    #[test]
    fn cluster_wants_the_value_or_that_of_the_first() {
        check(Operator::Cluster, "a", "a", &[], true);
        check(Operator::Cluster, "a", "b", &[], false);
        check(Operator::Cluster, "", "b", &[], true);
        check(Operator::Cluster, "", "b", &["b"], true);
        check(Operator::Cluster, "", "b", &["a"], false);
        check(Operator::Cluster, "a", "", &[], false);
    }

    #[test]
    fn group_by_fills_new_values_first_and_then_the_emptiest() {
        check(Operator::GroupBy, "", "a", &[], true);
        check(Operator::GroupBy, "", "a", &["a"], true);
        check(Operator::GroupBy, "", "a", &["a", "b"], true);
        check(Operator::GroupBy, "", "a", &["a", "a", "b"], false);
        check(Operator::GroupBy, "3", "a", &["a"], false);
        check(Operator::GroupBy, "3", "b", &["a"], true);
        check(Operator::GroupBy, "3", "a", &["a", "b", "c"], true);
        check(Operator::GroupBy, "3", "d", &["a", "b", "c"], true);
        check(Operator::GroupBy, "3", "", &[], false);
    }

    #[test]
    fn like_matches_the_whole_text_and_unlike_lets_the_missing_pass() {
        check(Operator::Like, "r[1-3]", "r2", &[], true);
        check(Operator::Like, "r[1-3]", "r22", &[], false);
        check(Operator::Like, "a|b", "xa", &[], false);
        check(Operator::Like, "a|b", "", &[], false);
        check(Operator::Like, "(", "a", &[], false);
        check(Operator::Unlike, "r[1-3]", "r2", &[], false);
        check(Operator::Unlike, "r[1-3]", "r4", &[], true);
        check(Operator::Unlike, "r[1-3]", "", &[], true);
    }

    #[test]
    fn max_per_counts_those_with_the_same() {
        check(Operator::MaxPer, "2", "a", &["a", "b"], true);
        check(Operator::MaxPer, "2", "a", &["a", "b", "a"], false);
        check(Operator::MaxPer, "0", "a", &[], false);
    }

    #[test]
    fn is_compares_numbers_by_value() {
        check(Operator::Is, "a", "a", &[], true);
        check(Operator::Is, "a", "b", &[], false);
        check(Operator::Is, "0.80", "0.8", &[], true);
        check(Operator::Is, "1.0", "1", &[], true);
        check(Operator::Is, "a", "", &[], false);
    }

    #[test]
    fn all_rules_must_hold_and_the_first_broken_one_is_named() {
        let mut spec = app("/a", 1);
        let like = |text: &str| Constraint {
            field: "hostname".into(),
            operator: Operator::Like,
            value: Some(text.into()),
        };
        spec.constraints = vec![like("h.*"), like("x"), like("y")];
        let agent = with_task("/a", Condition::Running, "h1", Timestamp::default());
        let agent = &agent.task.as_ref().unwrap().agent;
        let rules = Rules::of(&spec);
        assert_eq!(rules.broken(agent, std::iter::empty()), Some(&spec.constraints[1]));
    }
}
