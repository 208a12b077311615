//! The endpoints that tools read since before there was an operator API.

use http::StatusCode;
use meros_plugin_api::authz::{Action, Object};
use meros_proto::versions::MESOS_VERSION;
use serde_json::{Map, Value, json};

use super::answer::Answer;
use super::{Api, Request, metrics, model};

/// Whether a path is one of those, so that another method than GET is refused and not unknown.
pub(super) fn is_endpoint(path: &[&str]) -> bool {
    matches!(
        path,
        ["health" | "version" | "state" | "flags" | "metrics" | "containers"]
            | ["metrics", "snapshot"]
            | ["files", "browse" | "read" | "download"]
    )
}

impl Api {
    pub(super) async fn legacy(&self, path: &[&str], request: &Request) -> Answer {
        if !is_endpoint(path) {
            let refusal = format!("There is no {} here", request.path);
            return Answer::text(StatusCode::NOT_FOUND, refusal);
        }
        if !self.may(request, Action::GetEndpoint, &Object::Path(&format!("/{}", path.join("/")))) {
            return Answer::empty(StatusCode::FORBIDDEN);
        }
        let callback = request.query.get("jsonp");
        match path {
            ["health"] => Answer::empty(StatusCode::OK),
            ["version"] => Answer::json(&version(), callback),
            ["flags"] => Answer::json(&json!({ "flags": self.flags() }), callback),
            _ => {
                let view = match self.view(request).await {
                    Ok(view) => view,
                    Err(busy) => return busy,
                };
                match path {
                    ["state"] => {
                        let permits = |action, framework: &str| {
                            self.may(request, action, &Object::Framework(framework))
                        };
                        let state = model::state(&self.host, &view, self.flags(), permits);
                        Answer::json(&state, callback)
                    }
                    ["containers"] => Answer::json(&model::containers(&self.host, &view), callback),
                    ["metrics", "snapshot"] => {
                        let snapshot = metrics::snapshot(&self.host, &view);
                        let flat: Map<String, Value> = snapshot
                            .into_iter()
                            .map(|(name, value)| (name, json!(value)))
                            .collect();
                        Answer::json(&Value::Object(flat), callback)
                    }
                    _ => {
                        let text = metrics::prometheus(&metrics::snapshot(&self.host, &view));
                        let media = "text/plain; version=0.0.4; charset=utf-8";
                        Answer::of(StatusCode::OK, media, text.into_bytes())
                    }
                }
            }
        }
    }

    fn flags(&self) -> Value {
        let flags = self.host.flags.iter().map(|(name, value)| ((*name).to_owned(), json!(value)));
        Value::Object(flags.collect())
    }
}

fn version() -> Value {
    json!({ "version": MESOS_VERSION, "build_date": "", "build_time": 0.0, "build_user": "" })
}
