//! A request as handlers see it, and the answer that they give.

use std::fmt::Display;
use std::pin::Pin;

use bytes::{Buf, Bytes};
use futures_util::Stream;
use http::header::{ACCEPT, CONTENT_TYPE, HOST, LOCATION};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use meros_proto::caller::Caller;
use meros_shell::http::{self as shell_http, BodyError, Query, percent_decoded};
use serde::Serialize;

use super::errors::ApiError;

/// The longest body that is read: far beyond any app, far below what would hurt.
const BODY_BYTES_MAX: usize = 16 << 20;

/// One request, its body read.
#[derive(Debug)]
pub(crate) struct Request {
    /// The method; HEAD is told apart only when the answer is sent.
    pub(crate) method: Method,
    /// The path and the query as they came, for events.
    pub(crate) uri: String,
    /// The decoded segments of the path, without empty ones.
    pub(crate) segments: Vec<String>,
    /// The parameters.
    pub(crate) query: Query,
    /// The headers.
    pub(crate) headers: HeaderMap,
    /// Who asks.
    pub(crate) caller: Caller,
    /// The body.
    pub(crate) body: Bytes,
}

impl Request {
    /// Puts a request together.
    pub(crate) fn new(
        method: Method,
        path: &str,
        raw_query: &str,
        headers: HeaderMap,
        caller: Caller,
        body: Bytes,
    ) -> Self {
        // Some clients encode the slashes within an id: they count as slashes.
        let decoded = percent_decoded(path);
        let segments = decoded.split('/').filter(|segment| !segment.is_empty());
        Self {
            method,
            uri: path.to_owned(),
            segments: segments.map(str::to_owned).collect(),
            query: Query::parse(raw_query),
            headers,
            caller,
            body,
        }
    }

    /// The body as JSON.
    ///
    /// # Errors
    /// 400 "Invalid JSON" with the parser's text.
    pub(crate) fn json(&self) -> Result<serde_json::Value, ApiError> {
        serde_json::from_slice(&self.body).map_err(|error| ApiError::NotJson(error.to_string()))
    }

    /// Whether the client names `media_type` among those it takes.
    pub(crate) fn accepts(&self, media_type: &str) -> bool {
        self.accepted().any(|accepted| accepted.eq_ignore_ascii_case(media_type))
    }

    /// The media types that the client takes, without their parameters.
    pub(crate) fn accepted(&self) -> impl Iterator<Item = &str> {
        let values = self.headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok());
        values
            .flat_map(|value| value.split(','))
            .map(|item| item.split(';').next().unwrap_or(item).trim())
    }

    /// The address of the client, as text without a port.
    pub(crate) fn client_ip(&self) -> String {
        self.caller.peer.map(|peer| peer.ip().to_string()).unwrap_or_default()
    }
}

/// Reads a body up to [`BODY_BYTES_MAX`].
///
/// # Errors
/// 413 when it is longer, 400 when it breaks off.
pub(crate) async fn read_body<B: Buf, E: Display>(
    body: impl Stream<Item = Result<B, E>>,
) -> Result<Bytes, ApiError> {
    shell_http::read_body(body, BODY_BYTES_MAX).await.map_err(|error| match error {
        BodyError::TooLarge(max) => ApiError::Message(
            StatusCode::PAYLOAD_TOO_LARGE,
            format!("The request body is longer than {max} bytes."),
        ),
        BodyError::Broken(why) => ApiError::bad_request(why),
    })
}

/// The frames of an event stream, until the server ends it.
pub(crate) type Frames = Pin<Box<dyn Stream<Item = Bytes> + Send + Sync>>;

/// What is sent after the headers.
pub(crate) enum Body {
    /// All of it is there.
    Whole(Bytes),
    /// It goes on; never compressed.
    Frames(Frames),
}

/// An answer, without what every answer gets.
pub(crate) struct Reply {
    /// The status.
    pub(crate) status: StatusCode,
    /// Headers of its own.
    pub(crate) headers: HeaderMap,
    /// The body.
    pub(crate) body: Body,
}

impl Reply {
    /// A JSON body.
    pub(crate) fn json(status: StatusCode, body: &impl Serialize) -> Self {
        let body = serde_json::to_vec(body).expect("views hold no map whose keys aren't strings");
        Self::typed(status, "application/json", body)
    }

    /// 200 with a JSON body.
    pub(crate) fn ok(body: &impl Serialize) -> Self {
        Self::json(StatusCode::OK, body)
    }

    /// A body of another type.
    pub(crate) fn typed(
        status: StatusCode,
        media_type: &'static str,
        body: impl Into<Bytes>,
    ) -> Self {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
        Self { status, headers, body: Body::Whole(body.into()) }
    }

    /// No body.
    pub(crate) fn empty(status: StatusCode) -> Self {
        Self { status, headers: HeaderMap::new(), body: Body::Whole(Bytes::new()) }
    }

    /// 200 with an event stream.
    pub(crate) fn frames(frames: Frames) -> Self {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream;charset=UTF-8"));
        Self { status: StatusCode::OK, headers, body: Body::Frames(frames) }
    }

    /// Adds a header; a value that can't stand in one is left out.
    #[must_use]
    pub(crate) fn with_header(mut self, name: HeaderName, value: &str) -> Self {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.headers.insert(name, value);
        }
        self
    }

    /// Adds the id of the deployment that the request started.
    #[must_use]
    pub(crate) fn with_deployment(self, id: &str) -> Self {
        self.with_header(HeaderName::from_static("marathon-deployment-id"), id)
    }

    /// Adds `Location`: the bare id under the address that the client used, as Marathon has it.
    #[must_use]
    pub(crate) fn with_location(self, request: &Request, id: &str) -> Self {
        match request.headers.get(HOST).and_then(|host| host.to_str().ok()) {
            Some(host) => self.with_header(LOCATION, &format!("http://{host}{id}")),
            None => self.with_header(LOCATION, id),
        }
    }
}

impl From<ApiError> for Reply {
    fn from(error: ApiError) -> Self {
        Self::json(error.status(), &error.body())
    }
}
