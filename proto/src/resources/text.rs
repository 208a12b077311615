//! Resources as people read them: `cpus:4; mem:2048; ports:[31000-32000]; disk(role):100`.
//!
//! What has no place in that form stands beside the name, as Mesos prints it; such a text doesn't
//! parse.

use std::fmt;

use super::{Resource, Resources, Value};

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Scalar(scalar) => scalar.fmt(f),
            Self::Ranges(ranges) => fmt::Display::fmt(ranges, f),
            Self::Set(set) => set.fmt(f),
        }
    }
}

impl fmt::Display for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.name())?;
        if let Some(role) = self.allocation_role() {
            write!(f, "(allocated: {role})")?;
        }
        match self.reservations() {
            [] => {}
            [only] if only.is_plain_static() => write!(f, "({})", only.role)?,
            stack => {
                f.write_str("(reservations: [")?;
                for (i, reservation) in stack.iter().enumerate() {
                    let comma = if i == 0 { "" } else { "," };
                    write!(f, "{comma}{reservation}")?;
                }
                f.write_str("])")?;
            }
        }
        if let Some(disk) = self.disk() {
            write!(f, "[{disk}]")?;
        }
        if self.is_revocable() {
            f.write_str("{REV}")?;
        }
        if self.is_shared() {
            write!(f, "<SHARED>")?;
        }
        write!(f, ":{}", self.value())?;
        match self.copies() {
            1 => Ok(()),
            copies => write!(f, "<{copies}>"),
        }
    }
}

impl fmt::Display for Resources {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, resource) in self.iter().enumerate() {
            let separator = if i == 0 { "" } else { "; " };
            write!(f, "{separator}{resource}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Resources {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Resources({self})")
    }
}
