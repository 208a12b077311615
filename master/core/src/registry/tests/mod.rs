//! The registry by itself.

mod any;
mod formats;
mod histories;
mod rules;
