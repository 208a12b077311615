//! The containerizer with real processes: the launcher runs as a process of its own.

mod cgroups;
mod fixture;
mod kill;
mod launch;
mod recover;
