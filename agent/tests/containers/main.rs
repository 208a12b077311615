//! The containerizer with real processes: the launcher runs as a process of its own.

mod cgroups;
mod fixture;
mod kill;
mod launch;
mod launcher_death;
mod peers;
mod recover;
mod upgrade;
