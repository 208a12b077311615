//! Signals to tokens: SIGTERM and Ctrl-C stop in order, a later second one at once. SIGUSR1 tells an
//! agent to leave its cluster for good.

use std::io;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// As a shell reports a process that Ctrl-C ended.
const EXIT_INTERRUPTED: i32 = 130;

/// A terminal's Ctrl-C and the SIGTERM of whoever started us often come together: within this time
/// they are one.
const ONE_SIGNAL: Duration = Duration::from_secs(1);

/// A token that the first SIGTERM or SIGINT cancels.
///
/// # Errors
/// The operating system took no handler.
pub(crate) fn shutdown() -> io::Result<CancellationToken> {
    let token = CancellationToken::new();
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let cancelled = token.clone();
    tokio::spawn(async move {
        let mut first = None;
        loop {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            if first.get_or_insert_with(Instant::now).elapsed() > ONE_SIGNAL {
                eprintln!("stopping at once");
                std::process::exit(EXIT_INTERRUPTED);
            }
            cancelled.cancel();
        }
    });
    Ok(token)
}

/// A token that the first SIGUSR1 cancels.
///
/// # Errors
/// The operating system took no handler.
pub(crate) fn leave() -> io::Result<CancellationToken> {
    let token = CancellationToken::new();
    let mut user1 = signal(SignalKind::user_defined1())?;
    let cancelled = token.clone();
    tokio::spawn(async move {
        user1.recv().await;
        cancelled.cancel();
        // Later ones change nothing. The handler stays: without it they would end the process.
        while user1.recv().await.is_some() {}
    });
    Ok(token)
}
