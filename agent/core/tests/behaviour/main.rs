//! What the agent's core does, told by its inputs and effects.

mod bench;

mod adopting;
mod checking;
mod disk;
mod ending;
mod launcher;
mod model;
mod recovery;
mod registering;
mod running;
mod updating;
