//! `POST /api/v1`: the operator API. What isn't built answers 501, so that clients don't try again.

use http::{Method, StatusCode};
use meros_proto::v1;
use meros_proto::v1::agent::{Call, Response, call, response};
use meros_proto::versions::MESOS_VERSION;
use meros_proto::wire::{self, Encoding};

use meros_plugin_api::authz::{Action, Object};

use super::answer::Answer;
use super::{Api, Request};

impl Api {
    pub(super) fn operator(&self, request: &Request) -> Answer {
        match self.try_operator(request) {
            Ok(answer) | Err(answer) => answer,
        }
    }

    /// The checks in the order in which Mesos makes them.
    fn try_operator(&self, request: &Request) -> Result<Answer, Answer> {
        if request.method != Method::POST {
            let refusal = format!("Expecting 'POST', received '{}'", request.method);
            return Err(Answer::text(StatusCode::METHOD_NOT_ALLOWED, refusal).with("allow", "POST"));
        }
        let media = request.header("content-type").ok_or_else(|| {
            Answer::text(StatusCode::BAD_REQUEST, "Expecting 'Content-Type' to be present")
        })?;
        let encoding = Encoding::from_media_type(media).ok_or_else(|| {
            let refusal = "Expecting 'Content-Type' of application/json or application/x-protobuf";
            Answer::text(StatusCode::UNSUPPORTED_MEDIA_TYPE, refusal)
        })?;
        let call: Call = wire::decode(encoding, &request.body)
            .map_err(|error| Answer::text(StatusCode::BAD_REQUEST, error.to_string()))?;
        let answer = accepted(request.header("accept")).ok_or_else(|| {
            let refusal = "Expecting 'Accept' to allow application/json or application/x-protobuf";
            Answer::text(StatusCode::NOT_ACCEPTABLE, refusal)
        })?;
        if !self.may(request, Action::GetEndpoint, &Object::Path("/api/v1")) {
            return Err(Answer::empty(StatusCode::FORBIDDEN));
        }
        let response = self.respond(call.r#type())?;
        Ok(Answer::of(StatusCode::OK, answer.media_type(), wire::encode(answer, &response)))
    }

    fn respond(&self, asked: call::Type) -> Result<Response, Answer> {
        use response::Type;
        let of = |r#type: Type| Response { r#type: Some(r#type as i32), ..Response::default() };
        Ok(match asked {
            call::Type::Unknown => {
                let refusal = "Failed to validate agent::Call: Expecting 'type' to be present";
                return Err(Answer::text(StatusCode::BAD_REQUEST, refusal));
            }
            call::Type::GetHealth => Response {
                get_health: Some(response::GetHealth { healthy: Some(true) }),
                ..of(Type::GetHealth)
            },
            call::Type::GetVersion => {
                let version = v1::VersionInfo {
                    version: Some(MESOS_VERSION.to_owned()),
                    ..v1::VersionInfo::default()
                };
                Response {
                    get_version: Some(response::GetVersion { version_info: Some(version) }),
                    ..of(Type::GetVersion)
                }
            }
            call::Type::GetFlags => {
                let flags = self.host.flags.iter().map(|(name, value)| v1::Flag {
                    name: Some((*name).to_owned()),
                    value: Some(value.clone()),
                });
                Response {
                    get_flags: Some(response::GetFlags { flags: flags.collect() }),
                    ..of(Type::GetFlags)
                }
            }
            unbuilt => {
                let refusal = format!("{} is not implemented by this agent", unbuilt.as_str_name());
                return Err(Answer::text(StatusCode::NOT_IMPLEMENTED, refusal));
            }
        })
    }
}

/// JSON is tried first, as Mesos does.
fn accepted(accept: Option<&str>) -> Option<Encoding> {
    let Some(accept) = accept else { return Some(Encoding::Json) };
    let allows = |media: &str| {
        accept.split(',').any(|range| {
            let mut parts = range.split(';').map(str::trim);
            let named = parts.next().unwrap_or_default();
            let fits = named == media || named == "*/*" || named == "application/*";
            fits && !parts.any(|part| part == "q=0" || part == "q=0.0")
        })
    };
    let encodings = [Encoding::Json, Encoding::Protobuf];
    encodings.into_iter().find(|encoding| allows(encoding.media_type()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_preferred_and_what_nothing_fits_is_refused() {
        for (accept, encoding) in [
            (None, Some(Encoding::Json)),
            (Some("*/*"), Some(Encoding::Json)),
            (Some("application/x-protobuf"), Some(Encoding::Protobuf)),
            (Some("application/json;q=0, application/*"), Some(Encoding::Json)),
            (Some("text/html, application/x-protobuf;q=0.5"), Some(Encoding::Protobuf)),
            (Some("application/x-protobuf;q=0"), None),
            (Some("text/html"), None),
        ] {
            assert_eq!(accepted(accept), encoding, "{accept:?}");
        }
    }
}
