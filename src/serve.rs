//! `meros serve`: a server so small that every machine which has `meros` can run the examples.

use std::net::{IpAddr, SocketAddr};
use std::process::ExitCode;

use tokio::net::TcpListener;
use warp::Filter;

use crate::{EXIT_FAILED, EXIT_NOT_STARTED, fail, signal};

/// What is served, and where.
#[derive(Debug, clap::Args)]
pub(crate) struct Flags {
    /// Address to listen on.
    #[arg(long, default_value = "0.0.0.0")]
    ip: IpAddr,
    /// Port to listen on; Marathon hands it to a task as PORT.
    #[arg(long, env = "PORT", default_value_t = 8000)]
    port: u16,
    /// The answer to every request.
    #[arg(long, default_value = "hello")]
    text: String,
}

/// Serves until a signal.
pub(crate) fn run(flags: Flags) -> ExitCode {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(EXIT_NOT_STARTED, error),
    };
    runtime.block_on(serve(flags))
}

async fn serve(flags: Flags) -> ExitCode {
    let address = SocketAddr::new(flags.ip, flags.port);
    let (listener, shutdown) = match (TcpListener::bind(address).await, signal::shutdown()) {
        (Ok(listener), Ok(shutdown)) => (listener, shutdown),
        (Err(error), _) => return fail(EXIT_FAILED, format_args!("listen on {address}: {error}")),
        (_, Err(error)) => return fail(EXIT_NOT_STARTED, error),
    };
    println!("serving on http://{address}");
    let text = flags.text + "\n";
    let answer = warp::any().map(move || text.clone());
    warp::serve(answer)
        .incoming(listener)
        .graceful(async move { shutdown.cancelled().await })
        .run()
        .await;
    ExitCode::SUCCESS
}
