//! Marathon's decisions: which apps are to run, where, and what to do when they don't.
//!
//! A pure state machine. It reads no clock, opens no socket and no file, and knows nothing of HTTP
//! or JSON bodies: users' changes come in as [`RootChange`](input::RootChange)s that are already
//! normalised and valid, Mesos's events as parsed [`Input`](input::Input)s, and what it wants goes
//! out as [`Record`](records::Record)s to keep and [`Effect`](output::Effect)s to carry out.
//!
//! Drive it as `meros_proto::machine` says: build a [`Marathon`] with [`Marathon::recover`], feed
//! inputs to `handle`, call `round` once a batch. Start reading at [`input`] and [`output`], then
//! at `dispatch`, where every input goes to its room. An app's way through the rooms: [`apps`] →
//! [`groups`] (the root) → `changes` (a change of it) → [`deployment`] (the steps there) →
//! [`instances`] (what is to run) → [`launch_queue`] (what waits) → [`offers`] and [`placement`]
//! (where) → `tasks` (what Mesos is told) → [`health`] (whether it works).
//!
//! Invariants: a launch is on record before it is accepted; no two tasks have one id; nothing is
//! launched beyond an app's goal and its over-capacity; two deployments never change one app.

pub mod path_id;
pub mod version;

pub mod apps;
pub mod config;
pub mod groups;

pub mod events;
pub mod input;
pub mod output;
pub mod records;
pub mod view;

mod dispatch;
mod invariants;
mod recover;
mod state;
mod timers;

mod changes;
mod connection;
pub mod deployment;
pub mod health;
pub mod instances;
pub mod launch_queue;
pub mod offers;
pub mod placement;
mod tasks;

pub use config::Config;
pub use recover::RecoverError;
pub use state::Marathon;
