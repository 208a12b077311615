//! Constraints: one operator, one field, an argument.

use std::collections::BTreeMap;
use std::fmt;

use regex::Regex;

use super::site::{Field, Site};

/// A rule about where something may run.
#[derive(Debug, Clone)]
pub struct Constraint {
    /// What is looked at.
    pub field: Field,
    /// How.
    pub operator: Operator,
}

/// How a constraint judges.
#[derive(Debug, Clone)]
pub enum Operator {
    /// `IS`, `EQ`, or `CLUSTER` with a value: the value is exactly this.
    Equal(String),
    /// `CLUSTER` without a value: the same as where the others are.
    Cluster,
    /// `LIKE`: the whole value matches.
    Like(Regex),
    /// `UNLIKE`: it doesn't, or there is none.
    Unlike(Regex),
    /// `UNIQUE`: nobody else has the same value.
    Unique,
    /// `GROUP_BY`: spread evenly over the values, of which there are at least so many.
    GroupBy(usize),
    /// `MAX_PER`: so many with the same value at most.
    MaxPer(usize),
}

/// Why a text is no constraint.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConstraintError {
    /// Not a field, an operator and at most one argument.
    #[error("a constraint has a field, an operator and at most one argument")]
    Shape,
    /// No such operator.
    #[error("{0:?} is no operator: use IS, CLUSTER, LIKE, UNLIKE, UNIQUE, GROUP_BY or MAX_PER")]
    Operator(String),
    /// The argument is missing.
    #[error("{0} needs an argument")]
    NoArgument(&'static str),
    /// The argument is no number, or 0.
    #[error("{operator} needs a number from 1, not {argument:?}")]
    Number {
        /// The operator.
        operator: &'static str,
        /// What stood there.
        argument: String,
    },
    /// The argument is no regular expression.
    #[error("{0:?} is no regular expression")]
    Regex(String),
}

impl Constraint {
    /// Reads `[field, operator]` or `[field, operator, argument]`; operators in any case.
    ///
    /// # Errors
    /// See [`ConstraintError`].
    pub fn parse(parts: &[impl AsRef<str>]) -> Result<Self, ConstraintError> {
        let parts: Vec<&str> = parts.iter().map(AsRef::as_ref).collect();
        let (field, operator, argument) = match parts.as_slice() {
            [field, operator] => (field, operator, None),
            [field, operator, argument] => (field, operator, Some(*argument)),
            _ => return Err(ConstraintError::Shape),
        };
        let operator = match operator.to_ascii_uppercase().as_str() {
            "IS" | "EQ" => Operator::Equal(required("IS", argument)?.to_owned()),
            "CLUSTER" => match argument.filter(|value| !value.is_empty()) {
                Some(value) => Operator::Equal(value.to_owned()),
                None => Operator::Cluster,
            },
            "LIKE" => Operator::Like(whole(required("LIKE", argument)?)?),
            "UNLIKE" => Operator::Unlike(whole(required("UNLIKE", argument)?)?),
            "UNIQUE" => Operator::Unique,
            "GROUP_BY" => Operator::GroupBy(match argument.filter(|text| !text.is_empty()) {
                Some(argument) => number("GROUP_BY", argument)?,
                None => 1,
            }),
            "MAX_PER" => Operator::MaxPer(number("MAX_PER", required("MAX_PER", argument)?)?),
            _ => return Err(ConstraintError::Operator((*operator).to_owned())),
        };
        Ok(Self { field: Field::parse(field), operator })
    }

    /// Whether something may be put at `site` while others of its kind are at `placed`.
    pub fn allows(&self, site: &Site, placed: &[Site]) -> bool {
        let value = site.value(&self.field);
        let Some(value) = value else {
            return matches!(self.operator, Operator::Unlike(_));
        };
        match &self.operator {
            Operator::Equal(wanted) => value == *wanted,
            Operator::Like(regex) => regex.is_match(&value),
            Operator::Unlike(regex) => !regex.is_match(&value),
            Operator::Cluster => {
                placed.iter().all(|other| other.value(&self.field).is_none_or(|v| v == value))
            }
            Operator::Unique => !self.count(placed).contains_key(&value),
            Operator::MaxPer(most) => self.count(placed).get(&value).is_none_or(|n| n < most),
            Operator::GroupBy(groups) => {
                let counts = self.count(placed);
                // Groups that are known to exist and have nobody count as empty.
                let least = match counts.len() < *groups {
                    true => 0,
                    false => counts.values().copied().min().unwrap_or(0),
                };
                counts.get(&value).copied().unwrap_or(0) <= least
            }
        }
    }

    /// How many are placed, by value.
    fn count(&self, placed: &[Site]) -> BTreeMap<String, usize> {
        let mut counts = BTreeMap::new();
        for value in placed.iter().filter_map(|site| site.value(&self.field)) {
            *counts.entry(value).or_insert(0) += 1;
        }
        counts
    }
}

impl fmt::Display for Constraint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ", self.field)?;
        match &self.operator {
            Operator::Equal(value) => write!(f, "IS {value}"),
            Operator::Cluster => f.write_str("CLUSTER"),
            Operator::Like(regex) => write!(f, "LIKE {}", inside(regex)),
            Operator::Unlike(regex) => write!(f, "UNLIKE {}", inside(regex)),
            Operator::Unique => f.write_str("UNIQUE"),
            Operator::GroupBy(groups) => write!(f, "GROUP_BY {groups}"),
            Operator::MaxPer(most) => write!(f, "MAX_PER {most}"),
        }
    }
}

