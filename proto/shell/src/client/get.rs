//! One GET on a connection of its own: no redirects, no proxy, nothing kept.
//!
//! A connection that is kept from the last question could answer although the task no longer takes
//! new ones.

use std::pin::pin;
use std::sync::{Arc, OnceLock};

use bytes::{Bytes, BytesMut};
use http::header::{ACCEPT, CONNECTION, CONTENT_TYPE, HOST, LOCATION, USER_AGENT};
use http::uri::Scheme;
use http::{HeaderValue, Request, StatusCode, Uri};
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// What a server answered.
#[derive(Debug, PartialEq, Eq)]
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// The media type of the body, as it was sent.
    pub content_type: Option<String>,
    /// Where else to ask, as it was sent.
    pub location: Option<String>,
    /// As much of the body as was wanted.
    pub body: Bytes,
}

/// The first informational status (1xx) that came before the answer, if any.
pub type Informational = Arc<OnceLock<StatusCode>>;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum GetError {
    /// What is to be asked is no address of a server.
    #[error("{0} can't be asked")]
    Url(String),
    /// There is no connection.
    #[error("connect: {0}")]
    Connect(std::io::Error),
    /// What answers doesn't speak TLS, or a TLS of its own.
    #[error("TLS: {0}")]
    Tls(std::io::Error),
    /// What answers doesn't speak HTTP, or breaks off.
    #[error("HTTP: {0}")]
    Http(hyper::Error),
}

/// Asks for `url`, and reads up to `body_bytes_max` of the body: what is beyond is left out.
///
/// `who` asks, for the log of the task.
///
/// # Errors
/// See [`GetError`]. Waits as long as the server does: callers set an end.
pub async fn get(
    tls: &TlsConnector,
    who: &'static str,
    url: &str,
    body_bytes_max: usize,
    informational: &Informational,
) -> Result<Answer, GetError> {
    let uri: Uri = url.parse().map_err(|_| GetError::Url(url.to_owned()))?;
    let secure = uri.scheme() == Some(&Scheme::HTTPS);
    let host = uri.host().ok_or_else(|| GetError::Url(url.to_owned()))?;
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let port = uri.port_u16().unwrap_or(if secure { 443 } else { 80 });
    let stream = TcpStream::connect((host, port)).await.map_err(GetError::Connect)?;
    let request = request(&uri, who, informational).ok_or_else(|| GetError::Url(url.to_owned()))?;
    if !secure {
        return exchange(stream, request, body_bytes_max).await;
    }
    let name = ServerName::try_from(host.to_owned()).map_err(|_| GetError::Url(url.to_owned()))?;
    let stream = tls.connect(name, stream).await.map_err(GetError::Tls)?;
    exchange(stream, request, body_bytes_max).await
}

fn request(
    uri: &Uri,
    who: &'static str,
    informational: &Informational,
) -> Option<Request<Empty<Bytes>>> {
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    let mut request = Request::get(path)
        .header(HOST, uri.authority()?.as_str())
        .header(USER_AGENT, HeaderValue::from_static(who))
        .header(ACCEPT, HeaderValue::from_static("*/*"))
        .header(CONNECTION, HeaderValue::from_static("close"))
        .body(Empty::new())
        .ok()?;
    let first = Arc::clone(informational);
    hyper::ext::on_informational(&mut request, move |response| {
        let _ = first.set(response.status());
    });
    Some(request)
}

/// Sends `request` and takes the answer in, on a connection that ends with it.
async fn exchange(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    request: Request<Empty<Bytes>>,
    body_bytes_max: usize,
) -> Result<Answer, GetError> {
    let (mut sender, connection) =
        http1::handshake(TokioIo::new(stream)).await.map_err(GetError::Http)?;
    let mut answer = pin!(async {
        let answered = sender.send_request(request).await.map_err(GetError::Http)?;
        let (head, body) = answered.into_parts();
        let header = |name| head.headers.get(name)?.to_str().ok().map(str::to_owned);
        Ok(Answer {
            status: head.status,
            content_type: header(CONTENT_TYPE),
            location: header(LOCATION),
            body: start_of(body, body_bytes_max).await?,
        })
    });
    tokio::select! {
        biased;
        answer = &mut answer => return answer,
        // What it had received is still to be taken in; an error is the answer's too.
        _ = connection => {}
    }
    answer.await
}

async fn start_of(mut body: Incoming, bytes_max: usize) -> Result<Bytes, GetError> {
    let mut start = BytesMut::new();
    while start.len() < bytes_max {
        let Some(frame) = body.frame().await else { break };
        if let Ok(data) = frame.map_err(GetError::Http)?.into_data() {
            let room = bytes_max - start.len();
            start.extend_from_slice(&data[..data.len().min(room)]);
        }
    }
    Ok(start.freeze())
}
