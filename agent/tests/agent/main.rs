//! A whole agent with real tasks, and a master that does what the test says.

mod host;
mod master;

mod endpoints;
mod failures;
mod tasks;
