//! Names of things, one type a kind, so that an agent's can't be passed for an offer's.
//!
//! Parsing is the only way in: whoever holds an id holds a valid one (Mesos's rules: not empty, at
//! most 255 bytes, not "." or "..", no control character, no `/`, no `\`), safe as a file name.
//! Cloning one is a reference count. Nothing here mints an id: fresh ones come in as inputs.
//!
//! Start at [`FrameworkId`]; all kinds are alike but [`ContainerId`], which is a path.

use std::borrow::Borrow;
use std::fmt;
use std::sync::Arc;

use crate::v1;

/// The greatest length of an id, in bytes: that of a file name.
pub const ID_BYTES_MAX: usize = 255;

/// Containers nested deeper than this are refused.
pub const CONTAINER_DEPTH_MAX: usize = 32;

/// Declares id types: `Name("what messages call it"): rule`.
macro_rules! string_ids {
    ($($(#[$doc:meta])* $name:ident($what:literal): $check:path;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Arc<str>);

        impl $name {
            /// Takes `text` for an id of this kind.
            ///
            /// # Errors
            /// [`IdError`] when it breaks the rules for ids.
            pub fn parse(text: &str) -> Result<Self, IdError> {
                match $check(text) {
                    Ok(()) => Ok(Self(text.into())),
                    Err(problem) => Err(IdError { what: $what, problem }),
                }
            }

            /// The id as it is written.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self.0)
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        // Ordered maps keyed by an id can be looked up by its text.
        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl std::str::FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                Self::parse(text)
            }
        }
    )*};
}

/// Ties id types to the v1 message of the same name that has only a `value`.
macro_rules! wire_ids {
    ($($name:ident($what:literal),)*) => {$(
        impl $name {
            /// The message that carries this id on the wire.
            pub fn to_proto(&self) -> v1::$name {
                v1::$name { value: Some(self.0.to_string()) }
            }

            /// Takes the id out of a message field.
            ///
            /// # Errors
            /// [`IdError`] when the field or its value is unset, or breaks the rules for ids.
            pub fn from_proto(message: Option<&v1::$name>) -> Result<Self, IdError> {
                match message.and_then(|message| message.value.as_deref()) {
                    Some(text) => Self::parse(text),
                    None => Err(IdError { what: $what, problem: IdProblem::Missing }),
                }
            }
        }

        impl TryFrom<&v1::$name> for $name {
            type Error = IdError;

            fn try_from(message: &v1::$name) -> Result<Self, IdError> {
                Self::from_proto(Some(message))
            }
        }

        impl From<&$name> for v1::$name {
            fn from(id: &$name) -> Self {
                id.to_proto()
            }
        }

        impl From<$name> for v1::$name {
            fn from(id: $name) -> Self {
                id.to_proto()
            }
        }
    )*};
}

string_ids! {
    /// Names one run of a master process. A UUID: the ids of its offers begin with it.
    MasterId("master id"): name_rule;
    /// Names a cluster, for as long as its registry lives. The ids of its frameworks and agents
    /// begin with it.
    ClusterId("cluster id"): name_rule;
    /// Names a framework, over all its reconnections. Minted by the master: `<cluster>-0000`.
    FrameworkId("framework id"): name_rule;
    /// Names an agent, over its restarts. Minted by the master: `<cluster>-S0`.
    AgentId("agent id"): name_rule;
    /// Names one offer. Minted by the master and never reused, so that a late accept can be told.
    OfferId("offer id"): name_rule;
    /// Names a task among those of its framework. Chosen by the framework.
    TaskId("task id"): name_rule;
    /// Names an executor among those of its framework on one agent. Chosen by the framework.
    ExecutorId("executor id"): name_rule;
    /// Names an operation on offered resources. Chosen by the framework that wants feedback.
    OperationId("operation id"): name_rule;
    /// Names a provider of resources on an agent.
    ResourceProviderId("resource provider id"): name_rule;
    /// Names one event stream of a framework: the `Mesos-Stream-Id` header.
    StreamId("stream id"): name_rule;
    /// Names a container by its path: `parent.child`, the outermost first.
    ContainerId("container id"): container_rule;
}

