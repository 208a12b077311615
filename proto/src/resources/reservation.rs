//! Reservations: resources that only one role, and those under it, are offered.

use std::fmt;
use std::sync::Arc;

use super::{Labels, Role};

/// How a reservation came about, and so who may undo it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ReservationKind {
    /// By the agent's `--resources`: it stays.
    Static,
    /// By an operation: another takes it back.
    Dynamic,
}

/// One layer of a stack of reservations. The last one of a stack is in force; each refines the one
/// before to a role under it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Reservation {
    /// How it came about.
    pub kind: ReservationKind,
    /// Who it is for; never `*`.
    pub role: Role,
    /// Who made it.
    pub principal: Option<Arc<str>>,
    /// What the maker wrote on it: keeps reservations of one role apart.
    pub labels: Labels,
}

impl Reservation {
    /// A reservation by the agent's `--resources`.
    pub fn statically(role: Role) -> Self {
        Self { kind: ReservationKind::Static, role, principal: None, labels: Labels::default() }
    }

    /// A reservation by an operation of `principal`.
    pub fn dynamically(role: Role, principal: Option<&str>) -> Self {
        Self {
            kind: ReservationKind::Dynamic,
            role,
            principal: principal.map(Arc::from),
            labels: Labels::default(),
        }
    }

    /// The same, with labels.
    pub fn with_labels(self, labels: Labels) -> Self {
        Self { labels, ..self }
    }

    /// Whether only its role tells it from another static reservation.
    pub(super) fn is_plain_static(&self) -> bool {
        self.kind == ReservationKind::Static && self.principal.is_none() && self.labels.is_empty()
    }
}

/// `(DYNAMIC,role,principal,{key: value})`, as Mesos prints it.
impl fmt::Display for Reservation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.kind {
            ReservationKind::Static => "STATIC",
            ReservationKind::Dynamic => "DYNAMIC",
        };
        write!(f, "({kind},{}", self.role)?;
        if let Some(principal) = &self.principal {
            write!(f, ",{principal}")?;
        }
        if !self.labels.is_empty() {
            write!(f, ",{}", self.labels)?;
        }
        f.write_str(")")
    }
}
