//! Example frameworks, one file each, all of them programs under `src/bin`.
//!
//! `run_command` is the first to read: a whole framework on one page.
