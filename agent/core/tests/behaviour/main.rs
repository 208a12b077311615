//! What the agent's core does, told by its inputs and effects.

mod bench;

mod ending;
mod model;
mod recovery;
mod registering;
mod running;
mod updating;
