//! Why something is not a resource.

use super::{RangesError, RoleError, ScalarError};
use crate::ids::IdProblem;

/// Why a message is not a resource.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("resource '{}' is invalid: {problem}", .name.escape_debug())]
pub struct ResourceError {
    /// Its name, as far as it has one.
    pub name: String,
    /// The rule that it breaks.
    pub problem: ResourceProblem,
}

/// The rule for resources that a message breaks.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ResourceProblem {
    /// No name.
    #[error("its name is empty")]
    NoName,
    /// A type that isn't set, or that no resource has.
    #[error("its type must be SCALAR, RANGES or SET")]
    BadType,
    /// The value of its type is unset, or that of another type is set.
    #[error("a {0} resource must have a {0} value and no other")]
    ValueMismatch(&'static str),
    /// A usual name with an unusual type.
    #[error("it must be of type {0}")]
    WrongType(&'static str),
    /// An amount that no resource has.
    #[error("its amount {0}")]
    Amount(ScalarError),
    /// An amount below zero.
    #[error("its amount is negative")]
    Negative,
    /// Ranges that are none.
    #[error("{0}")]
    Ranges(RangesError),
    /// A range without a begin or an end.
    #[error("a range must have a begin and an end")]
    OpenRange,
    /// An item twice in a set.
    #[error("the set has '{0}' twice")]
    DuplicateItem(String),
    /// The same numbers or items as another entry of the same kind.
    #[error("part of it is given twice")]
    GivenTwice,
    /// A role that is none.
    #[error("{0}")]
    Role(RoleError),
    /// Both reservation formats in one resource.
    #[error("'role' and 'reservation' must not be set together with 'reservations'")]
    MixedFormats,
    /// `reservation.type` or `.role`, which belong to the new format.
    #[error("'reservation.{0}' must not be set in the old format")]
    NewFieldInOldFormat(&'static str),
    /// A reservation without a part of it that must be there.
    #[error("'reservations.{0}' must be set")]
    ReservationIncomplete(&'static str),
    /// A reservation to `*`.
    #[error("role '*' cannot be reserved")]
    ReservedToStar,
    /// A static reservation on top of another.
    #[error("a refined reservation cannot be STATIC")]
    StaticRefinement,
    /// A reservation on top of one to a role that isn't above it.
    #[error("role '{role}' is not under '{refined}', whose reservation it refines")]
    NotARefinement {
        /// The role of the upper reservation.
        role: String,
        /// The role of the one below.
        refined: String,
    },
    /// Disk information on something else.
    #[error("'disk' must not be set on it")]
    DiskOnOther,
    /// A disk source without a type that we know.
    #[error("'disk.source.type' must be PATH, MOUNT, BLOCK or RAW")]
    DiskSourceType,
    /// A field that belongs to another type of disk source.
    #[error("'disk.source.{field}' must not be set on a {kind} source")]
    DiskSourceField {
        /// The field.
        field: &'static str,
        /// The type of the source.
        kind: &'static str,
    },
    /// A persistent volume whose id can't name a directory.
    #[error("its persistence id {0}")]
    PersistenceId(IdProblem),
    /// A provider whose id is none.
    #[error("its provider id {0}")]
    ProviderId(IdProblem),
    /// Shared, but nothing that can be.
    #[error("only persistent volumes can be shared")]
    NotShareable,
}

/// Why a text is not a list of resources.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParseError {
    /// An item without its parts.
    #[error("'{0}' is not of the form name:value or name(role):value")]
    Form(String),
    /// A value that is none.
    #[error("the value of '{item}' {problem}")]
    Value {
        /// The whole item.
        item: String,
        /// What is wrong with its value.
        problem: String,
    },
    /// A role that is none.
    #[error(transparent)]
    Role(#[from] RoleError),
    /// JSON that isn't a list of resources.
    #[error("not a JSON array of resources: {0}")]
    Json(String),
    /// Well-formed, but not a resource.
    #[error(transparent)]
    Invalid(#[from] ResourceError),
    /// One name with two types of value.
    #[error("resources of the same name ('{0}') but different types are not allowed")]
    TwoTypes(String),
    /// What only operations make, not the command line.
    #[error("{0} cannot be specified in a list of resources")]
    MadeByOperations(&'static str),
}
