//! What Marathon's app has and this version can't do yet: the one table of it.
//!
//! Building a field means deleting its row here. A field that asks for nothing (an empty list,
//! `gpus: 0`) is let through, since clients send back what they read.

use serde_json::Value;

use super::reader::{Faults, Fields};

/// Whether a value asks for something.
type Asks = fn(&Value) -> bool;

/// Fields that can't be honoured, and which of their values ask for something.
const FIELDS: &[(&str, Asks)] = &[
    ("container", always),
    ("executorResources", always),
    ("fetch", unless_empty),
    ("gpus", unless_zero),
    ("ipAddress", always),
    ("residency", always),
    ("resourceLimits", unless_empty),
    ("secrets", unless_empty),
    ("tty", unless_false),
    ("uris", unless_empty),
];

/// Something asked for that isn't built.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Unbuilt {
    path: String,
}

impl Unbuilt {
    /// What stands at `path` isn't built.
    pub(crate) fn new(path: impl Into<String>) -> Self {
        Self { path: path.into() }
    }

    /// Says so to the client.
    pub(crate) fn note(&self, faults: &mut Faults) {
        faults.add(&self.path, "is not supported by this version");
    }
}

/// What `fields`, an app's, ask for that isn't built.
pub(crate) fn asked_for(fields: &Fields<'_>) -> Vec<Unbuilt> {
    let asked =
        FIELDS.iter().filter(|(name, asks)| fields.at(name).is_some_and(|at| asks(at.value())));
    asked.map(|(name, _)| Unbuilt::new(format!("/{name}"))).collect()
}

fn always(_: &Value) -> bool {
    true
}

fn unless_empty(value: &Value) -> bool {
    match value {
        Value::Array(items) => !items.is_empty(),
        Value::Object(map) => !map.is_empty(),
        _ => true,
    }
}

fn unless_zero(value: &Value) -> bool {
    value.as_f64() != Some(0.0)
}

fn unless_false(value: &Value) -> bool {
    value.as_bool() != Some(false)
}