/// What `whole` was put around of.
fn inside(regex: &Regex) -> &str {
    let text = regex.as_str();
    text.strip_prefix("^(?:").and_then(|text| text.strip_suffix(")$")).unwrap_or(text)
}

/// A regular expression that matches whole values only.
fn whole(text: &str) -> Result<Regex, ConstraintError> {
    Regex::new(&format!("^(?:{text})$")).map_err(|_| ConstraintError::Regex(text.to_owned()))
}

fn required<'a>(
    operator: &'static str,
    argument: Option<&'a str>,
) -> Result<&'a str, ConstraintError> {
    argument.filter(|text| !text.is_empty()).ok_or(ConstraintError::NoArgument(operator))
}

fn number(operator: &'static str, argument: &str) -> Result<usize, ConstraintError> {
    argument
        .parse()
        .ok()
        .filter(|number| *number > 0)
        .ok_or_else(|| ConstraintError::Number { operator, argument: argument.to_owned() })
}

#[cfg(test)]
mod tests {
    use meros_proto::attributes::Attributes;

    use super::*;

    fn site(text: &str) -> Site {
        let (hostname, attributes) = text.split_once(' ').unwrap_or((text, ""));
        Site {
            hostname: hostname.to_owned(),
            zone: Some(format!("zone-of-{hostname}")),
            attributes: Attributes::parse(attributes).expect("attributes"),
            ..Site::default()
        }
    }

    #[test]
    fn each_operator_judges_as_in_marathon() {
        for (constraint, here, placed, allowed) in [
            ("rack IS r1", "h1 rack:r1", vec![], true),
            ("rack EQ r1", "h1 rack:r2", vec![], false),
            ("rack IS r1", "h1", vec![], false),
            ("hostname CLUSTER h1", "h1", vec![], true),
            ("hostname CLUSTER h1", "h2", vec![], false),
            ("rack CLUSTER", "h1 rack:r1", vec![], true),
            ("rack CLUSTER", "h1 rack:r1", vec!["h2 rack:r1"], true),
            ("rack CLUSTER", "h1 rack:r1", vec!["h2 rack:r2"], false),
            ("rack LIKE r[12]", "h1 rack:r2", vec![], true),
            ("rack LIKE r[12]", "h1 rack:r22", vec![], false),
            ("rack LIKE r1|r2", "h1 rack:r2", vec![], true),
            ("rack LIKE r1|r2", "h1 rack:r2x", vec![], false),
            ("rack LIKE .*", "h1", vec![], false),
            ("rack UNLIKE r[12]", "h1 rack:r3", vec![], true),
            ("rack UNLIKE r[12]", "h1 rack:r1", vec![], false),
            ("rack UNLIKE r[12]", "h1", vec![], true),
            ("hostname UNIQUE", "h1", vec!["h2", "h3"], true),
            ("@hostname unique", "h1", vec!["h2", "h1"], false),
            ("@zone UNIQUE", "h1", vec!["h1"], false),
            ("@region UNIQUE", "h1", vec![], false),
            ("rack MAX_PER 2", "h1 rack:a", vec!["h1 rack:a", "h1 rack:b"], true),
            ("rack MAX_PER 2", "h1 rack:a", vec!["h1 rack:a", "h2 rack:a"], false),
            ("rack GROUP_BY", "h1 rack:a", vec!["h1 rack:a"], true),
            ("rack GROUP_BY", "h1 rack:a", vec!["h1 rack:a", "h1 rack:a", "h2 rack:b"], false),
            ("rack GROUP_BY", "h1 rack:b", vec!["h1 rack:a", "h1 rack:a", "h2 rack:b"], true),
            ("rack GROUP_BY 3", "h1 rack:a", vec!["h1 rack:a", "h2 rack:b"], false),
            ("rack GROUP_BY 3", "h3 rack:c", vec!["h1 rack:a", "h2 rack:b"], true),
            ("size IS 4", "h1 size:4", vec![], true),
        ] {
            let parts: Vec<&str> = constraint.split(' ').collect();
            let parsed = Constraint::parse(&parts).expect(constraint);
            let others: Vec<Site> = placed.iter().map(|text| site(text)).collect();
            let judged = parsed.allows(&site(here), &others);
            assert_eq!(judged, allowed, "{constraint} at {here} with {placed:?}");
        }
    }

    #[test]
    fn what_is_no_constraint_is_refused_with_the_reason() {
        for (parts, error) in [
            (vec!["rack"], "a constraint has a field, an operator and at most one argument"),
            (vec!["rack", "IS"], "IS needs an argument"),
            (vec!["rack", "MAX_PER", "0"], "MAX_PER needs a number from 1, not \"0\""),
            (vec!["rack", "GROUP_BY", "x"], "GROUP_BY needs a number from 1, not \"x\""),
            (vec!["rack", "LIKE", "("], "\"(\" is no regular expression"),
        ] {
            assert_eq!(Constraint::parse(&parts).expect_err(error).to_string(), error);
        }
        let unknown = Constraint::parse(&["rack", "NEAR", "x"]).expect_err("no such operator");
        assert!(unknown.to_string().starts_with("\"NEAR\" is no operator"));
    }

    #[test]
    fn a_constraint_prints_as_it_was_written() {
        for text in ["rack IS r1", "hostname UNIQUE", "rack LIKE r1|r2", "@zone MAX_PER 2"] {
            let parts: Vec<&str> = text.split(' ').collect();
            assert_eq!(Constraint::parse(&parts).expect(text).to_string(), text);
        }
    }
}
