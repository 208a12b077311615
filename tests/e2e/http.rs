//! Requests to a role, answers as JSON.

use std::fmt;
use std::net::SocketAddr;

use meros_sdk::http::{HeaderMap, HttpClient, Method};
use serde_json::Value;

/// One role's HTTP API.
#[derive(Clone)]
pub(crate) struct Api {
    pub(crate) http: HttpClient,
    pub(crate) address: SocketAddr,
}

/// An answer, whatever its status.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    headers: HeaderMap,
    pub(crate) text: String,
}

impl Api {
    pub(crate) fn new(address: SocketAddr) -> Self {
        Self { http: HttpClient::new(), address }
    }

    /// From `http://host:port` or `host:port`.
    pub(crate) fn at(text: &str) -> Self {
        let address = text.trim_start_matches("http://");
        Self::new(address.parse().unwrap_or_else(|error| panic!("{text:?} is no address: {error}")))
    }

    /// GET; the answer must be 200 and JSON.
    pub(crate) async fn get(&self, path: &str) -> Value {
        self.send(Method::GET, path, "").await.expect(200)
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Answer {
        self.send(Method::POST, path, body).await
    }

    pub(crate) async fn put(&self, path: &str, body: &Value) -> Answer {
        self.send(Method::PUT, path, body).await
    }

    pub(crate) async fn patch(&self, path: &str, body: &Value) -> Answer {
        self.send(Method::PATCH, path, body).await
    }

    pub(crate) async fn delete(&self, path: &str) -> Answer {
        self.send(Method::DELETE, path, "").await
    }

    /// Any request.
    pub(crate) async fn send(&self, method: Method, path: &str, body: impl fmt::Display) -> Answer {
        let url = format!("http://{}{path}", self.address);
        let json = [("Content-Type", "application/json")];
        let answer = self.http.request(method.clone(), &url, &json, body.to_string()).await;
        let answer = answer.unwrap_or_else(|error| panic!("{method} {url}: {error}"));
        Answer {
            status: answer.status.as_u16(),
            headers: answer.headers.clone(),
            text: answer.text(),
        }
    }
}

impl Answer {
    /// The value of a header; empty when it isn't there.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// The body as JSON; null when there is none.
    pub(crate) fn json(&self) -> Value {
        if self.text.is_empty() {
            return Value::Null;
        }
        serde_json::from_str(&self.text)
            .unwrap_or_else(|error| panic!("the body isn't JSON: {error}: {:?}", self.text))
    }

    /// The body as JSON, if the status is this one.
    #[track_caller]
    pub(crate) fn expect(&self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", self.text);
        self.json()
    }
}

/// The text of a JSON string; empty for anything else.
pub(crate) fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// The elements of a JSON list; none of anything else.
pub(crate) fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}