wire_ids! {
    FrameworkId("framework id"),
    AgentId("agent id"),
    OfferId("offer id"),
    TaskId("task id"),
    ExecutorId("executor id"),
    OperationId("operation id"),
    ResourceProviderId("resource provider id"),
}

impl ContainerId {
    /// The container that this one is nested in.
    pub fn parent(&self) -> Option<Self> {
        self.0.rsplit_once('.').map(|(parent, _)| Self(parent.into()))
    }

    /// The outermost container around this one: itself when it isn't nested.
    pub fn root(&self) -> Self {
        self.0.split_once('.').map_or_else(|| self.clone(), |(root, _)| Self(root.into()))
    }

    /// The container called `name` inside this one.
    ///
    /// # Errors
    /// [`IdError`] when `name` breaks the rules or lies too deep.
    pub fn child(&self, name: &str) -> Result<Self, IdError> {
        Self::parse(&format!("{self}.{name}"))
    }

    /// The message that carries this id on the wire, its parents inside it.
    pub fn to_proto(&self) -> v1::ContainerId {
        let mut names = self.0.split('.');
        let outermost = v1::ContainerId { value: names.next().map(String::from), parent: None };
        names.fold(outermost, |parent, name| v1::ContainerId {
            value: Some(name.to_owned()),
            parent: Some(Box::new(parent)),
        })
    }

    /// Takes the id out of a message field.
    ///
    /// # Errors
    /// [`IdError`] when a value is unset, breaks the rules, or the nesting is too deep.
    pub fn from_proto(message: Option<&v1::ContainerId>) -> Result<Self, IdError> {
        let fault = |problem| IdError { what: "container id", problem };
        let mut names = Vec::new();
        let mut next = Some(message.ok_or_else(|| fault(IdProblem::Missing))?);
        while let Some(container) = next {
            let name = container.value.as_deref().ok_or_else(|| fault(IdProblem::Missing))?;
            // A dot in one name would read as two containers.
            if name.contains('.') {
                return Err(fault(IdProblem::forbidden(name, '.')));
            }
            names.push(name);
            if names.len() > CONTAINER_DEPTH_MAX {
                return Err(fault(IdProblem::TooDeep));
            }
            next = container.parent.as_deref();
        }
        names.reverse();
        Self::parse(&names.join("."))
    }
}

impl TryFrom<&v1::ContainerId> for ContainerId {
    type Error = IdError;

    fn try_from(message: &v1::ContainerId) -> Result<Self, IdError> {
        Self::from_proto(Some(message))
    }
}

impl From<&ContainerId> for v1::ContainerId {
    fn from(id: &ContainerId) -> Self {
        id.to_proto()
    }
}

/// Why a text is not an id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} {problem}")]
pub struct IdError {
    /// The kind of id that was wanted, in words.
    pub what: &'static str,
    /// The rule that the text breaks.
    pub problem: IdProblem,
}

/// The rule for ids that a text breaks.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdProblem {
    /// There is no text at all.
    #[error("is missing")]
    Missing,
    /// The text is empty.
    #[error("must not be empty")]
    Empty,
    /// The text is longer than [`ID_BYTES_MAX`].
    #[error("is {bytes} bytes long, more than {ID_BYTES_MAX}")]
    TooLong {
        /// Its length.
        bytes: usize,
    },
    /// The text is `.` or `..`, which name directories.
    #[error("must not be '{0}'")]
    Dots(String),
    /// The text holds a character that ids can't have.
    #[error("'{text}' contains {character:?}, which is not allowed")]
    Forbidden {
        /// The text, with control characters escaped.
        text: String,
        /// The first character in it that isn't allowed.
        character: char,
    },
    /// Containers are nested more than [`CONTAINER_DEPTH_MAX`] deep.
    #[error("is nested more than {CONTAINER_DEPTH_MAX} deep")]
    TooDeep,
}

impl IdProblem {
    fn forbidden(text: &str, character: char) -> Self {
        Self::Forbidden { text: text.escape_debug().to_string(), character }
    }
}

