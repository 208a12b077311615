//! Roles: who resources are offered to, as a tree of path names.

use std::borrow::Borrow;
use std::fmt;
use std::sync::{Arc, LazyLock};

static STAR: LazyLock<Role> = LazyLock::new(|| Role("*".into()));

/// A role: `*`, or a path of names joined by `/`, such as `eng/web`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Role(Arc<str>);

impl Role {
    /// Takes `text` for a role.
    ///
    /// # Errors
    /// [`RoleError`] when it is empty, begins with a dash, begins or ends with a slash or has two
    /// in a row, has `.`, `..` or `*` for a part, or holds whitespace or a backspace (Mesos,
    /// "Roles").
    pub fn parse(text: &str) -> Result<Self, RoleError> {
        match problem_of(text) {
            None if text == "*" => Ok(Self::star()),
            None => Ok(Self(text.into())),
            Some(problem) => Err(RoleError { role: text.to_owned(), problem }),
        }
    }

    /// `*`: the role of those that name none, and of unreserved resources in the old format.
    pub fn star() -> Self {
        STAR.clone()
    }

    /// Whether this is `*`.
    pub fn is_star(&self) -> bool {
        &*self.0 == "*"
    }

    /// The role as it is written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The role that this one is directly under, if any.
    pub fn parent(&self) -> Option<Self> {
        self.ancestors().next().map(|parent| Self(parent.into()))
    }

    /// The roles that this one is under, the nearest first: `a/b`, `a` for `a/b/c`.
    pub fn ancestors(&self) -> impl Iterator<Item = &str> {
        self.0.rmatch_indices('/').map(|(slash, _)| &self.0[..slash])
    }

    /// The outermost role around this one: itself when it has no ancestor. Quotas are set on these.
    pub fn top_level(&self) -> Self {
        self.0.split_once('/').map_or_else(|| self.clone(), |(top, _)| Self(top.into()))
    }

    /// Whether this role is under `other`, and isn't `other`.
    pub fn is_strict_subrole_of(&self, other: &Self) -> bool {
        self.0.strip_prefix(&*other.0).is_some_and(|rest| rest.starts_with('/'))
    }

    /// Whether this role is `other` or under it.
    pub fn is_within(&self, other: &Self) -> bool {
        self == other || self.is_strict_subrole_of(other)
    }
}

/// `*`.
impl Default for Role {
    fn default() -> Self {
        Self::star()
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Role({})", self.0)
    }
}

impl AsRef<str> for Role {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl Borrow<str> for Role {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl std::str::FromStr for Role {
    type Err = RoleError;

    fn from_str(text: &str) -> Result<Self, RoleError> {
        Self::parse(text)
    }
}

/// Why a text is not a role.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("role '{}' {problem}", .role.escape_debug())]
pub struct RoleError {
    /// The text.
    pub role: String,
    /// The rule that it breaks.
    pub problem: RoleProblem,
}

/// The rule for roles that a text breaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RoleProblem {
    /// No text.
    #[error("is empty")]
    Empty,
    /// A slash in front.
    #[error("must not start with a slash")]
    LeadingSlash,
    /// A slash at the end.
    #[error("must not end with a slash")]
    TrailingSlash,
    /// Nothing between two slashes.
    #[error("must not have two adjacent slashes")]
    DoubleSlash,
    /// A part that means a directory or every role.
    #[error("must not have '{0}' for a part")]
    Reserved(&'static str),
    /// A part that would read as a flag.
    #[error("must not have a part that starts with a dash")]
    LeadingDash,
    /// A character that no role has.
    #[error("must not contain whitespace or backspace")]
    Blank,
}

fn problem_of(text: &str) -> Option<RoleProblem> {
    if text == "*" {
        return None;
    }
    if text.is_empty() {
        return Some(RoleProblem::Empty);
    }
    if text.starts_with('/') {
        return Some(RoleProblem::LeadingSlash);
    }
    if text.ends_with('/') {
        return Some(RoleProblem::TrailingSlash);
    }
    text.split('/').find_map(|part| match part {
        "" => Some(RoleProblem::DoubleSlash),
        "." => Some(RoleProblem::Reserved(".")),
        ".." => Some(RoleProblem::Reserved("..")),
        "*" => Some(RoleProblem::Reserved("*")),
        part if part.starts_with('-') => Some(RoleProblem::LeadingDash),
        part if part.chars().any(is_blank) => Some(RoleProblem::Blank),
        _ => None,
    })
}

/// What Mesos refuses (it calls 0x7f backspace), and control characters, which no log should hold.
fn is_blank(c: char) -> bool {
    c.is_whitespace() || c.is_control()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roles_that_mesos_accepts_are_accepted() {
        for text in ["*", "foo", "a/b/c", "foo.bar", "...", "a-b", "foo*", "**", "a/b*"] {
            assert_eq!(Role::parse(text).unwrap().as_str(), text);
        }
    }

    #[test]
    fn a_text_that_breaks_a_rule_is_refused_with_that_rule() {
        for (text, problem) in [
            ("", RoleProblem::Empty),
            ("/", RoleProblem::LeadingSlash),
            ("/a", RoleProblem::LeadingSlash),
            ("a/", RoleProblem::TrailingSlash),
            ("a//b", RoleProblem::DoubleSlash),
            (".", RoleProblem::Reserved(".")),
            ("a/..", RoleProblem::Reserved("..")),
            ("a/*", RoleProblem::Reserved("*")),
            ("*/a", RoleProblem::Reserved("*")),
            ("-a", RoleProblem::LeadingDash),
            ("a/-b", RoleProblem::LeadingDash),
            ("a b", RoleProblem::Blank),
            ("a\tb", RoleProblem::Blank),
            ("a\u{8}", RoleProblem::Blank),
            ("a\u{7f}", RoleProblem::Blank),
        ] {
            assert_eq!(Role::parse(text).unwrap_err().problem, problem, "{text:?}");
        }
        let message = Role::parse("a//b\n").unwrap_err().to_string();
        assert_eq!(message, "role 'a//b\\n' must not have two adjacent slashes");
    }

    #[test]
    fn a_role_is_under_each_of_its_ancestors_and_no_other() {
        let role = Role::parse("a/b/c").unwrap();
        assert_eq!(role.ancestors().collect::<Vec<_>>(), ["a/b", "a"]);
        assert_eq!(role.parent().unwrap().as_str(), "a/b");
        assert_eq!(role.top_level().as_str(), "a");
        for (other, under) in [("a", true), ("a/b", true), ("a/b/c", false), ("*", false)] {
            assert_eq!(role.is_strict_subrole_of(&Role::parse(other).unwrap()), under, "{other}");
        }
        let lookalike = Role::parse("ab").unwrap();
        assert!(!lookalike.is_strict_subrole_of(&Role::parse("a").unwrap()));
        assert_eq!(Role::star().ancestors().count(), 0);
    }
}
