//! Whether an offer is good for something, and if not, why not.
//!
//! [`Want::try_offer`] answers with what to take, or with every [`Reason`] against. [`Tally`]
//! counts those over many offers: that is the answer to "why isn't my task running?".
//!
//! Constraints are Marathon's, in its spelling: `["rack", "GROUP_BY", "3"]`.

mod constraint;
mod reason;
mod site;
mod tally;
mod want;

pub use constraint::{Constraint, ConstraintError, Operator};
pub use reason::{Kind, Reason};
pub use site::{Field, Site};
pub use tally::Tally;
pub use want::{Fit, Want};
