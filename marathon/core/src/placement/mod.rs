//! Where instances may run: an app's constraints against an agent and its neighbours.
//!
//! One function an operator, in `constraints`. A constraint compares the text of one field of the
//! offer's agent with a value, or with the same field of the agents on which the app's other
//! instances are.

use meros_proto::attributes::AttributeValue;
use serde::{Deserialize, Serialize};

use crate::instances::Agent;

mod constraints;

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

/// An attribute as constraints see it: a number without needless zeros, `[1-3,7-9]`, or its text.
pub(crate) fn text_of(value: &AttributeValue) -> String {
    match value {
        AttributeValue::Scalar(amount) => amount.to_string(),
        AttributeValue::Text(text) => text.to_string(),
        AttributeValue::Ranges(ranges) => {
            let ranges: Vec<String> =
                ranges.iter().map(|range| format!("{}-{}", range.begin(), range.end())).collect();
            format!("[{}]", ranges.join(","))
        }
    }
}
