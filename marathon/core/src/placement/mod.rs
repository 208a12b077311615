//! Where instances may run: an app's constraints against an agent and its neighbours.
//!
//! One function an operator, in `constraints`. A constraint compares the text of one field of the
//! offer's agent with a value, or with the same field of the agents on which the app's other
//! instances are.

use meros_proto::v1;
use serde::{Deserialize, Serialize};

use crate::instances::Agent;

mod constraints;

pub(crate) use constraints::Neighbours;
pub use constraints::{Rules, pattern};

/// One rule on where instances may run.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Constraint {
    /// What of an agent is looked at: `hostname`, `@hostname`, `@region`, `@zone`, or the name of
    /// an attribute.
    pub field: String,
    /// How it is looked at.
    pub operator: Operator,
    /// What it is compared with, where the operator needs it.
    pub value: Option<String>,
}

/// How a field is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Operator {
    /// No two instances have the same.
    Unique,
    /// All instances have the same: the value, or whatever the first one has.
    Cluster,
    /// Instances are spread evenly over the values.
    GroupBy,
    /// It matches a pattern.
    Like,
    /// It doesn't match a pattern, or is missing.
    Unlike,
    /// At most so many instances have the same.
    MaxPer,
    /// It is the value.
    Is,
}

impl Operator {
    /// As Marathon writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unique => "UNIQUE",
            Self::Cluster => "CLUSTER",
            Self::GroupBy => "GROUP_BY",
            Self::Like => "LIKE",
            Self::Unlike => "UNLIKE",
            Self::MaxPer => "MAX_PER",
            Self::Is => "IS",
        }
    }

    /// Reads what Marathon writes.
    pub fn parse(text: &str) -> Option<Self> {
        [
            Self::Unique,
            Self::Cluster,
            Self::GroupBy,
            Self::Like,
            Self::Unlike,
            Self::MaxPer,
            Self::Is,
        ]
        .into_iter()
        .find(|operator| operator.as_str() == text)
    }
}

/// What an agent has in a field. `None`: it has no such field.
pub(crate) fn value_of<'a>(field: &str, agent: &'a Agent) -> Option<&'a str> {
    match field {
        "hostname" | "@hostname" => Some(&agent.hostname),
        "@region" => agent.region.as_deref(),
        "@zone" => agent.zone.as_deref(),
        name => agent.attributes.get(name).map(String::as_str),
    }
}

/// An attribute as constraints see it: a number with at most three decimals and no needless zeros,
/// a text as it is, `[1-3,7-9]` or `{a,b}`. `None`: it has no value.
pub(crate) fn text_of(attribute: &v1::Attribute) -> Option<String> {
    if let Some(scalar) = &attribute.scalar {
        return Some(number_text(scalar.value()));
    }
    if let Some(text) = &attribute.text {
        return Some(text.value().to_owned());
    }
    if let Some(ranges) = &attribute.ranges {
        let mut ranges: Vec<(u64, u64)> =
            ranges.range.iter().map(|range| (range.begin(), range.end())).collect();
        ranges.sort_unstable();
        let ranges: Vec<String> =
            ranges.into_iter().map(|(begin, end)| format!("{begin}-{end}")).collect();
        return Some(format!("[{}]", ranges.join(",")));
    }
    let mut items = attribute.set.as_ref()?.item.clone();
    items.sort_unstable();
    Some(format!("{{{}}}", items.join(",")))
}

/// A number with at most three decimals, a half to the even one: 1.0 is `1`, 0.0625 is `0.062`.
pub(crate) fn number_text(number: f64) -> String {
    let text = format!("{number:.3}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    if text == "-0" { "0".into() } else { text.into() }
}

#[cfg(test)]
mod tests {
    use meros_proto::v1::value::{Range, Ranges, Scalar, Set, Text};

    use super::*;

    #[test]
    fn attributes_are_compared_by_their_text() {
        let scalar = |value| v1::Attribute {
            scalar: Some(Scalar { value: Some(value) }),
            ..Default::default()
        };
        let range = |begin, end| Range { begin: Some(begin), end: Some(end) };
        let text = Text { value: Some("r 1".into()) };
        let ranges = Ranges { range: vec![range(7, 9), range(1, 3)] };
        let set = Set { item: vec!["b".into(), "a".into()] };
        for (attribute, expected) in [
            (scalar(1.0), Some("1")),
            (scalar(0.80), Some("0.8")),
            (scalar(0.0625), Some("0.062")),
            (scalar(0.1875), Some("0.188")),
            (scalar(-0.0001), Some("0")),
            (scalar(100.0), Some("100")),
            (v1::Attribute { text: Some(text), ..Default::default() }, Some("r 1")),
            (v1::Attribute { ranges: Some(ranges), ..Default::default() }, Some("[1-3,7-9]")),
            (v1::Attribute { set: Some(set), ..Default::default() }, Some("{a,b}")),
            (v1::Attribute::default(), None),
        ] {
            assert_eq!(text_of(&attribute).as_deref(), expected, "{attribute:?}");
        }
    }
}
