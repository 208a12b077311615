//! Which handler answers which path.
//!
//! Ids hold slashes, so paths are matched by hand: empty segments are dropped, then the word at the
//! end (`tasks`, `versions`, `restart`, `*`) tells an app's own path from what is below it. No app
//! can be named by such a word.

use std::pin::Pin;
use std::sync::Arc;

use http::{HeaderMap, Method, StatusCode};
use meros_proto::caller::Caller;
use meros_shell::server::Connection;
use tracing::{debug, warn};
use warp::Filter;
use warp::filters::BoxedFilter;
use warp::reply::Response;

use super::desk::Api;
use super::errors::ApiError;
use super::http::{Reply, Request, read_body};
use super::{apps, changes, deployments, events, groups, ids, info, kills, metrics, queue, tasks};

/// The whole API as a warp filter.
pub(crate) fn filter(api: Arc<Api>) -> BoxedFilter<(Response,)> {
    let query = warp::query::raw().or(warp::any().map(String::new)).unify();
    warp::method()
        .and(warp::path::full())
        .and(query)
        .and(warp::header::headers_cloned())
        .and(warp::ext::get::<Connection>())
        .and(warp::body::stream())
        .then(
            move |method, path: warp::path::FullPath, query: String, headers, connection, body| {
                let api = Arc::clone(&api);
                let body = Box::pin(body);
                async move {
                    let head = Head { method, path, query, headers, connection };
                    api.metrics.requests_active.add(1);
                    let response = answer(&api, head, body).await;
                    api.metrics.requests_active.sub(1);
                    api.metrics.answered(response.status());
                    response
                }
            },
        )
        .boxed()
}

/// A request before its body is read.
struct Head {
    method: Method,
    path: warp::path::FullPath,
    query: String,
    headers: HeaderMap,
    connection: Connection,
}

async fn answer<B, E>(
    api: &Arc<Api>,
    head: Head,
    body: Pin<Box<impl futures_util::Stream<Item = Result<B, E>> + Send>>,
) -> Response
where
    B: bytes::Buf,
    E: std::fmt::Display,
{
    let Head { method, path, query, headers, connection } = head;
    let caller = Caller::anonymous(Some(connection.peer));
    let reply = match read_body(body).await {
        Ok(body) => {
            let request =
                Request::new(method, path.as_str(), &query, headers.clone(), caller, body);
            route(api, request).await
        }
        Err(error) => Err(error),
    };
    let reply = reply.unwrap_or_else(|error| {
        if error.status().is_server_error() {
            warn!(%error, "a request failed");
        } else {
            debug!(%error, "a request was refused");
        }
        Reply::from(error)
    });
    api.envelope.seal(&headers, reply).await
}

/// Finds the handler. HEAD is answered as GET; the server leaves the body out.
async fn route(api: &Arc<Api>, request: Request) -> Result<Reply, ApiError> {
    let method = if request.method == Method::HEAD { Method::GET } else { request.method.clone() };
    let segments = request.segments.clone();
    let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
    let get = method == Method::GET;
    match segments.as_slice() {
        ["ping"] if get => Ok(info::ping(&request)),
        ["metrics"] if get => metrics::show(api, &request).await,
        ["metrics", "prometheus"] if get => metrics::prometheus(api, &request).await,
        ["v2", "apps", rest @ ..] => route_apps(api, method, request, rest).await,
        ["v2", "groups", rest @ ..] => route_groups(api, method, request, rest).await,
        ["v2", "tasks"] if get => tasks::list(Arc::clone(api), request).await,
        ["v2", "tasks", "delete"] if method == Method::POST => kills::many(api, &request).await,
        ["v2", "deployments"] if get => deployments::list(api, &request).await,
        ["v2", "deployments", id] if method == Method::DELETE => {
            deployments::cancel(api, &request, id).await
        }
        ["v2", "queue"] if get => queue::list(api, &request).await,
        ["v2", "queue", id @ .., "delay"] if method == Method::DELETE => {
            queue::reset_delay(api, &request, &ids::from_segments(id)).await
        }
        ["v2", "info"] if get => info::info(api, &request).await,
        ["v2", "leader"] if get => info::leader(api, &request),
        ["v2", "leader"] if method == Method::DELETE => info::abdicate(api, &request),
        ["v2", "plugins"] if get => Ok(info::plugins()),
        ["v2", "events"] if get => events::stream(api, &request).await,
        ["v2", "pods" | "pods::status", ..] => Err(unbuilt("Pods")),
        ["ping" | "metrics"]
        | ["metrics", "prometheus"]
        | ["v2", "tasks" | "deployments" | "queue" | "info" | "leader" | "plugins" | "events"]
        | ["v2", "tasks", "delete"]
        | ["v2", "deployments", _]
        | ["v2", "queue", _, .., "delay"] => Err(wrong_method(&method)),
        _ => Err(no_path(&request)),
    }
}

