//! The arithmetic of what is offered, used and left over.
//!
//! [`Resources`] is a multiset of [`Resource`] entries, always in canonical form: entries that can
//! add up have added up, none is empty, and they stand in one order, so that `==` compares meaning.
//! It is made for the allocator's inner loop: the usual names are an `enum`, a plain unreserved
//! entry owns no memory but its ranges, what qualifies an entry (reservations, disk …) is shared.
//!
//! Two entries add up only when name, type, reservations (with labels), disk, revocability,
//! sharedness, provider and allocated role all agree. Persistent volumes and MOUNT, BLOCK and
//! identified RAW disks never merge or split; shared resources are counted, once a consumer.
//! Both reservation formats of Mesos read into the same entries; which one is written is the
//! caller's choice ([`ReservationFormat`]).
//!
//! Start at [`Resources`]. Text and JSON come in by [`Resources::parse`], messages by
//! [`Resources::from_protos`].

mod bag;
mod entry;
mod find;
mod views;

mod name;
mod ranges;
mod scalar;
mod sets;

mod disk;
mod labels;
mod reservation;
mod role;

mod convert;
mod error;
mod parse;
mod quantities;
mod text;

pub use bag::Resources;
pub use convert::ReservationFormat;
pub use disk::{Disk, DiskKind, DiskSource, Persistence};
pub use entry::{Resource, Value};
pub use error::{ParseError, ResourceError, ResourceProblem};
pub use labels::Labels;
pub use name::{Name, OtherName};
pub use quantities::Quantities;
pub use ranges::{Range, Ranges, RangesError};
pub use reservation::{Reservation, ReservationKind};
pub use role::{Role, RoleError, RoleProblem};
pub use scalar::{Scalar, ScalarError};
pub use sets::Set;
pub use views::Diff;

pub(crate) use parse::TextValue;
pub(crate) use parse::parse_value;
