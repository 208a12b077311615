//! The HTTP status that a task's port answers with.
//!
//! As Mesos's agents have it: redirections are followed, and whose certificate it is doesn't matter.

use http::Uri;
use meros_shell::client::get::{Informational, get};
use tokio_rustls::TlsConnector;

/// Who asks, for the logs of tasks.
const AGENT: &str = "meros-agent";
/// So many redirections lead nowhere.
const REDIRECTIONS_MAX: usize = 50;

/// The status of the answer from `url`, and from wherever that leads to.
///
/// # Errors
/// Why there is none, for people. Waits as long as the servers do: callers set an end.
pub(super) async fn status(tls: &TlsConnector, url: &str) -> Result<u16, String> {
    let mut url = url.to_owned();
    for _ in 0..=REDIRECTIONS_MAX {
        let answer = get(tls, AGENT, &url, 0, &Informational::default()).await;
        let answer = answer.map_err(|error| format!("GET {url}: {error}"))?;
        let elsewhere = answer.location.filter(|_| answer.status.is_redirection());
        match elsewhere.map(|location| target(&url, &location)) {
            Some(Some(next)) => url = next,
            Some(None) => {
                return Err(format!("GET {url}: it is moved to no place that can be asked"));
            }
            None => return Ok(answer.status.as_u16()),
        }
    }
    Err(format!("GET {url}: more than {REDIRECTIONS_MAX} redirections"))
}

/// Where `location`, found at `url`, leads to; `None` when that is no address for HTTP.
fn target(url: &str, location: &str) -> Option<String> {
    let location = location.split('#').next().unwrap_or_default();
    let here: Uri = url.parse().ok()?;
    let (scheme, authority) = (here.scheme_str()?, here.authority()?);
    let path = here.path();
    let next = if location.starts_with("//") {
        format!("{scheme}:{location}")
    } else if location.starts_with('/') {
        format!("{scheme}://{authority}{location}")
    } else if location.starts_with('?') {
        format!("{scheme}://{authority}{path}{location}")
    } else if location.contains("://") {
        location.to_owned()
    } else {
        let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
        format!("{scheme}://{authority}{folder}/{location}")
    };
    let parsed: Uri = next.parse().ok()?;
    matches!(parsed.scheme_str(), Some("http" | "https")).then_some(next)
}

#[cfg(test)]
mod tests {
    use super::*;
    use meros_shell::client::trust;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    #[test]
    fn a_location_is_read_from_where_it_was_found() {
        for (location, leads_to) in [
            ("https://x:1/y", Some("https://x:1/y")),
            ("//x/y", Some("http://x/y")),
            ("/y?z=1#part", Some("http://h:8/y?z=1")),
            ("?z=2", Some("http://h:8/a/b?z=2")),
            ("c", Some("http://h:8/a/c")),
            ("ftp://x/y", None),
            ("http://", None),
        ] {
            let found = target("http://h:8/a/b?q", location);
            assert_eq!(found.as_deref(), leads_to, "{location}");
        }
    }

    /// Answers each request with what `answer` makes of its path.
    async fn server(answer: fn(&str) -> String) -> String {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port is free");
        let port = listener.local_addr().expect("it is bound").port();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut request = Vec::new();
                while !request.ends_with(b"\r\n\r\n") {
                    match stream.read_u8().await {
                        Ok(byte) => request.push(byte),
                        Err(_) => break,
                    }
                }
                let request = String::from_utf8_lossy(&request).into_owned();
                let path = request.split(' ').nth(1).unwrap_or_default();
                let _ = stream.write_all(answer(path).as_bytes()).await;
            }
        });
        format!("http://127.0.0.1:{port}")
    }

    fn answer(path: &str) -> String {
        let (status, location) = match path {
            "/moved" => (302, Some("there/again")),
            "/there/again" => (307, Some("/health")),
            "/round" => (301, Some("/round")),
            "/away" => (301, Some("gopher://x/")),
            "/unmoved" => (304, None),
            "/health" => (204, None),
            _ => (404, None),
        };
        let location = location.map(|to| format!("Location: {to}\r\n")).unwrap_or_default();
        format!("HTTP/1.1 {status} X\r\n{location}Content-Length: 0\r\n\r\n")
    }

    #[tokio::test]
    async fn redirections_are_followed_to_the_status_at_their_end() {
        let base = server(answer).await;
        for (path, expected) in [
            ("/health", Some(204)),
            ("", Some(404)),
            ("/moved", Some(204)),
            ("/unmoved", Some(304)),
            ("/round", None),
            ("/away", None),
        ] {
            let seen = status(&trust::any(), &format!("{base}{path}")).await;
            assert_eq!(seen.as_ref().ok().copied(), expected, "{path}: {seen:?}");
        }
    }
}
