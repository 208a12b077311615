//! Tests of what several files of the API do together.

mod bodies;
mod events;
mod health;
mod views;
