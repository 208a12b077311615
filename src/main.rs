//! The `meros` command: all roles and the verbs of operators and users in one binary.
//!
//! Only arguments and wiring live here. A role's logic is in its room; a verb talks HTTP to the
//! roles. Exit codes: 0 done or stopped in order, 1 failed, 2 bad usage, 3 a role could not start.

mod dev;
mod file_limit;
mod ops;
mod role;
mod serve;
mod signal;
mod telemetry;

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use meros_proto::versions::MEROS_VERSION;

/// A cluster of machines as one: offers resources to frameworks, keeps apps running.
#[derive(Debug, Parser)]
#[command(name = "meros", version = MEROS_VERSION, propagate_version = true)]
struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Run a whole cluster in one process, and deploy apps on it
    Dev(dev::Flags),
    /// Run a master
    Master(meros_master::Flags),
    /// Run an agent on this host
    Agent(meros_agent::Flags),
    /// Run Marathon, which keeps apps up
    Marathon(meros_marathon::Flags),
    #[command(flatten)]
    Ops(ops::Verb),
    /// Answer HTTP requests with a line of text: what the examples run
    Serve(serve::Flags),
}

fn main() -> ExitCode {
    // The launcher is a process of its own, small and without a runtime: it must not get further.
    let mut arguments = std::env::args_os().skip(1);
    if arguments.next().is_some_and(|verb| verb == "launcher") {
        return meros_agent::launcher::main(arguments);
    }
    match Cli::parse().verb {
        Verb::Dev(flags) => dev::run(flags),
        Verb::Master(flags) => role::run(flags, meros_master::run),
        Verb::Agent(flags) => role::run(flags, role::agent),
        Verb::Marathon(flags) => role::run(flags, meros_marathon::run),
        Verb::Ops(verb) => ops::run(verb),
        Verb::Serve(flags) => serve::run(flags),
    }
}

/// The role stopped in order, or failed while it ran.
const EXIT_FAILED: u8 = 1;
/// The role could not start: a flag, a port, a folder.
const EXIT_NOT_STARTED: u8 = 3;

/// Says in one line why the command ends, and with which code.
fn fail(code: u8, error: impl std::fmt::Display) -> ExitCode {
    eprintln!("error: {error}");
    ExitCode::from(code)
}
