//! `/v2/events`: server-sent events.

use std::collections::BTreeSet;

use http::StatusCode;
use meros_plugin_api::authz::Action;
use tokio_stream::wrappers::ReceiverStream;

use super::desk::Api;
use super::errors::ApiError;
use super::http::{Reply, Request};

/// GET `/v2/events`. `Accept: text/event-stream` is the switch; `plan-format` is ignored, since
/// there is one format only.
pub(crate) async fn stream(api: &Api, request: &Request) -> Result<Reply, ApiError> {
    if !request.accepts("text/event-stream") {
        return Err(ApiError::Message(
            StatusCode::METHOD_NOT_ALLOWED,
            "The event stream needs the header Accept: text/event-stream".to_owned(),
        ));
    }
    api.gate.check(&request.caller, Action::ViewSystem, "/v2/events")?;
    let types: BTreeSet<_> = request.query.all("event_type").map(str::to_owned).collect();
    let frames = api.hub.attach(request.client_ip(), types).await;
    Ok(Reply::frames(Box::pin(ReceiverStream::new(frames))))
}
