//! Where something runs, as constraints look at it.

use std::fmt;

use meros_proto::attributes::{AttributeValue, Attributes};

/// The place that an offer is of, or that a task was put.
#[derive(Debug, Clone, Default)]
pub struct Site {
    /// The agent's host.
    pub hostname: String,
    /// The agent's region, if it has one.
    pub region: Option<String>,
    /// The agent's zone, if it has one.
    pub zone: Option<String>,
    /// What the operator says of the agent.
    pub attributes: Attributes,
}

/// What a constraint looks at.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Field {
    /// `hostname`, `@hostname`.
    Hostname,
    /// `@region`.
    Region,
    /// `@zone`.
    Zone,
    /// Any other name: an attribute.
    Attribute(String),
}

impl Field {
    /// The field of that name.
    pub fn parse(name: &str) -> Self {
        match name {
            "hostname" | "@hostname" => Self::Hostname,
            "@region" => Self::Region,
            "@zone" => Self::Zone,
            other => Self::Attribute(other.to_owned()),
        }
    }
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Hostname => "hostname",
            Self::Region => "@region",
            Self::Zone => "@zone",
            Self::Attribute(name) => name,
        })
    }
}

impl Site {
    /// The field's value as text; `None` when the agent has no such attribute.
    pub fn value(&self, field: &Field) -> Option<String> {
        match field {
            Field::Hostname => Some(self.hostname.clone()),
            Field::Region => self.region.clone(),
            Field::Zone => self.zone.clone(),
            Field::Attribute(name) => self.attributes.get(name).map(|value| match value {
                AttributeValue::Scalar(number) => number.to_string(),
                AttributeValue::Ranges(ranges) => ranges.to_string(),
                AttributeValue::Text(text) => text.to_string(),
            }),
        }
    }
}
