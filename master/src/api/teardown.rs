//! Removing a framework as an operator: `POST /teardown` and the operator API's TEARDOWN.

use std::sync::Arc;

use http::{Method, StatusCode};
use meros_master_core::Input;
use meros_plugin_api::authz::{Action, Object};
use meros_proto::caller::Caller;
use meros_proto::ids::FrameworkId;
use meros_shell::http::Query;
use warp::reply::Response;

use crate::api::request::Request;
use crate::api::respond::Rejection;
use crate::api::{Api, respond, scheduler};

/// Answers `POST /teardown` with the form `frameworkId=ID`.
pub(crate) async fn answer(api: &Arc<Api>, mut request: Request) -> Response {
    if request.method != Method::POST {
        return Rejection::method("POST", &request.method).into_response();
    }
    let body = match request.take_body().await {
        Ok(body) => body,
        Err(rejection) => return rejection.into_response(),
    };
    let form = Query::parse(&String::from_utf8_lossy(&body));
    match form.get("frameworkId") {
        Some(id) => remove(api, &request.caller, id).await,
        None => respond::text(
            StatusCode::BAD_REQUEST,
            "Missing 'frameworkId' query parameter in the request body",
        ),
    }
}

/// Asks the core to remove a framework.
pub(crate) async fn remove(api: &Api, caller: &Caller, framework: &str) -> Response {
    if !api.authorization.authorize(caller, Action::TeardownFramework, Object::Framework(framework))
    {
        return respond::text(StatusCode::FORBIDDEN, "Not authorized to tear the framework down");
    }
    let Ok(framework) = FrameworkId::parse(framework) else {
        return respond::text(StatusCode::BAD_REQUEST, "No framework found with specified ID");
    };
    let caller = caller.clone();
    let answer = api.ask(true, |reply| Input::OperatorTeardown { caller, reply, framework }).await;
    scheduler::respond_with(answer)
}
