//! An answer before it becomes bytes on a connection.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_util::Stream;
use http::header::CONTENT_ENCODING;
use http::{HeaderName, HeaderValue, StatusCode};
use meros_shell::http::{gzip, jsonp};
use tokio::fs::File;
use tokio::io::{AsyncRead, AsyncReadExt, ReadBuf, Take};
use warp::reply::{Reply, Response};

use crate::sandbox::browse::Download;

/// Smaller bodies aren't worth compressing (Mesos: 1024 bytes).
const GZIP_MIN: usize = 1024;
/// What a download reads at a time.
const CHUNK: usize = 64 << 10;

/// What a request is answered with.
#[derive(Debug)]
pub(crate) struct Answer {
    status: StatusCode,
    headers: Vec<(&'static str, String)>,
    body: Body,
}

#[derive(Debug)]
enum Body {
    Whole(Vec<u8>),
    File(Download),
}

impl Answer {
    /// Words for people.
    pub(crate) fn text(status: StatusCode, text: impl Into<String>) -> Self {
        Self::of(status, "text/plain; charset=utf-8", text.into().into_bytes())
    }

    /// JSON; called `callback(...)` when the query asks for it, as browsers once needed it.
    pub(crate) fn json(value: &serde_json::Value, callback: Option<&str>) -> Self {
        let json = value.to_string().into_bytes();
        match callback.filter(|name| !name.is_empty()).map(|name| jsonp(name, &json)) {
            None => Self::of(StatusCode::OK, "application/json", json),
            Some(Some(script)) => Self::of(StatusCode::OK, "text/javascript", script),
            Some(None) => {
                Self::text(StatusCode::BAD_REQUEST, "'jsonp' must be the name of a function")
            }
        }
    }

    /// Bytes of a media type.
    pub(crate) fn of(status: StatusCode, media: &'static str, body: Vec<u8>) -> Self {
        let headers = vec![("content-type", media.to_owned())];
        Self { status, headers, body: Body::Whole(body) }
    }

    /// Nothing but a status.
    pub(crate) fn empty(status: StatusCode) -> Self {
        Self { status, headers: Vec::new(), body: Body::Whole(Vec::new()) }
    }

    /// A file, to be saved under its name.
    pub(crate) fn file(download: Download) -> Self {
        // What would end the quoted name, or the header, is left out of it.
        let name: String =
            download.name.chars().filter(|c| !c.is_control() && !matches!(c, '"' | '\\')).collect();
        let headers = vec![
            ("content-type", "application/octet-stream".to_owned()),
            ("content-disposition", format!("attachment; filename=\"{name}\"")),
            ("content-length", download.size.to_string()),
        ];
        Self { status: StatusCode::OK, headers, body: Body::File(download) }
    }

    /// The same with one more header.
    pub(crate) fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// As it goes over the connection; compressed where the caller takes that and it pays.
    pub(crate) fn into_response(self, takes_gzip: bool) -> Response {
        let mut compressed = false;
        let mut response = match self.body {
            Body::Whole(body) => {
                compressed = takes_gzip && body.len() >= GZIP_MIN;
                let body = if compressed { gzip(&body) } else { body.into() };
                Response::new(body.into())
            }
            Body::File(download) => stream(download),
        };
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        for (name, value) in self.headers {
            // A file's name may hold what a header can't.
            if let Ok(value) = HeaderValue::from_bytes(value.as_bytes()) {
                headers.insert(HeaderName::from_static(name), value);
            }
        }
        if compressed {
            headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        }
        response
    }
}

/// The file's bytes, as many as it had when it was opened: a log may grow meanwhile.
fn stream(download: Download) -> Response {
    let file = tokio::fs::File::from_std(download.file).take(download.size);
    warp::reply::stream(Chunks { file, buffer: vec![0; CHUNK] }).into_response()
}

struct Chunks {
    file: Take<File>,
    buffer: Vec<u8>,
}

impl Stream for Chunks {
    type Item = io::Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let Self { file, buffer } = &mut *self;
        let mut chunk = ReadBuf::new(buffer);
        Pin::new(file).poll_read(cx, &mut chunk).map(|read| match read {
            Ok(()) if chunk.filled().is_empty() => None,
            Ok(()) => Some(Ok(Bytes::copy_from_slice(chunk.filled()))),
            Err(error) => Some(Err(error)),
        })
    }
}
