//! What every answer gets: the standing headers, and gzip for those who take it.

use bytes::Bytes;
use futures_util::StreamExt;
use http::header::{
    CACHE_CONTROL, CONTENT_ENCODING, EXPIRES, PRAGMA, VARY, X_FRAME_OPTIONS, X_XSS_PROTECTION,
};
use http::{HeaderMap, HeaderName, HeaderValue};
use meros_shell::http::{accepts_gzip, gzip};
use warp::reply::{Reply as _, Response};

use super::http::{Body, Reply};

/// Bodies from this size on are compressed.
const GZIP_BYTES_MIN: usize = 860;
/// Bodies from this size on are compressed on a thread that may take its time.
const GZIP_INLINE_BYTES_MAX: usize = 64 << 10;

/// The headers that every answer gets, made once.
#[derive(Debug, Clone)]
pub(crate) struct Envelope {
    headers: HeaderMap,
}

impl Envelope {
    /// The headers of a Marathon that is reached at `leader`, as `host:port`.
    pub(crate) fn new(leader: &str) -> Self {
        let mut headers = HeaderMap::new();
        let fixed = [
            (X_FRAME_OPTIONS, "DENY"),
            (X_XSS_PROTECTION, "1; mode=block"),
            (CACHE_CONTROL, "no-cache, no-store, must-revalidate"),
            (PRAGMA, "no-cache"),
            (EXPIRES, "0"),
        ];
        for (name, value) in fixed {
            headers.insert(name, HeaderValue::from_static(value));
        }
        if let Ok(url) = HeaderValue::from_str(&format!("http://{leader}")) {
            headers.insert(HeaderName::from_static("x-marathon-leader"), url);
        }
        Self { headers }
    }

    /// Turns `reply` into the answer to a request with `request_headers`.
    pub(crate) async fn seal(&self, request_headers: &HeaderMap, reply: Reply) -> Response {
        let Reply { status, mut headers, body } = reply;
        let mut response = match body {
            Body::Frames(frames) => {
                warp::reply::stream(frames.map(Ok::<_, std::convert::Infallible>)).into_response()
            }
            Body::Whole(body) => {
                let body = if body.len() >= GZIP_BYTES_MIN && accepts_gzip(request_headers) {
                    headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
                    headers.insert(VARY, HeaderValue::from_static("Accept-Encoding"));
                    compressed(body).await
                } else {
                    body
                };
                Response::new(body.into())
            }
        };
        *response.status_mut() = status;
        response.headers_mut().extend(self.headers.clone());
        response.headers_mut().extend(headers);
        response
    }
}

async fn compressed(body: Bytes) -> Bytes {
    if body.len() <= GZIP_INLINE_BYTES_MAX {
        return gzip(&body);
    }
    let compressed = tokio::task::spawn_blocking(move || gzip(&body)).await;
    compressed.expect("compression into memory doesn't panic")
}
