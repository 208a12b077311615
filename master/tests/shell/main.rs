//! The master as its clients meet it: on a real port, with raw HTTP and a fake agent.

mod agent;
mod http;
mod master;

mod agents;
mod calls;
mod lifecycle;
mod recovery;
mod streams;
mod views;
