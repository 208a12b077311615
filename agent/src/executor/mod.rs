//! Who runs a task on this agent. So far only the command executor, which is no process at all.

pub(crate) mod command;
