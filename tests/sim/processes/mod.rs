//! The processes: each hosts a real core, and does what its shell does.

pub(crate) mod gate;

pub(crate) mod agent;
pub(crate) mod launcher;
pub(crate) mod master;

pub(crate) mod batch;
pub(crate) mod driver;
pub(crate) mod lane;
pub(crate) mod marathon;
