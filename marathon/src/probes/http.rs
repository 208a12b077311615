//! Whether a task answers HTTP as it should, and whether it says that it is ready.

use std::time::Duration;

use http::StatusCode;
use meros_marathon_core::health::{ProbeOutcome, ReadinessOutcome};
use meros_shell::client::get::{Informational, get};
use tokio_rustls::TlsConnector;

/// How much of the body of an answer to a readiness check is kept.
const BODY_BYTES_MAX: usize = 16 << 10;

/// What the tasks' own logs show.
const WHO: &str = "meros-marathon";

/// Healthy when the answer from `url` is 200 to 399 and comes in time.
///
/// With `ignore_1xx` an informational status says nothing, where no other follows it.
pub(super) async fn check(
    tls: &TlsConnector,
    url: &str,
    ignore_1xx: bool,
    within: Duration,
) -> ProbeOutcome {
    let informational = Informational::default();
    let answer = tokio::time::timeout(within, get(tls, WHO, url, 0, &informational)).await;
    let cause = match answer {
        Ok(Ok(answer)) if is_good(answer.status) => return ProbeOutcome::Healthy,
        Ok(Ok(answer)) if ignore_1xx && answer.status.is_informational() => {
            return ProbeOutcome::Ignored;
        }
        Ok(Ok(answer)) => answer.status.to_string(),
        _ if ignore_1xx && informational.get().is_some() => return ProbeOutcome::Ignored,
        Ok(Err(error)) => error.to_string(),
        Err(_) => late(within),
    };
    ProbeOutcome::Unhealthy { cause }
}

/// What `url` answers, if it does in time. The body is read only if it is to be kept.
pub(super) async fn ready(
    tls: &TlsConnector,
    url: &str,
    keep_body: bool,
    within: Duration,
) -> ReadinessOutcome {
    let body_bytes_max = if keep_body { BODY_BYTES_MAX } else { 0 };
    let informational = Informational::default();
    let answer =
        tokio::time::timeout(within, get(tls, WHO, url, body_bytes_max, &informational)).await;
    match answer {
        Ok(Ok(answer)) => ReadinessOutcome::Answered {
            status: answer.status.as_u16(),
            content_type: answer.content_type.unwrap_or_default(),
            body: String::from_utf8_lossy(&answer.body).into_owned(),
        },
        Ok(Err(error)) => ReadinessOutcome::Failed { cause: error.to_string() },
        Err(_) => ReadinessOutcome::Failed { cause: late(within) },
    }
}

/// What is said of a task that didn't answer in time.
pub(super) fn late(within: Duration) -> String {
    format!("no answer within {within:?}")
}

