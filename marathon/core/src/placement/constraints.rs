//! The operators, one arm each, and what they compare: the values that the app's others have.
//!
//! GROUP_BY is the rule of Marathon's releases, also where a number of groups is given, and not the
//! rewrite that was never released: a value that no instance has yet is always accepted; one that
//! some have, only once there are as many values as asked for, and then only if it has the fewest
//! instances. So it never refuses a rack for being one too many, which the documentation doesn't
//! say either, and an app without a number needs no other rule than one with.

use std::collections::BTreeMap;

use regex::Regex;

use super::{Constraint, Operator, number_text, value_of};
use crate::apps::AppSpec;
use crate::instances::{Agent, Instance};

/// An app's constraints, ready to be asked about many offers.
#[derive(Debug)]
pub struct Rules {
    rules: Vec<Rule>,
    /// Whether agents of other regions than the master's are of use.
    remote: bool,
}

#[derive(Debug)]
struct Rule {
    field: String,
    test: Test,
}

/// An operator and its value, read.
#[derive(Debug)]
enum Test {
    Unique,
    Cluster(Option<String>),
    GroupBy(usize),
    /// A pattern that can't be read matches nothing, and so keeps instances off everywhere.
    Like(Option<Regex>),
    Unlike(Option<Regex>),
    MaxPer(usize),
    Is(String),
}

/// The pattern of LIKE and UNLIKE: it has to match the whole text.
///
/// # Errors
/// When the text is no regular expression of this release. What Java knows beyond that (looking
/// around, referring back) isn't supported.
pub fn pattern(text: &str) -> Result<Regex, regex::Error> {
    Regex::new(&format!("^(?:{text})$"))
}

/// Where an app's other instances are, as far as its rules ask for it.
#[derive(Debug)]
pub(crate) struct Neighbours {
    /// One for each rule.
    values: Vec<Values>,
}

/// The values that instances have in one field.
#[derive(Debug, Default)]
struct Values {
    counts: BTreeMap<String, usize>,
    /// How many values have each count.
    by_count: BTreeMap<usize, usize>,
    /// That of the first one.
    first: Option<String>,
}

impl Values {
    fn add(&mut self, value: &str) {
        self.first.get_or_insert_with(|| value.to_owned());
        let count = self.counts.entry(value.to_owned()).or_default();
        if let Some(values) = self.by_count.get_mut(count) {
            *values -= 1;
            if *values == 0 {
                self.by_count.remove(count);
            }
        }
        *count += 1;
        *self.by_count.entry(*count).or_default() += 1;
    }

    fn count(&self, value: &str) -> usize {
        self.counts.get(value).copied().unwrap_or(0)
    }

    /// The count of the value that fewest have.
    fn least(&self) -> usize {
        self.by_count.keys().next().copied().unwrap_or(0)
    }
}

impl Rules {
    /// The rules of an app.
    pub fn of(spec: &AppSpec) -> Self {
        let rule = |constraint: &Constraint| Rule {
            field: constraint.field.clone(),
            test: Test::of(constraint),
        };
        let remote = |constraint: &Constraint| matches!(&*constraint.field, "@region" | "@zone");
        Self {
            rules: spec.constraints.iter().map(rule).collect(),
            remote: spec.constraints.iter().any(remote),
        }
    }

    /// Where `others` are. Whoever is placed next is added by [`Rules::add`].
    pub(crate) fn neighbours<'a>(&self, others: impl Iterator<Item = &'a Instance>) -> Neighbours {
        let values = self.rules.iter().map(|_| Values::default()).collect();
        let mut neighbours = Neighbours { values };
        if self.rules.iter().any(|rule| rule.test.compares()) {
            for agent in others.filter_map(|other| other.task.as_ref()).map(|task| &task.agent) {
                self.add(&mut neighbours, agent);
            }
        }
        neighbours
    }

    /// Notes that an instance is placed on `agent`.
    pub(crate) fn add(&self, neighbours: &mut Neighbours, agent: &Agent) {
        for (rule, values) in self.rules.iter().zip(&mut neighbours.values) {
            if let Some(value) = value_of(&rule.field, agent).filter(|_| rule.test.compares()) {
                values.add(value);
            }
        }
    }

    /// The first rule that keeps an instance off `agent`, by its place.
    pub(crate) fn broken(&self, agent: &Agent, neighbours: &Neighbours) -> Option<usize> {
        let rules = self.rules.iter().zip(&neighbours.values);
        rules.enumerate().find(|(_, (rule, values))| !rule.holds(agent, values)).map(|(at, _)| at)
    }

    /// Whether an agent is too far away: in another region than the master, and nothing in the
    /// rules speaks of regions or zones.
    pub(crate) fn is_too_remote(&self, agent: &Agent, home: Option<&str>) -> bool {
        let region = agent.region.as_deref();
        !self.remote && home.is_some() && region.is_some() && region != home
    }
}

