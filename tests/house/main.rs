//! The house rules that a compiler doesn't check: who may depend on whom, and what a core may touch.
//!
//! The rules are `ARCHITECTURE.md`'s, "Rooms" and "Pure cores, thin shells".

mod arrows;
mod sources;
