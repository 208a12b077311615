//! Names of resources. The usual ones compare without looking at a string.

use std::fmt;
use std::sync::Arc;

/// What a resource is called.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Name {
    /// `cpus`: a scalar, in cores.
    Cpus,
    /// `mem`: a scalar, in MiB.
    Mem,
    /// `disk`: a scalar, in MiB.
    Disk,
    /// `gpus`: a scalar, whole.
    Gpus,
    /// `ports`: ranges.
    Ports,
    /// Any other, as the operator chose it.
    Other(OtherName),
}

/// A name that is none of the usual ones. Made by [`Name::from`] only.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OtherName(Arc<str>);

impl Name {
    /// The name as it is written.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Cpus => "cpus",
            Self::Mem => "mem",
            Self::Disk => "disk",
            Self::Gpus => "gpus",
            Self::Ports => "ports",
            Self::Other(OtherName(name)) => name,
        }
    }
}

impl From<&str> for Name {
    fn from(name: &str) -> Self {
        match name {
            "cpus" => Self::Cpus,
            "mem" => Self::Mem,
            "disk" => Self::Disk,
            "gpus" => Self::Gpus,
            "ports" => Self::Ports,
            other => Self::Other(OtherName(other.into())),
        }
    }
}

impl AsRef<str> for Name {
    fn as_ref(&self) -> &str {
        self.as_str()
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usual_names_come_first_and_all_print_as_they_were_read() {
        let mut names: Vec<_> =
            ["zeta", "ports", "alpha", "mem", "gpus", "cpus", "disk"].map(Name::from).into();
        names.sort();
        let printed: Vec<_> = names.iter().map(ToString::to_string).collect();
        assert_eq!(printed, ["cpus", "mem", "disk", "gpus", "ports", "alpha", "zeta"]);
    }
}
