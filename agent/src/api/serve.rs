//! The one route that warp sees.

use std::sync::Arc;

use bytes::Buf;
use futures_util::Stream;
use http::{HeaderMap, Method, StatusCode};
use meros_proto::caller::Caller;
use meros_shell::http::{BodyError, Query, accepts_gzip, read_body};
use meros_shell::server::{self, Connection};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use warp::Filter;
use warp::path::FullPath;
use warp::reply::Response;

use super::answer::Answer;
use super::{Api, Request};

/// What answers requests: one agent, or the herd that it belongs to.
pub(crate) trait Answers: Send + Sync + 'static {
    /// The answer to a request; never an error, since a caller must get something.
    fn answer(&self, request: &Request) -> impl Future<Output = Answer> + Send;
}

impl Answers for Api {
    fn answer(&self, request: &Request) -> impl Future<Output = Answer> + Send {
        Api::answer(self, request)
    }
}

/// Nothing that an agent is asked is anywhere near as long.
const BODY_BYTES_MAX: usize = 4 << 20;

/// Serves what `api` answers until `done` is cancelled.
pub(crate) async fn serve(api: impl Answers, listener: TcpListener, done: CancellationToken) {
    let api = Arc::new(api);
    let raw_query = warp::query::raw().or(warp::any().map(String::new)).unify();
    let route = warp::method()
        .and(warp::path::full())
        .and(raw_query)
        .and(warp::header::headers_cloned())
        .and(warp::ext::get::<Connection>())
        .and(warp::body::stream())
        .then(move |method, path, query, headers, connection, body| {
            let api = Arc::clone(&api);
            async move { respond(&*api, method, path, query, headers, connection, body).await }
        });
    server::serve(listener, warp::service(route), done).await;
}

async fn respond(
    api: &impl Answers,
    method: Method,
    path: FullPath,
    query: String,
    headers: HeaderMap,
    connection: Connection,
    body: impl Stream<Item = Result<impl Buf, warp::Error>>,
) -> Response {
    let takes_gzip = accepts_gzip(&headers);
    let body = match read_body(body, BODY_BYTES_MAX).await {
        Ok(body) => body,
        Err(error) => return refusal(&error).into_response(takes_gzip),
    };
    let (path, query) = (path.as_str().to_owned(), Query::parse(&query));
    let caller = Caller::anonymous(Some(connection.peer));
    let request = Request { method, path, query, headers, body, caller };
    api.answer(&request).await.into_response(takes_gzip)
}

fn refusal(error: &BodyError) -> Answer {
    match error {
        BodyError::TooLarge(_) => Answer::empty(StatusCode::PAYLOAD_TOO_LARGE),
        BodyError::Broken(_) => Answer::text(StatusCode::BAD_REQUEST, "The body is cut short"),
    }
}