/// `/v2/apps` and everything below.
async fn route_apps(
    api: &Arc<Api>,
    method: Method,
    request: Request,
    rest: &[&str],
) -> Result<Reply, ApiError> {
    let own = Arc::clone;
    match (method.as_str(), rest) {
        ("GET", []) => apps::list(own(api), request).await,
        ("POST", []) => changes::create(api, &request).await,
        ("PUT", []) => changes::put_many(api, &request).await,
        ("PATCH", []) => changes::patch_many(api, &request).await,

        ("GET", [group @ .., "*"]) => {
            apps::list_group(own(api), request, ids::from_segments(group)).await
        }
        ("GET", [group @ .., "*", "tasks"]) => {
            apps::group_tasks(own(api), request, ids::from_segments(group)).await
        }

        ("POST", [id @ .., "restart"]) if !id.is_empty() => {
            changes::restart(api, &request, &ids::from_segments(id)).await
        }
        ("GET", [id @ .., "tasks"]) if !id.is_empty() => {
            apps::tasks(api, &request, &ids::from_segments(id)).await
        }
        ("DELETE", [id @ .., "tasks"]) if !id.is_empty() => {
            kills::of_app(api, &request, &ids::from_segments(id)).await
        }
        ("DELETE", [id @ .., "tasks", task]) if !id.is_empty() => {
            kills::one(api, &request, &ids::from_segments(id), task).await
        }
        ("GET", [id @ .., "versions"]) if !id.is_empty() => {
            apps::versions(api, &request, &ids::from_segments(id)).await
        }
        ("GET", [id @ .., "versions", version]) if !id.is_empty() => {
            apps::version(api, &request, &ids::from_segments(id), version).await
        }

        ("GET", id) => apps::one(api, &request, &ids::from_segments(id)).await,
        ("PUT", id) => changes::put(api, &request, &ids::from_segments(id)).await,
        ("PATCH", id) => changes::patch(api, &request, &ids::from_segments(id)).await,
        ("DELETE", id) if !id.is_empty() => {
            changes::delete(api, &request, &ids::from_segments(id)).await
        }
        _ => Err(wrong_method(&method)),
    }
}

/// `/v2/groups` and everything below: reading only.
async fn route_groups(
    api: &Arc<Api>,
    method: Method,
    request: Request,
    rest: &[&str],
) -> Result<Reply, ApiError> {
    match (method.as_str(), rest) {
        ("GET", [.., "versions"] | [.., "versions", _]) => Err(unbuilt("Versions of groups")),
        ("GET", [id @ .., "apps"]) => {
            groups::apps(Arc::clone(api), request, ids::from_segments(id)).await
        }
        ("GET", id) => groups::one(Arc::clone(api), request, ids::from_segments(id)).await,
        _ => Err(unbuilt("Changing groups")),
    }
}

/// 404 with a message, never 5xx: clients give up on it instead of trying the next host.
fn unbuilt(what: &str) -> ApiError {
    ApiError::not_found(format!("{what}: not supported by this version"))
}

fn no_path(request: &Request) -> ApiError {
    ApiError::not_found(format!("There is nothing at {}", request.uri))
}

fn wrong_method(method: &Method) -> ApiError {
    ApiError::Message(
        StatusCode::METHOD_NOT_ALLOWED,
        format!("The method {method} is not allowed here"),
    )
}
