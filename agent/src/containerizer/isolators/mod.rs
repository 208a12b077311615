//! What fences a task in: one file an isolator, each only where the host has what it needs.
//!
//! Isolators make nothing themselves. They lay out which cgroups a task gets and what is written
//! there (`Isolators::fence`), and read off afterwards what happened (`Isolators::judge`); the
//! launcher does in between what it is told, since it lives longer than the agent.
//!
//! `hierarchy` finds out which controllers can be used, per controller: a host may have some in v1
//! hierarchies, some in the v2 tree, and some not at all.

mod cpu;
mod fence;
mod hierarchy;
mod memory;
mod sweep;

pub(crate) use fence::Fence;
pub(crate) use fence::Isolators;
pub(crate) use fence::Remains;
pub(crate) use fence::Verdict;
