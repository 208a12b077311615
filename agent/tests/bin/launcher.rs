//! The launcher process alone, for tests: what `meros launcher` is in the real binary.

use std::process::ExitCode;

fn main() -> ExitCode {
    meros_agent::launcher::main(std::env::args_os().skip(1))
}