fn is_good(status: StatusCode) -> bool {
    status.is_success() || status.is_redirection()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use rustls::pki_types::CertificateDer;
    use rustls::server::{ClientHello, ResolvesServerCert};
    use rustls::sign::{CertifiedKey, Signer, SigningKey};
    use rustls::{Error, ServerConfig, SignatureAlgorithm, SignatureScheme};
    use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
    use tokio::net::TcpListener;
    use tokio_rustls::TlsAcceptor;

    use super::*;
    use meros_shell::client::trust;

    const LONG: Duration = Duration::from_secs(20);
    const SHORT: Duration = Duration::from_millis(300);

    /// Reads a request, writes `bytes`, and then closes or stays silent.
    async fn serve(mut stream: impl AsyncRead + AsyncWrite + Unpin, bytes: &[u8], closes: bool) {
        let mut request = Vec::new();
        while !request.ends_with(b"\r\n\r\n") {
            match stream.read_u8().await {
                Ok(byte) => request.push(byte),
                Err(_) => return,
            }
        }
        assert!(request.starts_with(b"GET /health?deep=1 HTTP/1.1\r\n"));
        let _ = stream.write_all(bytes).await;
        if closes {
            let _ = stream.shutdown().await;
        } else {
            std::future::pending::<()>().await;
        }
    }

    /// A server for one request; returns its URL.
    async fn server(bytes: &'static [u8], closes: bool) -> String {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port is free");
        let port = listener.local_addr().expect("it is bound").port();
        tokio::spawn(async move {
            let (stream, _) = listener.accept().await.expect("the check comes");
            serve(stream, bytes, closes).await;
        });
        format!("http://127.0.0.1:{port}/health?deep=1")
    }

    /// The worst identity there is: the certificate is none, and neither is what it signs with.
    #[derive(Debug)]
    struct Forged;

    impl ResolvesServerCert for Forged {
        fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
            let certificate = CertificateDer::from(b"no certificate".to_vec());
            Some(Arc::new(CertifiedKey::new(vec![certificate], Arc::new(Self))))
        }
    }

    impl SigningKey for Forged {
        fn choose_scheme(&self, _: &[SignatureScheme]) -> Option<Box<dyn Signer>> {
            Some(Box::new(Self))
        }

        fn algorithm(&self) -> SignatureAlgorithm {
            SignatureAlgorithm::ECDSA
        }
    }

    impl Signer for Forged {
        fn sign(&self, _: &[u8]) -> Result<Vec<u8>, Error> {
            Ok(vec![0; 64])
        }

        fn scheme(&self) -> SignatureScheme {
            SignatureScheme::ECDSA_NISTP256_SHA256
        }
    }

    /// The same by TLS, forged.
    async fn secure_server(bytes: &'static [u8]) -> String {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("both versions")
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(Forged));
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port is free");
        let port = listener.local_addr().expect("it is bound").port();
        tokio::spawn(async move {
            let (stream, _) = listener.accept().await.expect("the check comes");
            let acceptor = TlsAcceptor::from(Arc::new(config));
            serve(acceptor.accept(stream).await.expect("a handshake"), bytes, true).await;
        });
        format!("https://127.0.0.1:{port}/health?deep=1")
    }

    fn unhealthy(cause: &str) -> ProbeOutcome {
        ProbeOutcome::Unhealthy { cause: cause.to_owned() }
    }

    #[tokio::test]
    async fn a_status_of_200_to_399_is_healthy_and_a_redirect_is_not_followed() {
        let moved = b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\n\r\n";
        for (bytes, outcome) in [
            (&b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"[..], ProbeOutcome::Healthy),
            (b"HTTP/1.0 204 No Content\r\n\r\n", ProbeOutcome::Healthy),
            (moved, ProbeOutcome::Healthy),
            (b"HTTP/1.1 399 Odd\r\n\r\n", ProbeOutcome::Healthy),
            (b"HTTP/1.1 404 Not Found\r\n\r\n", unhealthy("404 Not Found")),
            (b"HTTP/1.1 503 Busy\r\n\r\n", unhealthy("503 Service Unavailable")),
            (b"HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\n\r\n", ProbeOutcome::Healthy),
        ] {
            let url = server(bytes, true).await;
            assert_eq!(check(&trust::any(), &url, false, LONG).await, outcome, "{bytes:?}");
        }
    }

    #[tokio::test]
    async fn a_body_that_never_ends_holds_nothing_up() {
        let url = server(b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\nbegin", false).await;
        assert_eq!(check(&trust::any(), &url, false, LONG).await, ProbeOutcome::Healthy);
    }

    #[tokio::test]
    async fn an_informational_status_says_nothing_only_where_the_check_says_so() {
        let switching = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n";
        for (bytes, closes, ignore_1xx, ignored) in [
            (&b"HTTP/1.1 102 Processing\r\n\r\n"[..], true, true, true),
            (b"HTTP/1.1 102 Processing\r\n\r\n", false, true, true),
            (switching, true, true, true),
            (b"HTTP/1.1 102 Processing\r\n\r\n", true, false, false),
            (b"HTTP/1.1 102 Processing\r\n\r\n", false, false, false),
            (switching, true, false, false),
        ] {
            let url = server(bytes, closes).await;
            let outcome = check(&trust::any(), &url, ignore_1xx, SHORT).await;
            assert_eq!(outcome == ProbeOutcome::Ignored, ignored, "{outcome:?}");
            assert_eq!(matches!(outcome, ProbeOutcome::Unhealthy { .. }), !ignored, "{outcome:?}");
        }
    }

    #[tokio::test]
    async fn silence_garbage_and_an_address_that_is_none_are_unhealthy() {
        let silent = server(b"", false).await;
        let tls = trust::any();
        assert_eq!(check(&tls, &silent, false, SHORT).await, unhealthy("no answer within 300ms"));
        for url in [
            server(b"220 mail.example.org ESMTP\r\n", true).await,
            server(b"", true).await,
            "http://".to_owned(),
            "http://[::1".to_owned(),
            "nothing".to_owned(),
        ] {
            let outcome = check(&tls, &url, false, LONG).await;
            assert!(matches!(outcome, ProbeOutcome::Unhealthy { .. }), "{url}: {outcome:?}");
        }
    }

    #[tokio::test]
    async fn any_certificate_will_do_but_what_speaks_no_tls_will_not() {
        let tls = trust::any();
        let url = secure_server(b"HTTP/1.1 200 OK\r\n\r\n").await;
        assert_eq!(check(&tls, &url, false, LONG).await, ProbeOutcome::Healthy);
        let plain = server(b"HTTP/1.1 200 OK\r\n\r\n", true).await.replace("http:", "https:");
        let ProbeOutcome::Unhealthy { cause } = check(&tls, &plain, false, SHORT).await else {
            panic!("it spoke TLS");
        };
        assert!(cause.starts_with("TLS: ") || cause.starts_with("no answer"), "{cause}");
    }

    #[tokio::test]
    async fn the_answer_to_a_readiness_check_is_kept_up_to_a_limit_and_only_if_wanted() {
        let bytes =
            b"HTTP/1.1 503 Busy\r\nContent-Type: text/plain\r\nContent-Length: 4\r\n\r\nsoon";
        for (keep_body, body) in [(true, "soon"), (false, "")] {
            let url = server(bytes, false).await;
            let outcome = ready(&trust::any(), &url, keep_body, LONG).await;
            let expected = ReadinessOutcome::Answered {
                status: 503,
                content_type: "text/plain".to_owned(),
                body: body.to_owned(),
            };
            assert_eq!(outcome, expected);
        }
        let long: Vec<u8> = [b"HTTP/1.1 200 OK\r\n\r\n".to_vec(), vec![b'x'; 1 << 20]].concat();
        let url = server(Vec::leak(long), true).await;
        let outcome = ready(&trust::any(), &url, true, LONG).await;
        let ReadinessOutcome::Answered { body, .. } = outcome else { panic!("{outcome:?}") };
        assert_eq!(body.len(), BODY_BYTES_MAX);
    }

    #[tokio::test]
    async fn a_task_that_cannot_be_asked_is_not_ready() {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port is free");
        let port = listener.local_addr().expect("it is bound").port();
        drop(listener);
        let url = format!("http://127.0.0.1:{port}/");
        let outcome = ready(&trust::any(), &url, true, LONG).await;
        assert!(matches!(outcome, ReadinessOutcome::Failed { .. }), "{outcome:?}");
    }
}