impl Rule {
    fn holds(&self, agent: &Agent, others: &Values) -> bool {
        let Some(offered) = value_of(&self.field, agent) else {
            return matches!(self.test, Test::Unlike(_));
        };
        match &self.test {
            Test::Unique => others.count(offered) == 0,
            Test::Cluster(Some(value)) => value == offered,
            Test::Cluster(None) => others.first.as_deref().is_none_or(|first| first == offered),
            Test::GroupBy(groups) => match others.count(offered) {
                0 => true,
                count => others.counts.len() >= *groups && count == others.least(),
            },
            Test::Like(pattern) => pattern.as_ref().is_some_and(|like| like.is_match(offered)),
            Test::Unlike(pattern) => pattern.as_ref().is_some_and(|like| !like.is_match(offered)),
            Test::MaxPer(most) => others.count(offered) < *most,
            Test::Is(value) => value == offered,
        }
    }
}

impl Test {
    fn of(constraint: &Constraint) -> Self {
        let text = constraint.value.as_deref().unwrap_or_default();
        let number = || text.parse().unwrap_or(0);
        match constraint.operator {
            Operator::Unique => Self::Unique,
            Operator::Cluster => Self::Cluster((!text.is_empty()).then(|| text.to_owned())),
            Operator::GroupBy => Self::GroupBy(number()),
            Operator::Like => Self::Like(pattern(text).ok()),
            Operator::Unlike => Self::Unlike(pattern(text).ok()),
            Operator::MaxPer => Self::MaxPer(number()),
            // Numbers are compared as attributes write them, so `0.80` is `0.8`.
            Operator::Is => Self::Is(match text.parse::<f64>() {
                Ok(number) if number.is_finite() => number_text(number),
                _ => text.to_owned(),
            }),
        }
    }

    /// Whether it asks where the others are.
    fn compares(&self) -> bool {
        matches!(self, Self::Unique | Self::Cluster(None) | Self::GroupBy(_) | Self::MaxPer(_))
    }
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
        let rules = Rules::of(&spec);
        let broken = rules.broken(agent, &rules.neighbours(others.iter())).is_some();
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
        // Not the rewrite that was never released: it would fill a rack before it knows three,
        // and refuse a fourth.
        check(Operator::GroupBy, "3", "a", &["a", "b"], false);
        check(Operator::GroupBy, "3", "e", &["a", "b", "c", "d"], true);
        check(Operator::GroupBy, "3", "a", &["a", "b", "c", "d", "d"], true);
        check(Operator::GroupBy, "3", "d", &["a", "b", "c", "d", "d"], false);
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
        assert_eq!(rules.broken(agent, &rules.neighbours(std::iter::empty())), Some(1));
    }

    #[test]
    fn neighbours_that_come_one_by_one_are_the_same_as_all_at_once() {
        let racks = ["a", "b", "a", "c", "c", "a"];
        let agents: Vec<Agent> = racks
            .iter()
            .map(|rack| {
                let instance = with_task("/a", Condition::Running, "h", Timestamp::default());
                let mut agent = instance.task.as_ref().unwrap().agent.clone();
                agent.attributes.insert("rack".into(), (*rack).into());
                agent
            })
            .collect();
        let mut spec = app("/a", 1);
        let operator = Operator::GroupBy;
        spec.constraints = vec![Constraint { field: "rack".into(), operator, value: None }];
        let rules = Rules::of(&spec);
        let mut neighbours = rules.neighbours(std::iter::empty());
        for agent in &agents {
            rules.add(&mut neighbours, agent);
        }
        let values = &neighbours.values[0];
        assert_eq!(["a", "b", "c", "d"].map(|rack| values.count(rack)), [3, 1, 2, 0]);
        assert_eq!((values.least(), values.first.as_deref()), (1, Some("a")));
    }

    #[test]
    fn another_region_is_too_remote_unless_a_rule_speaks_of_regions_or_zones() {
        let home = with_task("/a", Condition::Running, "h", Timestamp::default());
        let mut agent = home.task.as_ref().unwrap().agent.clone();
        let with_rule = |field: &str| {
            let mut spec = app("/a", 1);
            let (field, operator) = (field.into(), Operator::Unique);
            spec.constraints = vec![Constraint { field, operator, value: None }];
            Rules::of(&spec)
        };
        for (region, home, field, remote) in [
            (Some("eu"), Some("us"), "hostname", true),
            (Some("us"), Some("us"), "hostname", false),
            (Some("eu"), Some("us"), "@region", false),
            (Some("eu"), Some("us"), "@zone", false),
            (None, Some("us"), "hostname", false),
            (Some("eu"), None, "hostname", false),
        ] {
            agent.region = region.map(str::to_owned);
            assert_eq!(with_rule(field).is_too_remote(&agent, home), remote, "{region:?} {field}");
        }
    }
}
