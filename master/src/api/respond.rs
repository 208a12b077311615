//! The shapes that answers have.

use bytes::Bytes;
use http::header::{ALLOW, CONTENT_ENCODING, CONTENT_TYPE, VARY};
use http::{HeaderName, HeaderValue, Method, StatusCode};
use meros_shell::http::gzip;
use warp::reply::Response;

/// Bodies from this size on are compressed for clients that allow it.
const GZIP_BYTES_MIN: usize = 1024;

const JSON: &str = "application/json";

/// An answer without a body.
pub(crate) fn empty(status: StatusCode) -> Response {
    with(status, None, Bytes::new())
}

/// An answer of plain text, as refusals are.
pub(crate) fn text(status: StatusCode, message: impl Into<String>) -> Response {
    with(status, Some("text/plain; charset=utf-8"), Bytes::from(message.into()))
}

/// 200 with a body of the given type.
pub(crate) fn body(content_type: &'static str, body: Bytes) -> Response {
    with(StatusCode::OK, Some(content_type), body)
}

/// A request that is turned down before anything happened.
#[derive(Debug)]
pub(crate) struct Rejection {
    status: StatusCode,
    message: String,
    allow: Option<&'static str>,
}

impl Rejection {
    /// Turned down with this status; the message is for people.
    pub(crate) fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self { status, message: message.into(), allow: None }
    }

    /// 405: the path is right, the method isn't.
    pub(crate) fn method(allowed: &'static str, received: &Method) -> Self {
        let message = format!("Expecting one of {{ '{allowed}' }}, but received '{received}'");
        Self { status: StatusCode::METHOD_NOT_ALLOWED, message, allow: Some(allowed) }
    }

    /// The answer that says so.
    pub(crate) fn into_response(self) -> Response {
        let response = text(self.status, self.message);
        match self.allow {
            Some(allowed) => with_header(response, ALLOW, HeaderValue::from_static(allowed)),
            None => response,
        }
    }
}

/// The same answer with one more header.
pub(crate) fn with_header(
    mut response: Response,
    name: HeaderName,
    value: HeaderValue,
) -> Response {
    response.headers_mut().insert(name, value);
    response
}

fn with(status: StatusCode, content_type: Option<&'static str>, body: Bytes) -> Response {
    let mut response = Response::new(body.into());
    *response.status_mut() = status;
    if let Some(content_type) = content_type {
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    }
    response
}

/// A body that is ready to be sent, to several clients if need be.
#[derive(Debug, Clone)]
pub(crate) struct Rendered {
    body: Bytes,
    content_type: &'static str,
    gzipped: bool,
}

impl Rendered {
    /// JSON text, compressed if that is allowed and worth it.
    pub(crate) fn json(text: Vec<u8>, allowed: bool) -> Self {
        Self::new(JSON, text, allowed)
    }

    /// Text of any type, compressed if that is allowed and worth it.
    pub(crate) fn new(content_type: &'static str, text: Vec<u8>, allowed: bool) -> Self {
        if allowed && text.len() >= GZIP_BYTES_MIN {
            Self { body: gzip(&text), content_type, gzipped: true }
        } else {
            Self { body: Bytes::from(text), content_type, gzipped: false }
        }
    }

    /// The body, which is text unless it was compressed.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.body
    }

    /// The answer that carries it.
    pub(crate) fn into_response(self) -> Response {
        let response = body(self.content_type, self.body);
        let response = with_header(response, VARY, HeaderValue::from_static("Accept-Encoding"));
        if self.gzipped {
            with_header(response, CONTENT_ENCODING, HeaderValue::from_static("gzip"))
        } else {
            response
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    #[test]
    fn only_large_bodies_are_compressed_and_only_when_allowed() {
        for (bytes, allowed, gzipped) in
            [(1023, true, false), (1024, true, true), (1024, false, false)]
        {
            let text = vec![b' '; bytes];
            let rendered = Rendered::json(text.clone(), allowed);
            assert_eq!(rendered.gzipped, gzipped, "{bytes} bytes, allowed: {allowed}");
            if gzipped {
                let mut back = Vec::new();
                flate2::read::GzDecoder::new(&rendered.body[..])
                    .read_to_end(&mut back)
                    .expect("it is gzip");
                assert_eq!(back, text);
            }
        }
    }
}
