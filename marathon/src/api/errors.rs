//! How a request is refused: the status and the body of each kind of mistake.
//!
//! Clients tell kinds apart by status *and* by the shape of `details`, and retry every 5xx on the
//! next host for ever. So a client's mistake is never a 5xx, and 503 is kept for a full inbox.

use http::StatusCode;
use serde_json::{Value, json};

use super::model::reader::Faults;

/// Why a request is refused.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub(crate) enum ApiError {
    /// 400: the body isn't JSON. Holds the parser's text.
    #[error("Invalid JSON")]
    NotJson(String),
    /// 422: JSON of the wrong shape: types, missing fields, bounds of the schema.
    #[error("Invalid JSON")]
    WrongShape(Faults),
    /// 422: of the right shape, but it breaks a rule.
    #[error("Object is not valid")]
    NotValid(Faults),
    /// 409: other deployments hold what is to be changed.
    #[error(
        "App is locked by one or more deployments. Override with the option '?force=true'. \
         View details at '/v2/deployments/<DEPLOYMENT_ID>'."
    )]
    Locked {
        /// All that are in the way.
        deployments: Vec<String>,
    },
    /// Any other: a status and a message.
    #[error("{1}")]
    Message(StatusCode, String),
}

impl ApiError {
    /// 400 with a message.
    pub(crate) fn bad_request(message: impl Into<String>) -> Self {
        Self::Message(StatusCode::BAD_REQUEST, message.into())
    }

    /// 404 with a message.
    pub(crate) fn not_found(message: impl Into<String>) -> Self {
        Self::Message(StatusCode::NOT_FOUND, message.into())
    }

    /// 404: there is no app `id`.
    pub(crate) fn no_app(id: &str) -> Self {
        Self::not_found(format!("App '{id}' does not exist"))
    }

    /// 422 with a message only.
    pub(crate) fn unprocessable(message: impl Into<String>) -> Self {
        Self::Message(StatusCode::UNPROCESSABLE_ENTITY, message.into())
    }

    /// 422 with one message for one path.
    pub(crate) fn invalid(path: &str, message: impl Into<String>) -> Self {
        let mut faults = Faults::default();
        faults.add(path, message);
        Self::NotValid(faults)
    }

    /// 503: more is asked than is taken in.
    pub(crate) fn overloaded() -> Self {
        Self::Message(
            StatusCode::SERVICE_UNAVAILABLE,
            "Too many requests are waiting. Try again later.".to_owned(),
        )
    }

    /// The status to answer with.
    pub(crate) fn status(&self) -> StatusCode {
        match self {
            Self::NotJson(_) => StatusCode::BAD_REQUEST,
            Self::WrongShape(_) | Self::NotValid(_) => StatusCode::UNPROCESSABLE_ENTITY,
            Self::Locked { .. } => StatusCode::CONFLICT,
            Self::Message(status, _) => *status,
        }
    }

    /// The body to answer with.
    pub(crate) fn body(&self) -> Value {
        let message = self.to_string();
        match self {
            Self::NotJson(details) => json!({"message": message, "details": details}),
            Self::WrongShape(faults) | Self::NotValid(faults) => {
                json!({"message": message, "details": details(faults)})
            }
            Self::Locked { deployments } => {
                let ids: Vec<_> = deployments.iter().map(|id| json!({"id": id})).collect();
                json!({"message": message, "deployments": ids})
            }
            Self::Message(..) => json!({"message": message}),
        }
    }
}

fn details(faults: &Faults) -> Vec<Value> {
    faults
        .iter()
        .map(|(path, errors)| json!({"path": path, "errors": errors.collect::<Vec<_>>()}))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_refusal_has_the_status_and_body_of_the_contract() {
        let mut faults = Faults::default();
        faults.add("/mem", "error.min");
        faults.add("/cpus", "error.expected.jsnumber");
        for (error, status, body) in [
            (
                ApiError::NotJson("expected value at line 1 column 1".into()),
                400,
                json!({"message": "Invalid JSON", "details": "expected value at line 1 column 1"}),
            ),
            (
                ApiError::WrongShape(faults.clone()),
                422,
                json!({"message": "Invalid JSON", "details": [
                    {"path": "/cpus", "errors": ["error.expected.jsnumber"]},
                    {"path": "/mem", "errors": ["error.min"]},
                ]}),
            ),
            (
                ApiError::NotValid(faults),
                422,
                json!({"message": "Object is not valid", "details": [
                    {"path": "/cpus", "errors": ["error.expected.jsnumber"]},
                    {"path": "/mem", "errors": ["error.min"]},
                ]}),
            ),
            (
                ApiError::Locked { deployments: vec!["d1".into()] },
                409,
                json!({
                    "message": "App is locked by one or more deployments. Override with the option \
                        '?force=true'. View details at '/v2/deployments/<DEPLOYMENT_ID>'.",
                    "deployments": [{"id": "d1"}],
                }),
            ),
            (ApiError::no_app("/x"), 404, json!({"message": "App '/x' does not exist"})),
        ] {
            assert_eq!((error.status().as_u16(), error.body()), (status, body));
        }
    }
}
