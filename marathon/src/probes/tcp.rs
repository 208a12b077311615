//! Whether a task takes connections.

use std::time::Duration;

use meros_marathon_core::health::ProbeOutcome;
use tokio::net::TcpStream;

/// Healthy when `host` takes a connection on `port` in time.
pub(super) async fn check(host: &str, port: u16, within: Duration) -> ProbeOutcome {
    match tokio::time::timeout(within, TcpStream::connect((host, port))).await {
        Ok(Ok(_)) => ProbeOutcome::Healthy,
        Ok(Err(error)) => ProbeOutcome::Unhealthy { cause: format!("connect: {error}") },
        Err(_) => ProbeOutcome::Unhealthy { cause: super::http::late(within) },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::net::TcpListener;

    #[tokio::test]
    async fn a_task_that_takes_connections_is_healthy_and_one_that_refuses_them_is_not() {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port is free");
        let port = listener.local_addr().expect("it is bound").port();
        assert_eq!(check("127.0.0.1", port, Duration::from_secs(5)).await, ProbeOutcome::Healthy);
        drop(listener);
        let refused = check("127.0.0.1", port, Duration::from_secs(5)).await;
        let ProbeOutcome::Unhealthy { cause } = refused else { panic!("{refused:?}") };
        assert!(cause.to_lowercase().contains("refused"), "{cause}");
    }

    #[tokio::test]
    async fn a_host_that_has_no_address_is_unhealthy() {
        let unknown = check("no host", 80, Duration::from_secs(5)).await;
        assert!(matches!(unknown, ProbeOutcome::Unhealthy { .. }), "{unknown:?}");
    }
}
