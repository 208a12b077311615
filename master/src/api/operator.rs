//! `POST /api/v1`: the calls of operators and their tools.
//!
//! Only what is cheap to answer is built; every other call is answered 501.

use std::sync::Arc;

use http::{Method, StatusCode};
use meros_proto::caller::Caller;
use meros_proto::v1;
use meros_proto::v1::master::call::Type;
use meros_proto::v1::master::{Call, Response as Answer, response};
use meros_proto::versions::MESOS_VERSION;
use meros_proto::wire::{self, Encoding};
use meros_shell::http::accepts_gzip;
use warp::reply::Response;

use crate::api::legacy::View;
use crate::api::request::Request;
use crate::api::respond::{Rejection, Rendered};
use crate::api::views::Wanted;
use crate::api::{Api, media, respond, scheduler, teardown, weights};
use crate::identity::Identity;

/// Answers one request.
pub(crate) async fn answer(api: &Arc<Api>, mut request: Request) -> Response {
    let (call, accepted) = match receive(&mut request).await {
        Ok(received) => received,
        Err(rejection) => return rejection.into_response(),
    };
    match call.r#type() {
        Type::GetMetrics => metrics(api, &request, accepted).await,
        Type::Teardown => {
            let id = call.teardown.and_then(|teardown| teardown.framework_id?.value);
            match id {
                Some(id) => teardown::remove(api, &request.caller, &id).await,
                None => invalid("Expecting 'teardown' to be present").into_response(),
            }
        }
        Type::UpdateWeights => match call.update_weights {
            Some(update) => {
                let weights = update.weight_infos.into_iter();
                let weights = weights.map(|info| (info.role().to_owned(), info.weight())).collect();
                weights::set(api, &request.caller, weights).await
            }
            None => invalid("Expecting 'update_weights' to be present").into_response(),
        },
        kind => match fact(&api.identity, kind) {
            Some(fact) => encoded(&fact, accepted, accepts_gzip(&request.headers)).into_response(),
            None => respond::text(
                StatusCode::NOT_IMPLEMENTED,
                format!("{} is not implemented by this version", kind.as_str_name()),
            ),
        },
    }
}

/// The checks that every call passes: method, types, body, `type`, `Accept`.
async fn receive(request: &mut Request) -> Result<(Call, Encoding), Rejection> {
    if request.method != Method::POST {
        return Err(Rejection::method("POST", &request.method));
    }
    let encoding = scheduler::encoding(&request.headers)?;
    let body = request.take_body().await?;
    let call: Call = wire::decode(encoding, &body).map_err(|error| {
        Rejection::new(StatusCode::BAD_REQUEST, scheduler::unparsable(encoding, &error))
    })?;
    if call.r#type.is_none() {
        return Err(invalid("Expecting 'type' to be present"));
    }
    let accepted = media::accepted(&request.headers).ok_or_else(|| {
        let message = "Expecting 'Accept' to allow application/json or application/x-protobuf";
        Rejection::new(StatusCode::NOT_ACCEPTABLE, message)
    })?;
    Ok((call, accepted))
}

fn invalid(error: &str) -> Rejection {
    let message = format!("Failed to validate master::Call: {error}");
    Rejection::new(StatusCode::BAD_REQUEST, message)
}

/// What is known without asking the core.
fn fact(identity: &Identity, kind: Type) -> Option<Answer> {
    let of = |kind: response::Type| Answer { r#type: Some(kind.into()), ..Default::default() };
    Some(match kind {
        Type::GetHealth => Answer {
            get_health: Some(response::GetHealth { healthy: Some(true) }),
            ..of(response::Type::GetHealth)
        },
        Type::GetVersion => Answer {
            get_version: Some(response::GetVersion {
                version_info: Some(v1::VersionInfo {
                    version: Some(MESOS_VERSION.to_owned()),
                    ..Default::default()
                }),
            }),
            ..of(response::Type::GetVersion)
        },
        Type::GetFlags => {
            let flag = |(name, value): (&String, &String)| v1::Flag {
                name: Some(name.clone()),
                value: Some(value.clone()),
            };
            let flags = identity.flags.iter().map(flag).collect();
            Answer { get_flags: Some(response::GetFlags { flags }), ..of(response::Type::GetFlags) }
        }
        Type::GetMaster => Answer {
            get_master: Some(response::GetMaster {
                master_info: Some(identity.master_info()),
                start_time: Some(identity.started.as_secs_f64()),
                elected_time: Some(identity.started.as_secs_f64()),
            }),
            ..of(response::Type::GetMaster)
        },
        _ => return None,
    })
}

/// GET_METRICS: the numbers of `/metrics/snapshot`.
async fn metrics(api: &Api, request: &Request, accepted: Encoding) -> Response {
    let viewer = Caller { peer: None, ..request.caller.clone() };
    let gzip = accepts_gzip(&request.headers);
    let wanted = Wanted { view: View::OperatorMetrics(accepted), viewer, gzip };
    match api.views.render(wanted).await {
        Ok(rendered) => rendered.into_response(),
        Err(_) => respond::text(StatusCode::SERVICE_UNAVAILABLE, "The master is busy"),
    }
}

/// Renders the answer of GET_METRICS.
pub(super) fn metrics_answer<'a>(
    numbers: impl Iterator<Item = (&'a String, &'a f64)>,
    encoding: Encoding,
    gzip: bool,
) -> Rendered {
    let metric = |(name, value): (&String, &f64)| v1::Metric {
        name: Some(name.clone()),
        value: Some(*value),
    };
    let answer = Answer {
        r#type: Some(response::Type::GetMetrics.into()),
        get_metrics: Some(response::GetMetrics { metrics: numbers.map(metric).collect() }),
        ..Default::default()
    };
    encoded(&answer, encoding, gzip)
}

fn encoded(answer: &Answer, encoding: Encoding, gzip: bool) -> Rendered {
    Rendered::new(encoding.media_type(), wire::encode(encoding, answer), gzip)
}
