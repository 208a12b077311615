//! Setting the weights of roles: `PUT /weights` and the operator API's UPDATE_WEIGHTS.

use std::collections::BTreeMap;
use std::sync::Arc;

use http::StatusCode;
use meros_master_core::Input;
use meros_plugin_api::authz::{Action, Object};
use meros_proto::caller::Caller;
use meros_proto::resources::Role;
use serde::Deserialize;
use warp::reply::Response;

use crate::api::request::Request;
use crate::api::{Api, respond, scheduler};

#[derive(Deserialize)]
struct Weight {
    role: String,
    weight: f64,
}

/// Answers `PUT /weights` with `[{"role": ..., "weight": ...}]`.
pub(crate) async fn update(api: &Arc<Api>, mut request: Request) -> Response {
    let body = match request.take_body().await {
        Ok(body) => body,
        Err(rejection) => return rejection.into_response(),
    };
    match serde_json::from_slice::<Vec<Weight>>(&body) {
        Ok(weights) => {
            let weights = weights.into_iter().map(|weight| (weight.role, weight.weight)).collect();
            set(api, &request.caller, weights).await
        }
        Err(error) => respond::text(
            StatusCode::BAD_REQUEST,
            format!("Failed to parse update weights request JSON: {error}"),
        ),
    }
}

/// Asks the core to set weights.
pub(crate) async fn set(api: &Api, caller: &Caller, weights: Vec<(String, f64)>) -> Response {
    let mut parsed = BTreeMap::new();
    for (role, weight) in weights {
        if !api.authorization.authorize(caller, Action::UpdateWeight, Object::Role(&role)) {
            let message = format!("Not authorized to set the weight of role '{role}'");
            return respond::text(StatusCode::FORBIDDEN, message);
        }
        match Role::parse(&role) {
            Ok(role) => drop(parsed.insert(role, weight)),
            Err(error) => return respond::text(StatusCode::BAD_REQUEST, error.to_string()),
        }
    }
    let caller = caller.clone();
    let answer =
        api.ask(false, |reply| Input::UpdateWeights { caller, reply, weights: parsed }).await;
    scheduler::respond_with(answer)
}
