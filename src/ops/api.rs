//! Requests to a role, and failures that say what to do next.

use std::fmt;

use meros_sdk::http::{HttpClient, HttpError, Method, Response, Streaming};
use serde::de::DeserializeOwned;
use serde_json::Value;

/// One role's HTTP API.
pub(crate) struct Api {
    http: HttpClient,
    role: Role,
    address: String,
}

#[derive(Debug, Clone, Copy)]
enum Role {
    Master,
    Agent,
    Marathon,
}

impl Api {
    pub(crate) fn master(address: &str) -> Self {
        Self::at(Role::Master, address)
    }

    pub(crate) fn agent(address: &str) -> Self {
        Self::at(Role::Agent, address)
    }

    pub(crate) fn marathon(address: &str) -> Self {
        Self::at(Role::Marathon, address)
    }

    fn at(role: Role, address: &str) -> Self {
        Self { http: HttpClient::new(), role, address: address.to_owned() }
    }

    /// GET, as the answer's type.
    pub(crate) async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, Failure> {
        let answer = self.send(Method::GET, path, None).await?;
        serde_json::from_slice(&answer.body).map_err(|error| self.odd(path, error))
    }

    /// Any request with a JSON body, as JSON; null where the answer has no body.
    pub(crate) async fn call(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Value, Failure> {
        let answer = self.send(method, path, body).await?;
        if answer.body.is_empty() {
            return Ok(Value::Null);
        }
        serde_json::from_slice(&answer.body).map_err(|error| self.odd(path, error))
    }

    /// A stream of server-sent events.
    pub(crate) async fn events(&self, path: &str) -> Result<Streaming, Failure> {
        let accept = [("Accept", "text/event-stream")];
        let stream = self.http.stream(Method::GET, &self.url(path), &accept, "").await;
        let stream = stream.map_err(|error| self.unreached(error))?;
        if stream.status.is_success() {
            return Ok(stream);
        }
        Err(Failure::new(format!("{} refused its events: {}", self.role, stream.status)))
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Response, Failure> {
        let json = [("Content-Type", "application/json"), ("Accept", "application/json")];
        let body = body.map(Value::to_string).unwrap_or_default();
        let answer = self.http.request(method, &self.url(path), &json, body).await;
        let answer = answer.map_err(|error| self.unreached(error))?;
        if answer.status.is_success() { Ok(answer) } else { Err(refused(&answer)) }
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    fn unreached(&self, error: HttpError) -> Failure {
        let hint = match self.role {
            Role::Master => {
                "start a cluster with `meros dev`, or say where the master is: --master HOST:PORT"
            }
            Role::Marathon => {
                "start a cluster with `meros dev`, or say where Marathon is: --marathon HOST:PORT"
            }
            Role::Agent => {
                "the agent must be reachable from here: its sandboxes are read from itself"
            }
        };
        Failure { what: error.to_string(), hint: Some(hint.to_owned()) }
    }

    fn odd(&self, path: &str, error: serde_json::Error) -> Failure {
        let what = format!("{} at {} answered {path} oddly: {error}", self.role, self.address);
        Failure { what, hint: Some("is another program listening there?".to_owned()) }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Master => "the master",
            Self::Agent => "the agent",
            Self::Marathon => "Marathon",
        })
    }
}

/// Why a verb failed, and what to do next where that is known.
#[derive(Debug)]
pub(crate) struct Failure {
    what: String,
    hint: Option<String>,
}

impl Failure {
    pub(crate) fn new(what: impl Into<String>) -> Self {
        Self { what: what.into(), hint: None }
    }

    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)?;
        self.hint.as_ref().map_or(Ok(()), |hint| write!(f, "\n  hint: {hint}"))
    }
}

/// An error answer in its own words, a line for each detail.
fn refused(answer: &Response) -> Failure {
    let body: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    let mut what = match body["message"].as_str() {
        Some(message) => message.to_owned(),
        None => format!("{} {}", answer.status, String::from_utf8_lossy(&answer.body).trim()),
    };
    match &body["details"] {
        Value::String(text) => what.push_str(&format!(": {text}")),
        Value::Array(details) => details.iter().for_each(|detail| {
            let errors = detail["errors"].as_array().into_iter().flatten();
            let errors: Vec<&str> = errors.filter_map(Value::as_str).collect();
            let path = detail["path"].as_str().unwrap_or("/");
            what.push_str(&format!("\n  {path}: {}", errors.join("; ")));
        }),
        _ => {}
    }
    let locks: Vec<&str> = body["deployments"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|deployment| deployment["id"].as_str())
        .collect();
    let failure = Failure::new(what);
    if locks.is_empty() {
        failure
    } else {
        failure.hint(format!("wait for {}, or override with --force", locks.join(", ")))
    }
}
