//! End to end: the real binary, real processes and sockets. Each test is one promise to the user.
//!
//! Start at [`cluster`]. A test starts what it needs on free ports and in a folder of its own, waits
//! for conditions with a deadline, and stops the cluster at its end, which also checks that nothing
//! is left behind and that nothing unexpected was logged. When a test fails, it shows what its
//! processes wrote, and they are gone all the same.

mod cluster;
mod home;
mod http;
mod leftovers;
mod marathon;
mod process;
mod scheduler;
mod sse;
mod wait;

mod hello;
mod worker;

mod agent_checks;
mod agent_crash;
mod apps;
mod constraints;
mod events;
mod health;
mod kill;
mod placement;
mod queue;
mod readiness;
mod replace;
mod restart;
mod unreachable;
mod upgrades;
mod versions;

mod cli;
mod logs;
mod roles;
mod starting;
mod tools;

mod framework;
mod reconcile;

mod bad_apps;
mod bad_calls;
mod garbage;
