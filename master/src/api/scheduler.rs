//! `POST /api/v1/scheduler`: calls of schedulers, and the event stream that a SUBSCRIBE opens.
//!
//! The checks come in the order of Mesos, since clients tell failures apart by status: what the
//! request looks like and what the call looks like here, who is subscribed in the core, which
//! answers each call.

use std::sync::Arc;

use http::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use http::{Method, StatusCode};
use meros_master_core::{Answer, Call, FrameworkSpec, Input, Refusal, SchedulerCall, Subscribe};
use meros_plugin_api::authz::{Action, Object};
use meros_proto::caller::Caller;
use meros_proto::ids::{FrameworkId, StreamId};
use meros_proto::v1::scheduler as v1;
use meros_proto::wire::{self, DecodeError, Encoding};
use warp::reply::{Reply, Response};

use crate::api::calls::{self, Checked};
use crate::api::media::{self, ContentType};
use crate::api::request::Request;
use crate::api::respond::Rejection;
use crate::api::{Api, respond, subscribe};

/// Names the stream that a call belongs to.
const STREAM_ID: HeaderName = HeaderName::from_static("mesos-stream-id");

/// Answers one request.
pub(crate) async fn answer(api: &Arc<Api>, mut request: Request) -> Response {
    match receive(api, &mut request).await {
        Ok(Checked::Subscribe { framework, subscribe }) => {
            match open_stream(api, request, framework, *subscribe) {
                Ok(response) => response,
                Err(rejection) => rejection.into_response(),
            }
        }
        Ok(Checked::Other { framework, call }) => forward(api, request, &framework, call).await,
        Err(rejection) => rejection.into_response(),
    }
}

/// Checks 5 to 10: what the request is like, and the call in it.
async fn receive(api: &Api, request: &mut Request) -> Result<Checked, Rejection> {
    if request.method != Method::POST {
        return Err(Rejection::method("POST", &request.method));
    }
    let encoding = encoding(&request.headers)?;
    let body = request.take_body().await?;
    let call: v1::Call = wire::decode(encoding, &body)
        .map_err(|error| Rejection::new(StatusCode::BAD_REQUEST, unparsable(encoding, &error)))?;
    let streams =
        matches!(call.r#type(), v1::call::Type::Subscribe | v1::call::Type::ReconcileOperations);
    let may_run = |user: Option<&str>| {
        let object = user.map_or(Object::Any, Object::User);
        api.authorization.authorize(&request.caller, Action::RunTask, object)
    };
    let checked = calls::check(call, &request.caller, &may_run).map_err(|error| {
        let message = format!("Failed to validate scheduler::Call: {error}");
        Rejection::new(StatusCode::BAD_REQUEST, message)
    })?;
    if streams && media::accepted(&request.headers).is_none() {
        let message = "Expecting 'Accept' to allow application/json or application/x-protobuf";
        return Err(Rejection::new(StatusCode::NOT_ACCEPTABLE, message));
    }
    Ok(checked)
}

/// The encoding of the body of a v1 call.
///
/// # Errors
/// The answer when `Content-Type` is missing (400) or is none that calls come in (415).
pub(crate) fn encoding(headers: &HeaderMap) -> Result<Encoding, Rejection> {
    match media::content_type(headers) {
        ContentType::Known(encoding) => Ok(encoding),
        ContentType::Absent => {
            Err(Rejection::new(StatusCode::BAD_REQUEST, "Expecting 'Content-Type' to be present"))
        }
        ContentType::Other => Err(Rejection::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "Expecting 'Content-Type' of application/json or application/x-protobuf",
        )),
    }
}

/// Mesos tells text that is no JSON from JSON that is no call.
pub(crate) fn unparsable(encoding: Encoding, error: &DecodeError) -> String {
    match (encoding, error) {
        (_, DecodeError::Json(error)) if error.is_data() => {
            format!("Failed to convert JSON into Call protobuf: {error}")
        }
        (_, DecodeError::Json(error)) => format!("Failed to parse body into JSON: {error}"),
        (Encoding::Json, error) => format!("Failed to convert JSON into Call protobuf: {error}"),
        (Encoding::Protobuf, error) => format!("Failed to parse body into Call protobuf: {error}"),
    }
}

