//! Hollow agents, and a master that does what the test says.

mod herd;
mod master;

mod life;
