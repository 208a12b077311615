//! Which required fields a message lacks.
//!
//! The contract is proto2 and has required fields; prost decodes a message without them as if all
//! were well. So each generated type is generated with optional fields, and what the contract
//! requires is checked here, for both encodings alike. An unknown number of a required enum counts
//! as missing. Limits and meanings of values are not this module's business.

use std::collections::BTreeMap;
use std::fmt;

use crate::json::names::Named;

/// A message whose required fields, and those of all messages in it, can be checked.
pub trait Required {
    /// Adds the paths of the required fields that are unset below `at` to `missing`.
    #[doc(hidden)]
    fn collect_missing(&self, at: Path<'_>, missing: &mut Vec<String>);

    /// The paths of the required fields that are unset, such as `accept.operations[1].launch.task_infos[0].name`,
    /// in the order of the fields. Empty: the message is complete.
    fn missing_required(&self) -> Vec<String> {
        let mut missing = Vec::new();
        self.collect_missing(Path(None), &mut missing);
        missing
    }
}

impl<T: Required> Required for Box<T> {
    fn collect_missing(&self, at: Path<'_>, missing: &mut Vec<String>) {
        (**self).collect_missing(at, missing);
    }
}

/// Where in a message a check is: a chain on the stack, so that a complete message costs no allocation.
#[doc(hidden)]
#[derive(Clone, Copy)]
pub struct Path<'a>(Option<&'a Step<'a>>);

#[doc(hidden)]
pub struct Step<'a> {
    above: Path<'a>,
    name: &'static str,
    at: At<'a>,
}

enum At<'a> {
    Field,
    Index(usize),
    Key(&'a str),
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(step) = self.0 else { return Ok(()) };
        if step.above.0.is_some() {
            write!(f, "{}.", step.above)?;
        }
        match step.at {
            At::Field => f.write_str(step.name),
            At::Index(index) => write!(f, "{}[{index}]", step.name),
            At::Key(key) => write!(f, "{}[{key}]", step.name),
        }
    }
}

pub(crate) fn present(set: bool, above: Path<'_>, name: &'static str, missing: &mut Vec<String>) {
    if !set {
        missing.push(Path(Some(&Step { above, name, at: At::Field })).to_string());
    }
}

pub(crate) fn name<E: Named>(
    number: Option<i32>,
    above: Path<'_>,
    name: &'static str,
    missing: &mut Vec<String>,
) {
    present(number.and_then(E::name_of).is_some(), above, name, missing);
}

pub(crate) fn one<T: Required>(
    message: &Option<T>,
    required: bool,
    above: Path<'_>,
    name: &'static str,
    missing: &mut Vec<String>,
) {
    match message {
        Some(message) => {
            let step = Step { above, name, at: At::Field };
            message.collect_missing(Path(Some(&step)), missing);
        }
        None => present(!required, above, name, missing),
    }
}

pub(crate) fn many<T: Required>(
    messages: &[T],
    above: Path<'_>,
    name: &'static str,
    missing: &mut Vec<String>,
) {
    for (index, message) in messages.iter().enumerate() {
        let step = Step { above, name, at: At::Index(index) };
        message.collect_missing(Path(Some(&step)), missing);
    }
}

pub(crate) fn table<T: Required>(
    messages: &BTreeMap<String, T>,
    above: Path<'_>,
    name: &'static str,
    missing: &mut Vec<String>,
) {
    for (key, message) in messages {
        let step = Step { above, name, at: At::Key(key) };
        message.collect_missing(Path(Some(&step)), missing);
    }
}
