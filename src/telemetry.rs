//! Where the log goes: standard error, one line an event, filtered by `MEROS_LOG`.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

/// What a role logs when `MEROS_LOG` is unset.
pub(crate) const ROLE: &str = "info";
/// What `meros dev` logs: its own words say how it goes.
pub(crate) const DEV: &str = "warn";

/// Starts logging at `default`, or as `MEROS_LOG` says (`debug`, `meros_master=trace,info` ...).
pub(crate) fn start(default: &str) {
    let filter = EnvFilter::try_from_env("MEROS_LOG").unwrap_or_else(|_| EnvFilter::new(default));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(false)
        .init();
}
