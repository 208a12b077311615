//! Asks tasks how they are, because the core wants to know.
//!
//! Start at [`prober`]: it takes the core's questions, runs as many at once as are allowed, and hands
//! the answers back as inputs. What one question is stands in [`http`] and [`tcp`]; both only look and
//! tell, when to ask and what follows is decided by the core alone.
//!
//! Invariant: every question is answered exactly once, unless the role stops before.

pub(crate) mod prober;

mod http;
mod tcp;