/// Check 11, then the stream. What is wrong with the framework is told on the stream itself.
fn open_stream(
    api: &Arc<Api>,
    request: Request,
    framework: Option<String>,
    subscribe: v1::call::Subscribe,
) -> Result<Response, Rejection> {
    if request.headers.contains_key(STREAM_ID) {
        let message = "Subscribe calls should not include the 'Mesos-Stream-Id' header";
        return Err(Rejection::new(StatusCode::BAD_REQUEST, message));
    }
    let encoding = media::accepted(&request.headers).expect("an unusable Accept was refused");
    let stream_id = uuid::Uuid::new_v4().to_string();
    let (framework_id, spec) = described(api, &request.caller, framework, &subscribe);
    let (stream, outlet) = api.outlets.open_stream();
    let input = Input::Subscribe(Box::new(Subscribe {
        caller: request.caller,
        stream,
        stream_id: StreamId::parse(&stream_id).expect("a UUID breaks no rule for ids"),
        framework_id,
        framework: spec,
    }));
    if let Err(refused) = api.inbox.try_send(input) {
        api.outlets.forget_stream(stream);
        return Err(api.turned_away(refused));
    }
    let body = subscribe::start(api, request.connection, stream, outlet, encoding);
    let response = warp::reply::stream(body).into_response();
    let media_type = HeaderValue::from_static(encoding.media_type());
    let response = respond::with_header(response, CONTENT_TYPE, media_type);
    let stream_id = HeaderValue::try_from(stream_id).expect("a UUID is plain ASCII");
    Ok(respond::with_header(response, STREAM_ID, stream_id))
}

/// The framework as it describes itself; or why it can't subscribe.
fn described(
    api: &Api,
    caller: &Caller,
    framework: Option<String>,
    subscribe: &v1::call::Subscribe,
) -> (Option<FrameworkId>, Result<FrameworkSpec, String>) {
    let id = match framework.map(|id| FrameworkId::parse(&id)).transpose() {
        Ok(id) => id,
        Err(error) => return (None, Err(format!("Invalid framework ID: {error}"))),
    };
    let info = subscribe.framework_info.as_ref().expect("a call without it was refused");
    let spec = FrameworkSpec::from_proto(info, &subscribe.suppressed_roles);
    let permitted = spec.map_err(|error| error.to_string()).and_then(|spec| {
        let refused = spec.roles.iter().find(|role| {
            let object = Object::Role(role.as_str());
            !api.authorization.authorize(caller, Action::RegisterFramework, object)
        });
        match refused {
            Some(role) => Err(format!("Not authorized to use role '{role}'")),
            None => Ok(spec),
        }
    });
    (id, permitted)
}

/// Hands a call to the core and waits for its answer: checks 12 to 19.
async fn forward(api: &Api, request: Request, framework: &str, call: SchedulerCall) -> Response {
    let Ok(framework) = FrameworkId::parse(framework) else {
        return refused(&Refusal::FrameworkNotFound);
    };
    let teardown = matches!(call, SchedulerCall::Teardown);
    let object = Object::Framework(framework.as_str());
    if teardown && !api.authorization.authorize(&request.caller, Action::TeardownFramework, object)
    {
        return respond::text(StatusCode::FORBIDDEN, "Not authorized to tear the framework down");
    }
    let urgent = matches!(call, SchedulerCall::Kill { .. } | SchedulerCall::Acknowledge { .. });
    let stream_id = request.headers.get(STREAM_ID);
    let stream_id = stream_id.map(|id| String::from_utf8_lossy(id.as_bytes()).into_owned());
    let caller = request.caller;
    let answer = api.ask(urgent, |reply| {
        Input::Call(Box::new(Call { caller, reply, framework, stream_id, call }))
    });
    respond_with(answer.await)
}

/// The answer to a call that the core took in, or why it could not.
pub(crate) fn respond_with(answer: Result<Answer, Rejection>) -> Response {
    match answer {
        Ok(Answer::Accepted) => respond::empty(StatusCode::ACCEPTED),
        Ok(Answer::Done | Answer::View(_)) => respond::empty(StatusCode::OK),
        Ok(Answer::Refused(refusal)) => refused(&refusal),
        Err(rejection) => rejection.into_response(),
    }
}

fn refused(refusal: &Refusal) -> Response {
    let status = StatusCode::from_u16(refusal.status()).unwrap_or(StatusCode::BAD_REQUEST);
    respond::text(status, refusal.to_string())
}
