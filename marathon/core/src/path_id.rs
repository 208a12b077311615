//! The names of apps and groups: absolute paths such as `/shop/db`.
//!
//! A [`PathId`] is valid by construction, so its safe form (`shop_db`) can be read back: segments
//! never hold an underscore.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// An absolute path: the root `/`, or segments with a slash before each.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PathId(Arc<str>);

/// Why a text names no app or group.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PathIdError {
    /// It doesn't begin with a slash, so it means nothing without a parent.
    #[error("path {0:?} is not absolute")]
    Relative(String),
    /// One of its segments holds characters that no segment may.
    #[error("{0:?} is not a valid path segment")]
    Segment(String),
}

impl PathId {
    /// The group that everything is in.
    pub fn root() -> Self {
        Self("/".into())
    }

    /// Reads an absolute path. Empty segments are dropped, as in a URL.
    ///
    /// # Errors
    /// When it doesn't begin with a slash, or a segment is more than lower-case letters, digits,
    /// `-` and `.` (Marathon's id rules).
    pub fn parse(text: &str) -> Result<Self, PathIdError> {
        if !text.starts_with('/') {
            return Err(PathIdError::Relative(text.into()));
        }
        let mut path = String::with_capacity(text.len());
        for segment in text.split('/').filter(|segment| !segment.is_empty()) {
            if !is_segment(segment) {
                return Err(PathIdError::Segment(segment.into()));
            }
            path.push('/');
            path.push_str(segment);
        }
        Ok(if path.is_empty() { Self::root() } else { Self(path.into()) })
    }

    /// Reads the form in which a path begins an instance id: `shop_db` is `/shop/db`.
    ///
    /// # Errors
    /// As [`PathId::parse`].
    pub fn from_safe(text: &str) -> Result<Self, PathIdError> {
        Self::parse(&format!("/{}", text.replace('_', "/")))
    }

    /// The path as text, with its leading slash.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether this is the root group.
    pub fn is_root(&self) -> bool {
        &*self.0 == "/"
    }

    /// The segments, outermost first; none for the root.
    pub fn segments(&self) -> impl DoubleEndedIterator<Item = &str> {
        self.0.split('/').filter(|segment| !segment.is_empty())
    }

    /// The group that this is directly in. `None` for the root.
    pub fn parent(&self) -> Option<Self> {
        match self.0.rfind('/') {
            _ if self.is_root() => None,
            Some(0) | None => Some(Self::root()),
            Some(at) => Some(Self(self.0[..at].into())),
        }
    }

    /// All groups above this, the root first.
    pub fn ancestors(&self) -> Vec<Self> {
        let mut above: Vec<_> =
            std::iter::successors(self.parent(), |group| group.parent()).collect();
        above.reverse();
        above
    }

    /// Whether this lies somewhere beneath `group`, which itself doesn't count.
    pub fn is_within(&self, group: &Self) -> bool {
        if group.is_root() {
            return !self.is_root();
        }
        self.0.strip_prefix(&*group.0).is_some_and(|rest| rest.starts_with('/'))
    }

    /// Where the range of all that lies within this group begins. Not a path itself.
    ///
    /// Names such as `/a-b` and `/a.b` sort between `/a` and `/a/b`, so it begins at the slash.
    pub(crate) fn first_within(&self) -> Self {
        if self.is_root() { self.clone() } else { Self(format!("{self}/").into()) }
    }

    /// The segments joined by underscores: how instance ids begin.
    pub fn safe(&self) -> String {
        self.segments().collect::<Vec<_>>().join("_")
    }

    /// The segments in reverse, joined by dots: the task's name and its discovery host name.
    pub fn hostname(&self) -> String {
        self.segments().rev().collect::<Vec<_>>().join(".")
    }
}

/// Labels of lower-case letters, digits and inner dashes, joined by dots.
fn is_segment(segment: &str) -> bool {
    segment.split('.').all(|label| {
        !label.is_empty()
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
    })
}

impl fmt::Display for PathId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for PathId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for PathId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for PathId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_read_without_empty_segments_and_gives_its_other_forms() {
        for (text, path, safe, hostname) in [
            ("/", "/", "", ""),
            ("/a", "/a", "a", "a"),
            ("//a//b/", "/a/b", "a_b", "b.a"),
            ("/shop/v1.2/db-0", "/shop/v1.2/db-0", "shop_v1.2_db-0", "db-0.v1.2.shop"),
        ] {
            let id = PathId::parse(text).unwrap();
            assert_eq!(id.as_str(), path);
            assert_eq!(id.safe(), safe);
            assert_eq!(id.hostname(), hostname);
            assert_eq!(PathId::from_safe(safe).unwrap(), id, "{text}");
        }
    }

    #[test]
    fn what_is_no_path_is_refused() {
        for text in ["", "a", "/A", "/a_b", "/-a", "/a-", "/a..b", "/.", "/..", "/a b"] {
            assert!(PathId::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_path_lies_within_all_groups_above_it_and_in_no_namesake() {
        let id = |text| PathId::parse(text).unwrap();
        assert_eq!(id("/a/b/c").ancestors(), [id("/"), id("/a"), id("/a/b")]);
        for (path, group, within) in [
            ("/a/b", "/a", true),
            ("/a/b", "/", true),
            ("/ab", "/a", false),
            ("/a", "/a", false),
            ("/", "/", false),
        ] {
            assert_eq!(id(path).is_within(&id(group)), within, "{path} in {group}");
        }
    }
}
