//! Versions of apps and of the whole root: stamps that are ids.
//!
//! A version is the millisecond at which it was made. Where that is taken, one is added, so no two
//! changes share a version.

use std::fmt;

use meros_proto::time::Timestamp;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A version, in milliseconds since the epoch. Written as Marathon writes a time.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Version(u64);

impl Version {
    /// The version made `millis` milliseconds after the epoch.
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis)
    }

    /// Milliseconds since the epoch.
    pub const fn as_millis(self) -> u64 {
        self.0
    }

    /// When it was made.
    pub const fn timestamp(self) -> Timestamp {
        Timestamp::from_millis(self.0)
    }

    /// Reads the text form, with or without milliseconds.
    pub fn parse(text: &str) -> Option<Self> {
        Timestamp::parse(text).map(|stamp| Self(stamp.as_millis()))
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.timestamp().fmt(f)
    }
}

impl fmt::Debug for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.timestamp().fmt(f)
    }
}

impl Serialize for Version {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Version {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| serde::de::Error::custom("not a version"))
    }
}

/// Hands out versions, each later than all before.
#[derive(Debug, Default)]
pub(crate) struct Versions {
    last: Version,
}

impl Versions {
    /// Makes sure that no version up to `version` is handed out again.
    pub(crate) fn seen(&mut self, version: Version) {
        self.last = self.last.max(version);
    }

    /// A version for a change made at `wall`.
    pub(crate) fn next(&mut self, wall: Timestamp) -> Version {
        self.last = Version(wall.as_millis().max(self.last.0 + 1));
        self.last
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_taken_millisecond_gives_the_next_one() {
        let mut versions = Versions::default();
        versions.seen(Version(5));
        let made = [5, 5, 9, 3].map(|ms| versions.next(Timestamp::from_millis(ms)).as_millis());
        assert_eq!(made, [6, 7, 9, 10]);
    }

    #[test]
    fn a_version_reads_back_from_its_text() {
        let version = Version::from_millis(1_393_715_565_123);
        assert_eq!(version.to_string(), "2014-03-01T23:12:45.123Z");
        assert_eq!(Version::parse(&version.to_string()), Some(version));
    }
}
