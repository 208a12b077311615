//! Tasks: what they hold, what is heard of them, and what is told when somebody asks.

mod books;
mod reconcile;
mod updates;

pub(crate) use books::{Kill, LiveTask, Made, Shelf};
