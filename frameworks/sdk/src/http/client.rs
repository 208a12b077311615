//! The client itself.

use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, Uri};
use http_body_util::Full;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};

use super::error::cause;
use super::{HttpError, Response, Streaming};

/// Bounds that every request is under.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// For a connection to come about. Default 5 s.
    pub connect: Duration,
    /// For a whole answer, or for the head of a streamed one. Default 30 s.
    pub answer: Duration,
    /// For the body of a whole answer, in bytes. Default 256 MiB.
    pub body: usize,
    /// How long an idle connection is kept. Default 30 s.
    pub idle: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(5),
            answer: Duration::from_secs(30),
            body: 256 << 20,
            idle: Duration::from_secs(30),
        }
    }
}

/// Makes requests. Clones share their connections.
#[derive(Debug, Clone)]
pub struct HttpClient {
    client: Client<HttpConnector, Full<Bytes>>,
    limits: Limits,
}

impl Default for HttpClient {
    fn default() -> Self {
        Self::new()
    }
}

impl HttpClient {
    /// A client under the default [`Limits`].
    pub fn new() -> Self {
        Self::with_limits(Limits::default())
    }

    /// A client under other limits.
    pub fn with_limits(limits: Limits) -> Self {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        connector.set_connect_timeout(Some(limits.connect));
        // A peer that vanished without a word is noticed also while a stream is silent.
        connector.set_keepalive(Some(Duration::from_secs(30)));
        connector.set_keepalive_interval(Some(Duration::from_secs(10)));
        let client = Client::builder(TokioExecutor::new())
            .timer(TokioTimer::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(limits.idle)
            .build(connector);
        Self { client, limits }
    }

    /// GET, for a whole answer.
    ///
    /// # Errors
    /// See [`HttpError`]; any status is an answer, not an error.
    pub async fn get(&self, url: &str) -> Result<Response, HttpError> {
        self.request(Method::GET, url, &[], Bytes::new()).await
    }

    /// Any request, for a whole answer.
    ///
    /// # Errors
    /// See [`HttpError`]; any status is an answer, not an error.
    pub async fn request(
        &self,
        method: Method,
        url: &str,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> Result<Response, HttpError> {
        let (request, authority) = build(method, url, headers, body.into())?;
        let within = self.limits.answer;
        let whole = async { self.send(request, &authority).await?.whole(self.limits.body).await };
        tokio::time::timeout(within, whole)
            .await
            .unwrap_or(Err(HttpError::TimedOut { authority: authority.clone(), within }))
    }

    /// Any request, for an answer whose body is read piece by piece, for as long as it takes.
    ///
    /// # Errors
    /// See [`HttpError`]; any status is an answer, not an error.
    pub async fn stream(
        &self,
        method: Method,
        url: &str,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> Result<Streaming, HttpError> {
        let (request, authority) = build(method, url, headers, body.into())?;
        let within = self.limits.answer;
        tokio::time::timeout(within, self.send(request, &authority))
            .await
            .unwrap_or(Err(HttpError::TimedOut { authority: authority.clone(), within }))
    }

    async fn send(
        &self,
        request: Request<Full<Bytes>>,
        authority: &str,
    ) -> Result<Streaming, HttpError> {
        let answer = self.client.request(request).await.map_err(|error| {
            let (authority, why) = (authority.to_owned(), cause(&error));
            if error.is_connect() {
                HttpError::Connect { authority, why }
            } else {
                HttpError::Broken { authority, why }
            }
        })?;
        let (head, body) = answer.into_parts();
        Ok(Streaming {
            status: head.status,
            headers: head.headers,
            body,
            authority: authority.to_owned(),
        })
    }
}

fn build(
    method: Method,
    url: &str,
    headers: &[(&str, &str)],
    body: Bytes,
) -> Result<(Request<Full<Bytes>>, String), HttpError> {
    let refused = |why: String| HttpError::Request { url: url.to_owned(), why };
    let uri: Uri =
        url.parse().map_err(|error: http::uri::InvalidUri| refused(error.to_string()))?;
    match uri.scheme_str() {
        Some("http") => {}
        Some("https") => return Err(refused("TLS is not supported yet".to_owned())),
        _ => return Err(refused("it must begin with http://".to_owned())),
    }
    let authority = uri.authority().map(ToString::to_string).unwrap_or_default();
    let mut request = Request::builder().method(method).uri(uri);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(Full::new(body)).map_err(|error| refused(error.to_string()))?;
    Ok((request, authority))
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    /// Serves one connection: reads a little, says `answer`, then hangs if told so.
    async fn serve(answer: &'static str, hang: bool) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("it is bound");
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.expect("a client comes");
            let mut request = [0; 1_024];
            let _ = stream.read(&mut request).await;
            stream.write_all(answer.as_bytes()).await.expect("it is written");
            if hang {
                std::future::pending::<()>().await;
            }
        });
        format!("http://{address}/x")
    }

    #[tokio::test]
    async fn an_answer_comes_whole_with_its_status_and_headers() {
        let url =
            serve("HTTP/1.1 404 Not Found\r\nX-A: b\r\nContent-Length: 2\r\n\r\nno", true).await;
        let response = HttpClient::new().get(&url).await.expect("an answer");
        assert_eq!(response.status, StatusCode::NOT_FOUND);
        assert_eq!(response.header("x-a"), Some("b"));
        assert_eq!(response.text(), "no");
    }

    use super::super::StatusCode;

    #[tokio::test]
    async fn a_chunked_body_is_read_piece_by_piece() {
        let url = serve(
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n",
            true,
        )
        .await;
        let client = HttpClient::new();
        let mut stream = client.stream(Method::POST, &url, &[], "q").await.expect("a stream");
        let mut got = Vec::new();
        while got.len() < 5 {
            got.extend(stream.chunk().await.expect("no break").expect("no end"));
        }
        assert_eq!(got, b"abcde");
    }

    #[tokio::test]
    async fn each_failure_is_one_line_that_says_what_and_why() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let gone = listener.local_addr().expect("it is bound");
        drop(listener);
        let limits = Limits { answer: Duration::from_millis(50), body: 3, ..Limits::default() };
        let client = HttpClient::with_limits(limits);
        let broken = serve("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nab", false).await;
        let silent = serve("", true).await;
        let large = serve("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nabcd", true).await;
        for (url, start, end) in [
            (format!("http://{gone}/"), "connect to 127.0.0.1:", ": connection refused"),
            (broken, "connection to 127.0.0.1:", ""),
            (silent, "no answer from 127.0.0.1:", " within 50ms"),
            (large, "the answer of 127.0.0.1:", " is larger than 3 bytes"),
            ("https://a/".into(), "\"https://a/\"", "TLS is not supported yet"),
            ("a:1/b".into(), "\"a:1/b\"", ""),
        ] {
            let error = client.get(&url).await.expect_err("a failure").to_string();
            assert!(error.starts_with(start) && error.ends_with(end), "{error}");
            assert!(!error.contains('\n'), "{error}");
        }
    }
}
