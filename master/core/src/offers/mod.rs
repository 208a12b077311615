//! Offers: made, taken back, and used to launch tasks.

mod accept;
mod live;

pub(crate) use live::Offers;
