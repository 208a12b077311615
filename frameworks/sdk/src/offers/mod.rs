//! Offers held, used and given back, so that none is forgotten.
//!
//! An [`Offer`] is used once, by moving it; one that is dropped instead goes back to the master by
//! itself. The [`Pool`] holds what nobody took yet, gives it back when it is of no use, asks the
//! master to stop offering while nothing is wanted, and to begin again when something is. It
//! decides only: what it returns from [`Pool::round`] is for [`Calls`](crate::driver::Calls).

mod bucket;
mod offer;
mod pool;
mod roles;

pub use offer::{Malformed, Offer};
pub use pool::{Directive, Policy, Pool};
