//! Running deployments: the list, and cancelling one.

use http::StatusCode;
use meros_marathon_core::deployment::DeploymentId;
use meros_plugin_api::authz::Action;

use super::apps::sees;
use super::changes::deployed;
use super::desk::Api;
use super::errors::ApiError;
use super::http::{Reply, Request};
use super::model::deployment_view::DeploymentView;

/// GET `/v2/deployments`
pub(crate) async fn list(api: &Api, request: &Request) -> Result<Reply, ApiError> {
    let view = api.view().await?;
    let seen = view.deployments.iter().filter(|deployment| {
        deployment.plan.affected.keys().all(|app| sees(api, &request.caller, app))
    });
    Ok(Reply::ok(
        &seen.map(|deployment| DeploymentView::new(&view, deployment)).collect::<Vec<_>>(),
    ))
}

/// DELETE `/v2/deployments/{id}`: changes back what it changed, or with `force` only stops it.
pub(crate) async fn cancel(api: &Api, request: &Request, id: &str) -> Result<Reply, ApiError> {
    let view = api.view().await?;
    let known = view.deployments.iter().find(|deployment| deployment.plan.id.as_str() == id);
    for app in known.iter().flat_map(|deployment| deployment.plan.affected.keys()) {
        api.gate.check(&request.caller, Action::UpdateRunSpec, app.as_str())?;
    }
    let force = request.query.flag("force", false);
    let id = DeploymentId::from_text(id);
    let done = api.cancel_deployment(&request.caller, id, force).await?;
    Ok(if force { Reply::empty(StatusCode::ACCEPTED) } else { deployed(StatusCode::OK, &done) })
}
