//! The launch queue: what waits, why, and doing away with a delay.

use http::StatusCode;
use meros_plugin_api::authz::Action;
use serde::Serialize;

use super::apps::sees;
use super::desk::{Api, app_id};
use super::errors::ApiError;
use super::http::{Reply, Request};
use super::model::queue_view::QueueItemView;

#[derive(Serialize)]
struct Queue<'a> {
    queue: Vec<QueueItemView<'a>>,
}

/// GET `/v2/queue`
pub(crate) async fn list(api: &Api, request: &Request) -> Result<Reply, ApiError> {
    let with_offers = request.query.all("embed").any(|embed| embed == "lastUnusedOffers");
    let view = api.view().await?;
    let now = api.now();
    let items = view.queue.iter().filter(|item| sees(api, &request.caller, &item.app.id));
    Ok(Reply::ok(&Queue {
        queue: items.map(|item| QueueItemView::new(item, now, with_offers)).collect(),
    }))
}

/// DELETE `/v2/queue/{id}/delay`
pub(crate) async fn reset_delay(api: &Api, request: &Request, id: &str) -> Result<Reply, ApiError> {
    api.gate.check(&request.caller, Action::UpdateRunSpec, id)?;
    let not_queued = |_| ApiError::not_found(format!("Application {id} not found in tasks queue."));
    let app = app_id(id).map_err(not_queued)?;
    api.reset_delay(&request.caller, app).await?;
    Ok(Reply::empty(StatusCode::NO_CONTENT))
}
