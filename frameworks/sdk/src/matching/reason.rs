//! What speaks against an offer.

use std::fmt;

use meros_proto::resources::{Name, Role, Scalar};

/// One reason why an offer is no good.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Reason {
    /// The master has taken it back.
    #[error("the offer is no longer valid")]
    Void,
    /// It is for another role.
    #[error("it is offered to role {offered}, not {wanted}")]
    Role {
        /// Whom something is wanted for.
        wanted: Role,
        /// Whom it is offered to.
        offered: Role,
    },
    /// There is too little of a resource.
    #[error("{wanted} {name} wanted, {offered} offered")]
    NotEnough {
        /// The resource.
        name: Name,
        /// How much is wanted.
        wanted: Scalar,
        /// How much there is.
        offered: Scalar,
    },
    /// Enough of everything, but not in the pieces, or with the reservations, that are wanted.
    #[error("{wanted} is not in what is offered")]
    NotFound {
        /// What is wanted.
        wanted: String,
    },
    /// There are too few ports.
    #[error("{wanted} ports wanted, {offered} offered")]
    Ports {
        /// How many are wanted.
        wanted: u64,
        /// How many there are.
        offered: u64,
    },
    /// A constraint isn't met.
    #[error("constraint {constraint} is not met by {}", value.as_deref().unwrap_or("an agent without it"))]
    Constraint {
        /// The constraint.
        constraint: String,
        /// The agent's value.
        value: Option<String>,
    },
}

/// Kinds of reasons, as they are counted.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Not valid any more.
    Void,
    /// Another role.
    Role,
    /// Too little of this resource.
    Resource(Name),
    /// A constraint, as it is written.
    Constraint(String),
}

impl Reason {
    /// What it is counted as.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Void => Kind::Void,
            Self::Role { .. } => Kind::Role,
            Self::NotEnough { name, .. } => Kind::Resource(name.clone()),
            Self::NotFound { .. } => Kind::Resource(Name::from("reservations")),
            Self::Ports { .. } => Kind::Resource(Name::Ports),
            Self::Constraint { constraint, .. } => Kind::Constraint(constraint.clone()),
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Void => f.write_str("no longer valid"),
            Self::Role => f.write_str("role"),
            Self::Resource(name) => write!(f, "not enough {name}"),
            Self::Constraint(constraint) => write!(f, "constraint {constraint}"),
        }
    }
}