/// Mesos's rule for every string that becomes a name of something.
pub(crate) fn name_rule(text: &str) -> Result<(), IdProblem> {
    if text.is_empty() {
        return Err(IdProblem::Empty);
    }
    if text.len() > ID_BYTES_MAX {
        return Err(IdProblem::TooLong { bytes: text.len() });
    }
    if text == "." || text == ".." {
        return Err(IdProblem::Dots(text.to_owned()));
    }
    match text.chars().find(|c| c.is_control() || matches!(c, '/' | '\\')) {
        Some(character) => Err(IdProblem::forbidden(text, character)),
        None => Ok(()),
    }
}

fn container_rule(text: &str) -> Result<(), IdProblem> {
    if text.split('.').count() > CONTAINER_DEPTH_MAX {
        return Err(IdProblem::TooDeep);
    }
    text.split('.').try_for_each(|name| match name.contains(' ') {
        true => Err(IdProblem::forbidden(name, ' ')),
        false => name_rule(name),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_that_mesos_accepts_is_accepted_and_prints_as_it_was_given() {
        let longest = "x".repeat(255);
        for text in ["a", "20.1-S0", "...", "app_web.0f1e", "with space", "é", longest.as_str()] {
            let id = TaskId::parse(text).unwrap();
            assert_eq!(id.to_string(), text);
            assert_eq!(TaskId::try_from(&id.to_proto()), Ok(id));
        }
    }

    #[test]
    fn an_id_that_breaks_a_rule_is_refused_with_that_rule() {
        for (text, message) in [
            ("", "task id must not be empty"),
            (".", "task id must not be '.'"),
            ("..", "task id must not be '..'"),
            ("a/b", "task id 'a/b' contains '/', which is not allowed"),
            ("a\\b", "task id 'a\\\\b' contains '\\\\', which is not allowed"),
            ("a\nb", "task id 'a\\nb' contains '\\n', which is not allowed"),
            ("a\u{7f}", "task id 'a\\u{7f}' contains '\\u{7f}', which is not allowed"),
            (&"x".repeat(256), "task id is 256 bytes long, more than 255"),
        ] {
            assert_eq!(TaskId::parse(text).unwrap_err().to_string(), message);
        }
    }

    #[test]
    fn an_id_left_out_of_a_message_is_missing() {
        let message = AgentId::from_proto(None).unwrap_err().to_string();
        assert_eq!(message, "agent id is missing");
        let unset = v1::OfferId { value: None };
        assert_eq!(OfferId::try_from(&unset).unwrap_err().problem, IdProblem::Missing);
    }

    #[test]
    fn a_nested_container_is_a_path_in_text_and_a_chain_on_the_wire() {
        let id = ContainerId::parse("root.pod.check").unwrap();
        assert_eq!(id.parent().unwrap().as_str(), "root.pod");
        assert_eq!(id.root().as_str(), "root");
        assert_eq!(id.root().parent(), None);
        assert_eq!(id.parent().unwrap().child("check"), Ok(id.clone()));

        let message = id.to_proto();
        assert_eq!(message.value.as_deref(), Some("check"));
        assert_eq!(message.parent.as_ref().unwrap().value.as_deref(), Some("pod"));
        assert_eq!(ContainerId::try_from(&message), Ok(id));
    }

    #[test]
    fn a_container_id_with_a_dot_or_no_end_is_refused() {
        let dotted = v1::ContainerId { value: Some("a.b".into()), parent: None };
        assert!(ContainerId::try_from(&dotted).is_err());
        for text in ["", "a..b", ".a", "a.", "a b", &["x"; CONTAINER_DEPTH_MAX + 1].join(".")] {
            assert!(ContainerId::parse(text).is_err(), "{text}");
        }
        let mut deep = v1::ContainerId { value: Some("x".into()), parent: None };
        for _ in 0..CONTAINER_DEPTH_MAX {
            deep = v1::ContainerId { value: Some("x".into()), parent: Some(Box::new(deep)) };
        }
        assert_eq!(ContainerId::try_from(&deep).unwrap_err().problem, IdProblem::TooDeep);
    }
}
