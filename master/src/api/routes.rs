//! Which path is answered by what.
//!
//! Old tools know the same thing under several paths: with the process's prefix `/master`, with
//! `.json` at the end, with a slash after it. All of them are one path here.

use std::sync::Arc;

use bytes::Bytes;
use http::header::{HeaderValue, LOCATION};
use http::{Method, StatusCode};
use meros_plugin_api::authz::{Action, Object};
use meros_proto::caller::Caller;
use meros_shell::http::{Query, accepts_gzip, jsonp};
use meros_shell::server::Connection;
use warp::Filter;
use warp::filters::BoxedFilter;
use warp::reply::Response;

use crate::api::legacy::{self, View, version};
use crate::api::request::Request;
use crate::api::views::Wanted;
use crate::api::{Api, operator, respond, scheduler, teardown, weights};
use crate::metrics::Counter;

/// The whole HTTP API as a warp filter.
pub(crate) fn filter(api: Arc<Api>) -> BoxedFilter<(Response,)> {
    let raw_query = warp::query::raw().or(warp::any().map(String::new)).unify();
    warp::method()
        .and(warp::path::full())
        .and(raw_query)
        .and(warp::header::headers_cloned())
        .and(warp::ext::get::<Connection>())
        .and(warp::body::stream())
        .map(|method, path: warp::path::FullPath, query: String, headers, connection, body| {
            let query = Query::parse(&query);
            Request::new(method, path.as_str().to_owned(), query, headers, connection, body)
        })
        .then(move |request| answer(Arc::clone(&api), request))
        .boxed()
}

async fn answer(api: Arc<Api>, request: Request) -> Response {
    api.counters.add(Counter::HttpRequests);
    let path = request.path.clone();
    match canonical(&path) {
        "/api/v1/scheduler" => scheduler::answer(&api, request).await,
        "/api/v1" => operator::answer(&api, request).await,
        "/teardown" => teardown::answer(&api, request).await,
        "/weights" if request.method == Method::PUT => weights::update(&api, request).await,
        path => match Resource::at(path) {
            Some(resource) => show(&api, request, resource).await,
            None => respond::text(StatusCode::NOT_FOUND, format!("There is nothing at '{path}'")),
        },
    }
}

/// The path without prefix, suffix and slashes that make no difference.
fn canonical(path: &str) -> &str {
    let path = path.trim_end_matches('/');
    let path = match path.strip_prefix("/master") {
        Some(rest) if rest.starts_with('/') => rest,
        _ => path,
    };
    path.strip_suffix(".json").unwrap_or(path)
}

/// What can be read.
enum Resource {
    Health,
    Version,
    Flags,
    Redirect,
    View(fn(&Request) -> Result<View, String>),
}

impl Resource {
    fn at(path: &str) -> Option<Self> {
        Some(match path {
            "/health" => Self::Health,
            "/version" => Self::Version,
            "/flags" => Self::Flags,
            "/redirect" => Self::Redirect,
            "/state" => Self::View(|_| Ok(View::State)),
            "/state-summary" => Self::View(|_| Ok(View::StateSummary)),
            "/slaves" => Self::View(|request| Ok(View::slaves(&request.query))),
            "/frameworks" => Self::View(|request| Ok(View::frameworks(&request.query))),
            "/tasks" => Self::View(|request| View::tasks(&request.query)),
            "/roles" => Self::View(|_| Ok(View::Roles)),
            "/weights" => Self::View(|_| Ok(View::Weights)),
            "/metrics/snapshot" => Self::View(|_| Ok(View::MetricsSnapshot)),
            "/metrics" => Self::View(|_| Ok(View::Metrics)),
            _ => return None,
        })
    }
}

async fn show(api: &Api, request: Request, resource: Resource) -> Response {
    if !matches!(request.method, Method::GET | Method::HEAD) {
        return respond::Rejection::method("GET", &request.method).into_response();
    }
    let endpoint = Object::Path(canonical(&request.path));
    if !api.authorization.authorize(&request.caller, Action::GetEndpoint, endpoint) {
        return respond::text(StatusCode::FORBIDDEN, "Not authorized to read this endpoint");
    }
    match resource {
        Resource::Health => respond::empty(StatusCode::OK),
        Resource::Redirect => redirect(api),
        Resource::Version => json(&request, version::render(&api.identity)),
        Resource::Flags => json(&request, legacy::flags(&api.identity)),
        Resource::View(view) => match view(&request) {
            Ok(view) => render(api, &request, view).await,
            Err(message) => respond::text(StatusCode::BAD_REQUEST, message),
        },
    }
}

/// To the leader, which is this master: there is no other yet.
fn redirect(api: &Api) -> Response {
    let response = respond::empty(StatusCode::TEMPORARY_REDIRECT);
    match HeaderValue::try_from(format!("//{}", api.identity.host_and_port())) {
        Ok(location) => respond::with_header(response, LOCATION, location),
        Err(_) => respond::text(StatusCode::SERVICE_UNAVAILABLE, "The leader's name is unusable"),
    }
}

async fn render(api: &Api, request: &Request, view: View) -> Response {
    let jsonp = request.query.filled("jsonp");
    let viewer = Caller { peer: None, ..request.caller.clone() };
    // A script can't be compressed before the callback is around it.
    let gzip = jsonp.is_none() && accepts_gzip(&request.headers);
    match api.views.render(Wanted { view, viewer, gzip }).await {
        Ok(rendered) => match jsonp {
            Some(callback) => script(callback, rendered.bytes()),
            None => rendered.into_response(),
        },
        Err(_) => {
            api.counters.add(Counter::CallsTurnedAway);
            respond::text(StatusCode::SERVICE_UNAVAILABLE, "The master is busy")
        }
    }
}

fn json(request: &Request, text: Vec<u8>) -> Response {
    match request.query.filled("jsonp") {
        Some(callback) => script(callback, &text),
        None => respond::Rendered::json(text, accepts_gzip(&request.headers)).into_response(),
    }
}

fn script(callback: &str, json: &[u8]) -> Response {
    match jsonp(callback, json) {
        Some(script) => {
            let response = respond::body("text/javascript", Bytes::from(script));
            let sniffed = http::header::X_CONTENT_TYPE_OPTIONS;
            respond::with_header(response, sniffed, HeaderValue::from_static("nosniff"))
        }
        None => respond::text(StatusCode::BAD_REQUEST, "'jsonp' must be the name of a function"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_thing_has_many_paths() {
        for path in [
            "/state",
            "/state/",
            "/state.json",
            "/master/state",
            "/master/state.json",
            "/master/state/",
        ] {
            assert_eq!(canonical(path), "/state", "{path}");
        }
        for (path, canonical_path) in [
            ("/master", "/master"),
            ("/masterpiece/state", "/masterpiece/state"),
            ("/", ""),
            ("/master/api/v1/scheduler", "/api/v1/scheduler"),
            ("/metrics/snapshot", "/metrics/snapshot"),
        ] {
            assert_eq!(canonical(path), canonical_path, "{path}");
        }
    }
}
