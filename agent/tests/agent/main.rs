//! A whole agent with real tasks, and a master that does what the test says.

mod host;
mod master;
mod small_disk;

mod checks;
mod endpoints;
mod failures;
mod full_disk;
mod recovery;
mod tasks;
